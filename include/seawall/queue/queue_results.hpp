// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_QUEUE_RESULTS_HPP
#define SEAWALL_QUEUE_QUEUE_RESULTS_HPP

// What producers and consumers tell a backpressure queue, and what they hear from it.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "seawall/core/queue_machine.hpp"
#include "seawall/core/queue_options.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// What a queue knows of its items. All are called with no lock held; `dropped` and `level` may call back
/// into the queue.
template <class T>
struct queue_hooks {
  /// The size of an item; asked once, by its producer, who gets what it throws.
  std::function<std::uint64_t(const T&)> bytes = {};
  /// Takes what leaves the queue without a consumer, in the thread that found it out. It must not throw. A
  /// queue that is being destroyed is closed: an item that is pushed again is refused.
  std::function<void(T&&, queue_drop)> dropped = {};
  /// Told of the passing of a watermark, one at a time; the last one told is how it is. One that is undone
  /// before it can be told is not told. It must not throw.
  std::function<void(queue_level)> level = {};
};

/// What a producer says about an item.
struct queue_item {
  int priority = 0;                     ///< higher is more important
  instant deadline = instant::never();  ///< after which nobody wants it served
  std::string_view key = {};            ///< for `queue_order::fair`: who it is for
};

/// How a push or a pop ended.
enum class queue_answer : std::uint8_t {
  done,
  empty,      ///< there is nothing, at the moment
  full,       ///< there is no room, at the moment
  too_large,  ///< it has more bytes than the whole queue may have
  expired,    ///< its deadline cannot be met
  closed,     ///< for a producer: no more is taken. For a consumer: no more will come, and all has been taken
  timed_out,  ///< the deadline of the wait has passed
  stopped,    ///< `stop` was requested
};

constexpr std::string_view to_string(queue_answer a) noexcept {
  constexpr std::string_view names[] = {"done",    "empty",  "full",      "too_large",
                                        "expired", "closed", "timed_out", "stopped"};
  return names[static_cast<std::size_t>(a)];
}

/// How a push ended. A refused item was not touched: the producer still has it.
class [[nodiscard]] push_result {
 public:
  explicit constexpr push_result(queue_answer why) noexcept : why_(why) {}
  explicit constexpr operator bool() const noexcept { return why_ == queue_answer::done; }
  constexpr queue_answer why() const noexcept { return why_; }

 private:
  queue_answer why_;
};

/// An item, or why there is none.
template <class T>
class [[nodiscard]] pop_result {
 public:
  explicit pop_result(queue_answer why) noexcept : why_(why) {}

  explicit operator bool() const noexcept { return item_.has_value(); }
  queue_answer why() const noexcept { return why_; }
  T& operator*() & noexcept { return *item_; }
  T&& operator*() && noexcept { return *std::move(item_); }
  T* operator->() noexcept { return &*item_; }

  // For the queue.
  void take(T&& item) {
    item_.emplace(std::move(item));
    why_ = queue_answer::done;
  }
  void set(queue_answer why) noexcept { why_ = why; }

 private:
  std::optional<T> item_;
  queue_answer why_;
};

/// How many items a batch has, and why there are none.
struct [[nodiscard]] batch_result {
  std::size_t items = 0;
  queue_answer why = queue_answer::empty;
  explicit operator bool() const noexcept { return items > 0; }
};

/// All that a queue is made of.
template <class T>
struct queue_settings {
  backpressure_queue_options options = {};
  queue_hooks<T> hooks = {};
};

template <class T>
std::optional<option_error> validate(const queue_settings<T>& s) {
  if (auto error = validate(s.options)) return error;
  detail::option_checks checks;
  checks
      .require(s.options.max_bytes == 0 || s.hooks.bytes, "max_bytes", s.options.max_bytes,
               "must be 0 (no bound) without queue_hooks::bytes")
      .require(s.options.quantum == 0 || s.hooks.bytes, "quantum", s.options.quantum,
               "must be 0 (one item) without queue_hooks::bytes")
      .require(!core::queue_machine::drops(s.options) || s.hooks.dropped, "dropped", std::uint64_t{0},
               "must be set where items may be dropped: expire, codel, or when_full that drops");
  return checks.result();
}

}  // namespace seawall

#endif  // SEAWALL_QUEUE_QUEUE_RESULTS_HPP
