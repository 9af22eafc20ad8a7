// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_HTTP_CALL_HPP
#define SEAWALL_DRILL_HTTP_CALL_HPP

// One HTTP request, with an outcome that says what can be known about it.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace drill {

struct http_timeouts {
  std::chrono::nanoseconds connect;
  std::chrono::nanoseconds read;  ///< for each read; the answers here are small enough to come in one
};

/// Time-outs that add up to `budget`: a quarter of it for the connection, which takes microseconds or does
/// not come.
http_timeouts within(std::chrono::nanoseconds budget);

struct http_request {
  std::uint16_t port = 0;
  std::string path;
  std::string idempotency_key = {};  ///< sent as header, none if empty
  http_timeouts timeouts;
};

struct http_reply {
  enum class ending : std::uint8_t {
    answered,       ///< with `status`
    not_connected,  ///< refused, or no connection in time: the request was never sent
    broken_off,     ///< the connection ended before the answer: it may have been executed
    timed_out,      ///< no answer in time: it may have been executed
  };

  ending how = ending::broken_off;
  int status = 0;
  std::string body = {};
  std::string degraded = {};                             ///< the header of that name
  std::string service_level = {};                        ///< likewise
  std::optional<std::chrono::seconds> retry_after = {};  ///< likewise

  bool ok() const { return how == ending::answered && status == 200; }
};

/// Each sends on a connection of its own. Thread safety: any thread.
http_reply get(const http_request& request);
http_reply post(const http_request& request);

}  // namespace drill

#endif  // SEAWALL_DRILL_HTTP_CALL_HPP
