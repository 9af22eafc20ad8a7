// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_QUEUE_STATE_HPP
#define SEAWALL_QUEUE_QUEUE_STATE_HPP

// What a backpressure queue is, whatever its items are: the machine, the lock, those who wait, the
// watermarks.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/core/queue_machine.hpp"
#include "seawall/core/watermarks.hpp"
#include "seawall/event.hpp"
#include "seawall/queue/waiting.hpp"

namespace seawall {

/// Counts are since the queue was made.
struct backpressure_queue_snapshot {
  std::string name = {};
  std::size_t items = 0;
  std::uint64_t bytes = 0;  ///< what is being moved in is counted
  duration oldest = {};     ///< has waited so long, where the queue looks at the clock
  queue_level level = queue_level::low;
  bool overloaded = false;  ///< CoDel drops
  bool closed = false;
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
  std::uint64_t refused = 0;  ///< pushes that came back, those of a closed queue included
  std::uint64_t evicted = 0;
  std::uint64_t expired = 0;
  std::uint64_t dropped_by_codel = 0;
  std::size_t consumers_waiting = 0;
  std::size_t producers_waiting = 0;
};

namespace detail {

using core::unread;

class queue_state {
 public:
  static constexpr std::string_view policy_name = "backpressure_queue";

  explicit queue_state(const backpressure_queue_options& o) : name(o.name), machine(o) {
    const core::mutex_lock lock(mutex);
    set(o);
  }

  /// The lock, and at its end what follows from what was done: one who can go on is woken, a watermark is
  /// told; with the lock no longer held.
  ///
  /// Whoever is woken does the same when he has looked. So a chain of those who can go on never breaks: there
  /// is room or an item for the first who waits only while somebody is on his way to it. Nobody is woken for
  /// items that those on their way can take.
  class ABSL_SCOPED_LOCKABLE section {
   public:
    explicit section(queue_state& s) ABSL_EXCLUSIVE_LOCK_FUNCTION(s.mutex) : state_(s) { s.mutex.lock(); }
    section(const section&) = delete;
    section& operator=(const section&) = delete;
    ~section() ABSL_UNLOCK_FUNCTION() { end(); }

   private:
    [[gnu::always_inline]] void end() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (!state_.marks_.watched() && !state_.anyone_waits()) [[likely]] {
        state_.mutex.unlock();
      } else {
        state_.settle_and_unlock();
      }
    }
    queue_state& state_;
  };

  /// The clock has to be read.
  bool timed() const noexcept { return timed_.load(std::memory_order_relaxed); }
  /// Nothing but the bounds has to be looked at, or had to a moment ago.
  bool plain() const noexcept { return plain_.load(std::memory_order_relaxed); }
  void note_timed() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    // Relaxed: who reads the old value decides by the newest time that others have told.
    if (machine.timed() && !timed()) timed_.store(true, std::memory_order_relaxed);
  }

  void set(const backpressure_queue_options& o) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    marks_.set(o.high_watermark, o.low_watermark, o.max_items, o.max_bytes);
    events_ = o.events;
    plain_.store(machine.plain(), std::memory_order_relaxed);
    note_timed();
  }
  /// Who waits for room looks again: there may be some, or no more waiting.
  void reconfigure(const backpressure_queue_options& o, instant now, queue_waiters& woken)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    machine.reconfigure(o, now);
    set(o);
    producers.move_all_to(woken);
  }
  /// Whoever has been woken looks, or never will.
  void arrived(queue_waiter& w) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (!w.coming) return;
    w.coming = false;
    coming -= w.takes;
  }
  void close() {
    const section s(*this);
    machine.close();
  }
  /// Nothing more will come. What is in hand might come back.
  bool over() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return machine.closed() && machine.empty() && in_hand == 0;
  }
  /// Those whose consumers have not taken them yet.
  std::size_t left() {
    const core::mutex_lock lock(mutex);
    return machine.items() + machine.reserved() + in_hand;
  }

  backpressure_queue_snapshot snapshot(instant now) {
    const core::mutex_lock lock(mutex);
    const core::queued* const first = machine.oldest();
    return {.name = name,
            .items = machine.items(),
            .bytes = machine.bytes(),
            .oldest = first != nullptr && first->since > unread ? now - first->since : duration::zero(),
            .level = marks_.level(),
            .overloaded = machine.dropping(),
            .closed = machine.closed(),
            .pushed = pushed,
            .popped = popped,
            .refused = refused.load(std::memory_order_relaxed),
            .evicted = machine.dropped(queue_drop::evicted),
            .expired = machine.dropped(queue_drop::expired),
            .dropped_by_codel = machine.dropped(queue_drop::sojourn),
            .consumers_waiting = consumers.size(),
            .producers_waiting = producers.size()};
  }

  const std::string name;
  core::mutex mutex;
  core::queue_machine machine ABSL_GUARDED_BY(mutex);
  queue_waiters consumers ABSL_GUARDED_BY(mutex);
  std::uint64_t coming ABSL_GUARDED_BY(mutex) = 0;  // items that consumers on their way can take
  queue_waiters producers ABSL_GUARDED_BY(mutex);
  queue_waiters drainers ABSL_GUARDED_BY(mutex);
  std::size_t in_hand ABSL_GUARDED_BY(mutex) = 0;  // items on their way out: they are back if a move throws
  core::queued* unused ABSL_GUARDED_BY(mutex) = nullptr;  // places without an item, through `next`
  std::uint64_t pushed ABSL_GUARDED_BY(mutex) = 0;
  std::uint64_t popped ABSL_GUARDED_BY(mutex) = 0;
  std::atomic<std::uint64_t> refused{0};      // relaxed: a count
  std::function<void(queue_level)> on_level;  // set before the queue is used

 private:
  bool anyone_waits() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return !consumers.empty() || !producers.empty() || !drainers.empty();
  }
  [[gnu::noinline]] void settle_and_unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    queue_waiters woken;
    settle(woken);
    const bool tells = marks_.see(machine.items() + machine.reserved(), machine.bytes());
    mutex.unlock();
    woken.wake_all();
    if (tells) tell_level();
  }
  void settle(queue_waiters& out) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (!consumers.empty()) {
      if (machine.items() > coming) {
        queue_waiter& first = *consumers.first();
        first.coming = true;
        coming += first.takes;
        consumers.move_first_to(out);
      } else if (over()) {
        consumers.move_all_to(out);
      }
    }
    if (!producers.empty()) {
      if (machine.closed()) {
        producers.move_all_to(out);
      } else if (machine.fits(producers.first()->bytes)) {
        producers.move_first_to(out);
      }
    }
    if (over() && !drainers.empty()) drainers.move_all_to(out);
  }

  void tell_level() {
    for (;;) {
      std::optional<queue_level> level;
      listener* events = nullptr;
      {
        const core::mutex_lock lock(mutex);
        level = marks_.next();
        events = events_;
      }
      if (!level) return;
      const bool high = *level == queue_level::high;
      if (on_level) on_level(*level);
      if (events != nullptr) {
        events->on(event::state_changed{.policy = policy_name,
                                        .name = name,
                                        .key = {},
                                        .from = to_string(high ? queue_level::low : queue_level::high),
                                        .to = to_string(*level),
                                        .why = high ? "high watermark" : "low watermark",
                                        .at = steady_clock::now()});
      }
    }
  }

  core::watermarks marks_ ABSL_GUARDED_BY(mutex);
  listener* events_ ABSL_GUARDED_BY(mutex) = nullptr;
  std::atomic<bool> timed_{false};
  std::atomic<bool> plain_{false};
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_QUEUE_QUEUE_STATE_HPP
