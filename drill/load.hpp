// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_LOAD_HPP
#define SEAWALL_DRILL_LOAD_HPP

// Customers: they arrive at a fixed rate, however slow the shop has become.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "dependencies.hpp"

namespace drill {

enum class outcome : std::uint8_t {
  full,      ///< answered
  degraded,  ///< answered, without one or more dependencies
  error,     ///< the customer saw an error page
  gave_up,   ///< no answer within the customer's patience
  not_sent,  ///< nobody was left to send it: everyone was waiting
};

constexpr bool is_answered(outcome o) { return o == outcome::full || o == outcome::degraded; }

struct customer {
  std::uint64_t order = 0;
  std::chrono::microseconds came_at{
      0};  ///< since the load began: when it was to be sent, not when it could be
  std::chrono::microseconds waited{0};  ///< since `came_at`; at most the patience
  outcome how = outcome::not_sent;
  per_dependency<bool> degraded;
};

/// Sends checkouts to a storefront, open loop.
///
/// Latency counts from the intended moment of sending, so a stall of the shop is not hidden by customers who
/// could not even start to wait ("coordinated omission", G. Tene). Bounded: three seconds' worth of customers
/// at once.
class load_generator {
 public:
  load_generator(std::uint16_t port, int rate_per_s);
  ~load_generator() { stop(); }

  std::chrono::steady_clock::time_point began() const { return began_; }

  /// Those whose checkout has ended, from index `from` on, in the order of their ends.
  std::vector<customer> customers(std::size_t from = 0) const;

  /// Lets nobody come any more and waits until everyone who came has been dealt with.
  void stop();

 private:
  void serve_customers();
  bool wait_for(std::chrono::microseconds comes_at);
  customer serve(std::uint64_t number) const;
  std::chrono::microseconds arrival_of(std::uint64_t number) const;
  std::chrono::microseconds since_began() const;

  const std::uint16_t port_;
  const int rate_per_s_;
  const std::chrono::steady_clock::time_point began_;
  std::atomic<std::uint64_t> next_{0};  ///< number of the next customer that nobody looks after yet
  mutable std::mutex mutex_;
  std::condition_variable closing_;
  std::chrono::microseconds closed_at_ = std::chrono::microseconds::max();
  std::vector<customer> served_;
  std::vector<std::thread> threads_;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_LOAD_HPP
