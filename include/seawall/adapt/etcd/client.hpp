// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_CLIENT_HPP
#define SEAWALL_ADAPT_ETCD_CLIENT_HPP

// An etcd cluster: several endpoints, one of which is asked until it fails, and a login. Knows what an answer is and what is
// none, not what it says; see messages.hpp.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd/http.hpp"
#include "seawall/adapt/etcd/messages.hpp"
#include "seawall/adapt/etcd/options.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

struct etcd_answer {
  enum class kind : std::uint8_t {
    given,    ///< `body` is it
    refused,  ///< etcd has refused it, and done nothing
    unknown,  ///< whether it was carried out
  };
  kind what = kind::unknown;
  std::string body = {};
  std::string error = {};  ///< which endpoint, which request, what
  std::int64_t code = -1;  ///< gRPC's, of `refused`
  instant sent_at = {};    ///< `boot_clock`; of the attempt that was answered

  static constexpr std::int64_t not_found = 5;
};

/// Thread safety: one thread's, but for `wake`. Cancellation: as `http_client`.
class etcd_client {
 public:
  etcd_client(const etcd_connection_options& o, const std::atomic<bool>& abort)
      : options_(o), abort_(abort), http_(o, abort) {}

  /// One attempt, at the endpoint that was answering last; after one that comes to nothing the next endpoint's turn comes.
  /// `at_most` is for all that it takes, a login among it.
  etcd_answer ask(std::string_view path, const std::string& body, duration at_most) {
    const instant until = boot_clock::now() + at_most;
    etcd_answer a = attempt(path, body, until);
    if (a.what == etcd_answer::kind::refused && login_is_stale(a)) {
      login_.clear();
      a = attempt(path, body, until);
    }
    if (a.what == etcd_answer::kind::unknown) turn_away();
    return a;
  }
  /// For what can be repeated: each endpoint once, in `at_most` all together.
  etcd_answer ask_each(std::string_view path, const std::string& body, duration at_most) {
    const instant until = boot_clock::now() + at_most;
    etcd_answer a;
    for (std::size_t i = 0; i < options_.endpoints.size(); ++i) {
      const duration left = until - boot_clock::now();
      if (i > 0 && (left <= duration::zero() || aborted())) break;
      a = ask(path, body, left < options_.request_timeout ? left : options_.request_timeout);
      if (a.what != etcd_answer::kind::unknown) break;
    }
    return a;
  }

  void open_stream(std::string_view path, const std::string& body) {
    http_.open_stream(url(path), headers(), body);
  }
  void close_stream() noexcept { http_.close_stream(); }
  /// Null: there is none, or it has failed, and `take_stream_error` says of what; but first what it had told.
  std::string* stream() {
    http_transfer* const s = http_.stream();
    if (s == nullptr) return nullptr;
    if (!s->done() || s->received().find('\n') != std::string::npos) return &s->received();
    stream_error_ = at("/v3/watch") + (s->error().empty() ? "was ended" : s->error());
    http_.close_stream();
    return nullptr;
  }
  std::string take_stream_error() { return std::exchange(stream_error_, {}); }

  void wait(duration at_most) noexcept { http_.wait(at_most); }
  void wake() noexcept { http_.wake(); }
  const std::string& endpoint() const noexcept { return options_.endpoints[turn_]; }

 private:
  // Codes of gRPC with which etcd says what it thinks of a request. All others speak of the server's own troubles, and another
  // endpoint may not have them: 9 and 12 come from a learner, and from what is no etcd.
  static bool is_refusal(std::int64_t code) noexcept {
    return code == 3 || code == etcd_answer::not_found || code == 6 || code == 7 || code == 11 || code == 16;
  }
  static bool login_is_stale(const etcd_answer& a) noexcept {
    return a.code == 16 || a.error.find("revision of auth store is old") != std::string::npos ||
           a.error.find("user name is empty") != std::string::npos;
  }

  bool aborted() const noexcept { return abort_.load(std::memory_order_acquire); }
  std::string url(std::string_view path) const { return endpoint() + std::string(path); }
  std::string at(std::string_view path) const { return "etcd " + url(path) + ": "; }

  std::vector<std::string> headers() const {
    // A member that has lost its cluster says so, instead of letting one wait.
    std::vector<std::string> h{"Grpc-Metadata-hasleader: true"};
    if (!login_.empty()) h.push_back("Authorization: " + login_);
    return h;
  }

  etcd_answer attempt(std::string_view path, const std::string& body, instant until) {
    if (!options_.username.empty() && login_.empty()) {
      etcd_answer a = log_in(until);
      if (a.what != etcd_answer::kind::given) return a;
    }
    return post(path, body, until);
  }
  etcd_answer log_in(instant until) {
    constexpr std::string_view path = "/v3/auth/authenticate";
    etcd_answer a = post(path, etcd_requests::log_in(options_.username, options_.password), until);
    if (a.what != etcd_answer::kind::given) return a;
    if (auto token = etcd_answers::auth_token(a.body)) {
      login_ = std::move(*token);
      return a;
    }
    return {.error = at(path) + "no token"};
  }
  etcd_answer post(std::string_view path, const std::string& body, instant until) {
    etcd_answer a;
    a.sent_at = boot_clock::now();
    http_answer h = http_.post(url(path), headers(), body, until - a.sent_at);
    if (!h.error.empty()) {
      a.error = at(path) + h.error;
    } else if (h.status == 200) {
      a.what = etcd_answer::kind::given;
      a.body = std::move(h.body);
    } else {
      const auto [text, code] = etcd_answers::error(h.body);
      a.error = at(path) + "HTTP " + std::to_string(h.status) + (text.empty() ? "" : ": " + text);
      a.error.resize(std::min<std::size_t>(a.error.size(), 512));
      a.code = code;
      if (is_refusal(code)) a.what = etcd_answer::kind::refused;
    }
    return a;
  }
  void turn_away() noexcept {
    turn_ = (turn_ + 1) % options_.endpoints.size();
    // What it would have told may never come.
    http_.close_stream();
  }

  const etcd_connection_options& options_;
  const std::atomic<bool>& abort_;
  http_client http_;
  std::size_t turn_ = 0;
  std::string login_;  // empty: none
  std::string stream_error_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_ETCD_CLIENT_HPP
