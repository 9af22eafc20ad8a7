// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_LOAD_HPP
#define SEAWALL_DRILL_LOAD_HPP

// Visitors: they arrive at a fixed rate, however slow the shop has become.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "checkout.hpp"
#include "dependencies.hpp"
#include "http_call.hpp"

namespace drill {

enum class outcome : std::uint8_t {
  full,         ///< answered
  degraded,     ///< answered, without one or more dependencies
  error,        ///< the customer saw an error page
  refused,      ///< likewise, and it said when to come back
  turned_away,  ///< likewise, and it said that the shop is read-only: no failure, but a decision
  gave_up,      ///< no answer within the customer's patience
  not_sent,     ///< nobody was left to send it: everyone was waiting
};

constexpr bool is_answered(outcome o) { return o == outcome::full || o == outcome::degraded; }
constexpr bool is_error_page(outcome o) { return o == outcome::error || o == outcome::refused; }

struct customer {
  std::uint64_t order = 0;
  std::chrono::microseconds came_at{
      0};  ///< since the load began: when it was to be sent, not when it could be
  std::chrono::microseconds waited{0};  ///< since `came_at`; at most the patience
  outcome how = outcome::not_sent;
  per_dependency<bool> degraded;
};

/// What visitors come for.
enum class visit : std::uint8_t { checkout, browsing };

constexpr std::chrono::milliseconds patience_of(visit v) {
  return v == visit::checkout ? customer_patience : browser_patience;
}

struct load {
  visit what = visit::checkout;
  std::uint16_t port = 0;
  int per_s = 1;
  std::chrono::steady_clock::time_point begins;  ///< the first one comes then
  std::chrono::microseconds lasts = std::chrono::microseconds::max();
};

/// Sends visitors to a storefront, open loop.
///
/// Latency counts from the intended moment of sending, so a stall of the shop is not hidden by visitors who
/// could not even start to wait ("coordinated omission", G. Tene). Bounded: one and a half times as many at
/// once as come within their patience.
class load_generator {
 public:
  explicit load_generator(const load& what);
  ~load_generator() { stop(); }

  std::chrono::steady_clock::time_point began() const { return load_.begins; }

  /// Those whose visit has ended, from index `from` on, in the order of their ends.
  std::vector<customer> customers(std::size_t from = 0) const;

  /// Lets nobody come any more and waits until everyone who came has been dealt with.
  void stop();

 private:
  void serve_customers();
  bool wait_for(std::chrono::microseconds comes_at);
  customer serve(std::uint64_t number) const;
  http_reply send(std::uint64_t order, std::chrono::microseconds patience) const;
  std::chrono::microseconds arrival_of(std::uint64_t number) const;
  std::chrono::microseconds since_began() const;

  const load load_;
  std::atomic<std::uint64_t> next_{0};  ///< number of the next customer that nobody looks after yet
  mutable std::mutex mutex_;
  std::condition_variable closing_;
  std::chrono::microseconds closed_at_;
  std::vector<customer> served_;
  std::vector<std::thread> threads_;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_LOAD_HPP
