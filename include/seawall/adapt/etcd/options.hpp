// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_OPTIONS_HPP
#define SEAWALL_ADAPT_ETCD_OPTIONS_HPP

// How to reach an etcd cluster, for whatever talks to it: addresses, certificates, a password, times. And the key under which
// an election is held.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Certificates and names of hosts are always verified.
struct etcd_connection_options {
  /// "http://host:port" or "https://host:port", without a path: 1 to 16. Tried in turn.
  std::vector<std::string> endpoints = {"http://127.0.0.1:2379"};
  std::string ca_file = {};    ///< PEM; empty: the system's authorities
  std::string cert_file = {};  ///< PEM, for a cluster that asks clients for a certificate; with `key_file`
  std::string key_file = {};   ///< PEM, not encrypted
  std::string username = {};   ///< of etcd's own users; empty: none
  std::string password = {};
  /// A password over plain http, to an address that is not loopback, is refused unless this says that it is meant.
  bool password_in_plain_text = false;
  duration connect_timeout = std::chrono::milliseconds(500);  ///< positive, at most `request_timeout`
  duration request_timeout = std::chrono::seconds(1);  ///< of one request to one endpoint: [1 ms, 1 min]
  std::size_t max_response_bytes = std::size_t{1}
                                   << 20U;  ///< [4096, 64 MiB]; also of what a watch has unread
  /// After a round of failures, then doubled, with jitter: [1 ms, backoff_max].
  duration backoff_initial = std::chrono::milliseconds(50);
  duration backoff_max = std::chrono::seconds(2);  ///< at most 1 min
};

namespace detail {

inline std::string_view etcd_host(std::string_view endpoint) noexcept {
  const std::string_view rest = endpoint.substr(endpoint.find("://") + 3);
  return rest.substr(0, rest.starts_with('[') ? rest.find(']') + 1 : rest.find(':'));
}

inline bool is_etcd_endpoint(std::string_view e) noexcept {
  const bool secure = e.starts_with("https://");
  if (!secure && !e.starts_with("http://")) return false;
  const std::string_view rest = e.substr(secure ? 8 : 7);
  for (const char c : rest) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && std::string_view(".-_:[]").find(c) == std::string_view::npos) return false;
  }
  return !rest.empty() && rest.size() <= 256 && !etcd_host(e).empty();
}

inline bool is_private_endpoint(std::string_view e) noexcept {
  const std::string_view host = etcd_host(e);
  const bool is_number = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return e.starts_with("https://") || host == "localhost" || host == "[::1]" ||
         (is_number && host.starts_with("127."));
}

inline std::optional<option_error> check_endpoints(const etcd_connection_options& o) {
  if (o.endpoints.empty() || o.endpoints.size() > 16)
    return option_error{"endpoints", std::to_string(o.endpoints.size()),
                        "must be at least 1 and at most 16 of them"};
  for (const std::string& e : o.endpoints) {
    if (!is_etcd_endpoint(e))
      return option_error{"endpoints", e,
                          "must be http:// or https://, a host and perhaps a port, and nothing else"};
    if (!o.password.empty() && !o.password_in_plain_text && !is_private_endpoint(e))
      return option_error{
          "endpoints", e,
          "must be https:// or loopback, unless password_in_plain_text, for there is a password"};
  }
  return std::nullopt;
}

}  // namespace detail

inline std::optional<option_error> validate(const etcd_connection_options& o) {
  if (auto error = detail::check_endpoints(o)) return error;
  if (o.cert_file.empty() != o.key_file.empty())
    return option_error{o.key_file.empty() ? "key_file" : "cert_file", "empty",
                        "must not be, for there is the other one of cert_file and key_file"};
  if (o.username.empty() && !o.password.empty())
    return option_error{"username", "empty", "must not be, for there is a password"};
  const auto ms = [](int n) { return std::chrono::milliseconds(n); };
  detail::option_checks checks;
  checks
      .require(o.request_timeout >= ms(1) && o.request_timeout <= std::chrono::minutes(1), "request_timeout",
               o.request_timeout, "must be at least 1ms and at most 1min")
      .require(o.connect_timeout > duration::zero() && o.connect_timeout <= o.request_timeout,
               "connect_timeout", o.connect_timeout,
               "must be positive and at most request_timeout, " + to_text(o.request_timeout))
      .require(o.max_response_bytes >= 4096 && o.max_response_bytes <= (std::size_t{64} << 20U),
               "max_response_bytes", std::uint64_t{o.max_response_bytes},
               "must be at least 4096 and at most 67108864")
      .require(o.backoff_max <= std::chrono::minutes(1), "backoff_max", o.backoff_max, "must be at most 1min")
      .require(o.backoff_initial >= ms(1) && o.backoff_initial <= o.backoff_max, "backoff_initial",
               o.backoff_initial, "must be at least 1ms and at most backoff_max, " + to_text(o.backoff_max));
  return checks.result();
}

namespace detail {

/// The keys of one election. Both live no longer than a lease.
struct etcd_election_keys {
  std::string leader;  ///< who leads: the name of the node; its create revision is the token
  std::string heir;    ///< for whom the others hold back, after a transfer

  etcd_election_keys(const std::string& prefix, const std::string& election)
      : leader(prefix + election + "/leader"), heir(prefix + election + "/heir") {}
};

inline std::optional<option_error> check_election(const std::string& prefix, const std::string& election) {
  if (election.empty() || election.size() > 512)
    return option_error{"election", std::to_string(election.size()) + " bytes",
                        "must be at least 1 and at most 512"};
  if (prefix.size() > 512)
    return option_error{"prefix", std::to_string(prefix.size()) + " bytes", "must be at most 512"};
  return std::nullopt;
}

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_ADAPT_ETCD_OPTIONS_HPP
