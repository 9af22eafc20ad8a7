// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_OPTIONS_HPP
#define SEAWALL_ELECTION_TRANSPORT_OPTIONS_HPP

// What the transport of Raft's messages can be told, and what it tells about itself.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/core/backoff.hpp"
#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/transport/identity.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/retry.hpp"
#include "seawall/time.hpp"
#include <asio/ip/address.hpp>

namespace seawall::raft {

enum class transport_security : std::uint8_t {
  mutual_tls,  ///< TLS 1.3 or later, both sides show a certificate
  /// Whoever can connect can vote. Everything that is not a loopback address is refused, on both sides.
  plain_text_on_loopback,
  plain_text_on_any_network,  ///< ... and this must be asked for by name
};

/// Another member.
struct transport_peer {
  node_id id = nobody;
  std::string host = {};  ///< an address or a name; a name is looked up anew for each connection
  std::uint16_t port = 0;
  /// What its certificate must carry: "DNS:node-1.example", "URI:spiffe://example/node-1" (one of the subject alternative
  /// names, exactly; no wildcards), or "SHA256:" and the hash of its public key in hexadecimal. No two members share one.
  std::string identity = {};

  friend bool operator==(const transport_peer&, const transport_peer&) = default;
};

/// PEM, each as text or in a file. The certificate serves both sides of connections: if it names extended key usages, both.
struct tls_options {
  std::string ca = {};           ///< who may sign members' certificates; not the system's
  std::string certificate = {};  ///< the own one, then those between it and the CA
  std::string private_key = {};  ///< not encrypted
  std::string ca_file = {};      ///< takes the place of `ca`
  std::string certificate_file = {};
  std::string private_key_file = {};
};

struct transport_options {
  std::string name = {};  ///< for events
  node_id self = nobody;
  std::string cluster = {};                ///< must be the same for all members: at most 64 bytes
  std::string listen_host = "127.0.0.1";   ///< an address
  std::uint16_t listen_port = 0;           ///< 0: one that is free
  std::vector<transport_peer> peers = {};  ///< the others: at most 100

  transport_security security = transport_security::mutual_tls;
  tls_options tls = {};
  /// The same for all members. `checksum` is not looked at: there is one in plain text, and none under TLS.
  codec_options codec = {};

  // To each peer.
  std::uint32_t max_queue_messages = 4096;    ///< that wait to be sent: [1, 1'000'000]
  std::uint64_t max_queue_bytes = 8U << 20U;  ///< ... and their size: at least a frame's, at most 1 GiB
  /// What has waited for so long is not sent any more: [1 ms, 1 h].
  duration stale_after = std::chrono::seconds(1);
  backoff_options reconnect = {
      .initial = std::chrono::milliseconds(20), .max = std::chrono::seconds(1), .jitter = jitter::equal};

  // From each peer. More is not refused, but read later, so that the peer's queue fills and not this process's memory.
  std::uint32_t messages_per_second = 20'000;   ///< [1, 1e9]
  std::uint32_t message_burst = 4'000;          ///< [1, 1e9]
  std::uint32_t bytes_per_second = 64U << 20U;  ///< [1 KiB, 1e9]
  std::uint32_t byte_burst = 8U << 20U;         ///< at least a frame's, at most 1 GiB

  // From those who have not shown yet who they are. Where one too many comes, the one that has been at it longest goes.
  std::uint32_t max_strangers = 64;              ///< connections: [1, 10'000]
  std::uint32_t max_strangers_per_address = 16;  ///< [1, max_strangers]; in IPv6 an address is a /64
  /// New connections in a second from one address, and as a burst; others are closed at once. [1, 1'000'000]
  std::uint32_t handshakes_per_second = 50;
  /// ... and from all those together at which no peer is called. Who has a thousand addresses neither takes the processor with
  /// handshakes, nor the places of peers. [1, 1'000'000]
  std::uint32_t handshakes_per_second_of_all = 200;

  duration handshake_timeout =
      std::chrono::seconds(2);  ///< from the first packet to both sides known: [10 ms, 1 min]
  /// A connection on which nothing came for so long is given up. Both sides say something four times as often:
  /// those of two members may differ by a factor of 2. [20 ms, 1 h]
  duration idle_timeout = std::chrono::seconds(1);

  /// Told when a peer can be reached, and when no longer (`state_changed`, the key is its id). Outlives the transport.
  listener* events = nullptr;
};

/// Of one peer. Counts are of the transport's life.
struct transport_peer_stats {
  node_id id = nobody;
  bool reachable = false;  ///< the connection to it is up
  bool heard = false;      ///< the connection from it is up
  std::uint64_t queued_messages = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t sent_messages = 0;  ///< handed to the connection: nobody knows what has arrived
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_messages = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t dropped_heartbeats = 0;  ///< old ones, for a newer message when the queue was full
  std::uint64_t dropped_newest = 0;      ///< ... and there was none
  std::uint64_t dropped_stale = 0;       ///< waited longer than `stale_after`
  std::uint64_t connections = 0;         ///< to it, that came up
  std::uint64_t failures = 0;            ///< to it, that did not, or ended
  std::uint64_t violations = 0;          ///< connections from it that were closed for what it sent
  std::uint64_t pauses = 0;              ///< it sent more than it may
  std::string last_failure = {};         ///< of the connection to it; at most 256 bytes
  std::string last_hang_up = {};         ///< why the last connection from it ended; at most 256 bytes
};

struct transport_stats {
  std::vector<transport_peer_stats> peers = {};  ///< by id
  std::uint64_t accepted = 0;                    ///< connections of anybody
  std::uint64_t strangers = 0;                   ///< of those, not yet known who, at present
  std::uint64_t refused = 0;                     ///< did not show who they are, or are not a member
  std::uint64_t turned_away = 0;                 ///< too many of them in a second
  std::uint64_t pushed_out = 0;                  ///< too many of them at once
  std::uint64_t accept_failures = 0;             ///< out of descriptors, for one: tried again every 20 ms
  std::uint64_t unsendable = 0;    ///< `send` of what no peer would accept; `last_refusal` says why
  std::uint64_t unknown_peer = 0;  ///< `send` to nobody that is known
  std::string last_refusal = {};   ///< at most 256 bytes
};

namespace detail {

inline constexpr std::string_view transport_name = "raft_transport";
inline constexpr std::size_t max_peers = 100;
inline constexpr std::size_t max_cluster_name = 64;

inline codec_options codec_of(const transport_options& o) noexcept {
  codec_options c = o.codec;
  c.checksum = o.security != transport_security::mutual_tls;
  return c;
}
inline std::uint64_t frame_bytes(const transport_options& o) noexcept {
  return std::uint64_t{o.codec.max_message_bytes} + length_bytes;
}

inline bool is_loopback(const asio::ip::address& a) {
  if (a.is_v6() && a.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, a.to_v6()).is_loopback();
  return a.is_loopback();
}
inline bool is_loopback(const std::string& host) {
  asio::error_code no_address;
  const auto address = asio::ip::make_address(host, no_address);
  return no_address ? host == "localhost" : is_loopback(address);
}

inline std::optional<option_error> check_peer(const transport_peer& p, const transport_options& o) {
  if (p.id == nobody || p.id == o.self) return bad("id", p.id, "must not be 0, nor the own one");
  if (p.host.empty() || p.host.size() > 255)
    return bad("host", p.host.size(), "must have at least 1 byte and at most 255");
  if (p.port == 0) return bad("port", p.port, "must be at least 1");
  if (o.security == transport_security::plain_text_on_loopback && !is_loopback(p.host))
    return option_error{"host", p.host,
                        "must be a loopback address, or plain text be asked for on any network"};
  if (o.security == transport_security::mutual_tls && !parse_identity(p.identity))
    return option_error{"identity", p.identity.empty() ? "empty" : p.identity,
                        "must be DNS:, URI: or SHA256: and a name without wildcards, or 64 digits"};
  return std::nullopt;
}

/// Another list of peers, for options that are valid.
inline std::optional<option_error> check_peers(const std::vector<transport_peer>& peers,
                                               const transport_options& o) {
  if (peers.size() > max_peers) return bad("peers", peers.size(), at_most(max_peers));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::string where = "peers[" + std::to_string(i) + "].";
    if (auto error = check_peer(peers[i], o)) {
      error->field.insert(0, where);
      return error;
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (peers[k].id == peers[i].id) return bad(where + "id", peers[i].id, "must not be there twice");
      if (o.security == transport_security::mutual_tls &&
          parse_identity(peers[k].identity) == parse_identity(peers[i].identity))
        return option_error{where + "identity", peers[i].identity, "must not be another member's"};
    }
  }
  return std::nullopt;
}

inline std::optional<option_error> check_own(const transport_options& o) {
  if (o.self == nobody) return bad("self", o.self, "must not be 0");
  if (o.cluster.size() > max_cluster_name)
    return option_error{"cluster", to_text(std::uint64_t{o.cluster.size()}) + " bytes",
                        at_most(max_cluster_name)};
  asio::error_code no_address;
  asio::ip::make_address(o.listen_host, no_address);
  if (no_address) return option_error{"listen_host", o.listen_host, "must be an address"};
  if (o.security == transport_security::plain_text_on_loopback && !is_loopback(o.listen_host))
    return option_error{"listen_host", o.listen_host,
                        "must be a loopback address, or plain text be asked for on any network"};
  return std::nullopt;
}

inline void check_bounds(option_checks& checks, const transport_options& o) {
  const auto between = [&checks](std::uint64_t value, std::uint64_t least, std::uint64_t most,
                                 std::string_view field) {
    checks.require(value >= least && value <= most, field, value,
                   "must be at least " + to_text(least) + " and at most " + to_text(most));
  };
  constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
  constexpr std::uint64_t fastest = 1'000'000'000;
  between(o.max_queue_messages, 1, 1'000'000, "max_queue_messages");
  between(o.max_queue_bytes, frame_bytes(o), gib, "max_queue_bytes");
  between(o.messages_per_second, 1, fastest, "messages_per_second");
  between(o.message_burst, 1, fastest, "message_burst");
  between(o.bytes_per_second, 1024, fastest, "bytes_per_second");
  between(o.byte_burst, frame_bytes(o), gib, "byte_burst");
  between(o.max_strangers, 1, 10'000, "max_strangers");
  between(o.max_strangers_per_address, 1, o.max_strangers, "max_strangers_per_address");
  between(o.handshakes_per_second, 1, 1'000'000, "handshakes_per_second");
  between(o.handshakes_per_second_of_all, 1, 1'000'000, "handshakes_per_second_of_all");
}

inline void check_times(option_checks& checks, const transport_options& o) {
  const auto between = [&checks](duration value, duration least, duration most, std::string_view field) {
    checks.require(value >= least && value <= most, field, value,
                   "must be at least " + to_text(least) + " and at most " + to_text(most));
  };
  using namespace std::chrono_literals;
  between(o.stale_after, 1ms, 1h, "stale_after");
  between(o.handshake_timeout, 10ms, 1min, "handshake_timeout");
  between(o.idle_timeout, 20ms, 1h, "idle_timeout");
}

}  // namespace detail

/// Not whether certificates and files are any good: the transport says so when it reads them.
inline std::optional<option_error> validate(const transport_options& o) {
  if (auto error = detail::check_own(o)) return error;
  option_checks checks;
  checks.require(validate(o.codec), "codec").require(seawall::validate(o.reconnect), "reconnect");
  detail::check_bounds(checks, o);
  detail::check_times(checks, o);
  if (auto error = checks.result()) return error;
  return detail::check_peers(o.peers, o);
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_TRANSPORT_OPTIONS_HPP
