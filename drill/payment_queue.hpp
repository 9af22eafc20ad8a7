// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_PAYMENT_QUEUE_HPP
#define SEAWALL_DRILL_PAYMENT_QUEUE_HPP

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

namespace drill {

/// Payments that were accepted while payment could not be reached, by idempotency key, until they are
/// captured.
///
/// Bounded, and in memory: a real shop would write them down before it says yes. Thread safety: any thread.
class payment_queue {
 public:
  explicit payment_queue(std::size_t most) : most_(most) {}

  /// False if the queue is full.
  bool push(std::string_view key);

  /// The oldest one, waiting until there is one. It counts as in the queue until `captured`, or else
  /// `put_back`.
  std::string take();
  void captured();
  void put_back(std::string key);

  struct counts {
    std::uint64_t queued = 0;
    std::uint64_t captured = 0;
    std::uint64_t refused = 0;
    std::uint64_t in_queue = 0;
  };
  counts count() const;

 private:
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::string> keys_;
  counts counts_;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_PAYMENT_QUEUE_HPP
