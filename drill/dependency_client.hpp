// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_DEPENDENCY_CLIENT_HPP
#define SEAWALL_DRILL_DEPENDENCY_CLIENT_HPP

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "http_call.hpp"
#include <fmt/format.h>

namespace drill {

/// Calls one dependency and counts how often. Thread safety: any thread.
class dependency_client {
 public:
  explicit dependency_client(std::uint16_t port) : port_(port) {}

  http_reply call(std::string_view order, std::string_view idempotency_key, const http_timeouts& timeouts) {
    attempts_.fetch_add(1, std::memory_order_relaxed);  // a count, and nothing is inferred from it
    return post({.port = port_,
                 .path = fmt::format("/call?order={}", order),
                 .idempotency_key = std::string(idempotency_key),
                 .timeouts = timeouts});
  }

  std::uint64_t attempts() const { return attempts_.load(std::memory_order_relaxed); }

 private:
  const std::uint16_t port_;
  std::atomic<std::uint64_t> attempts_{0};
};

}  // namespace drill

#endif  // SEAWALL_DRILL_DEPENDENCY_CLIENT_HPP
