// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_WAITING_HPP
#define SEAWALL_QUEUE_WAITING_HPP

// Those who wait for a queue: threads here, coroutines in async_pop.hpp. Whoever is woken looks again;
// nothing is handed to him while he sleeps, so that nothing is lost with one that goes away.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>

#include "seawall/time.hpp"

namespace seawall {

/// How long to wait: until the deadline (of `steady_clock`, or of the scheduler that waits), or until `stop`
/// is requested.
struct queue_wait {
  instant deadline = instant::never();
  std::stop_token stop = {};
};

namespace detail {

/// One who waits. In a list, or on his way: once out of the list, `wake` is called, and not before that may
/// he go.
class queue_waiter {
 public:
  queue_waiter() = default;
  queue_waiter(const queue_waiter&) = delete;
  queue_waiter& operator=(const queue_waiter&) = delete;

  /// He is out of the list; no lock is held. He may be gone when it returns.
  virtual void wake() noexcept = 0;

  // The queue's mutex guards these.
  queue_waiter* previous = nullptr;
  queue_waiter* next = nullptr;
  bool linked = false;
  bool coming = false;       // he has been woken, and has not looked yet
  std::uint64_t ticket = 0;  // his place among those who wait; 0: he has not waited yet
  std::uint64_t bytes = 0;   // that his item needs
  std::uint64_t takes = 1;   // items, at most, when he looks

 protected:
  ~queue_waiter() = default;
};

/// In the order in which they came: whoever has looked in vain goes back to his place.
///
/// Thread safety: none of its own; the queue's mutex. Cost: constant; to go back, a step for each of those in
/// front, which are only such as have gone back as well.
class queue_waiters {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  queue_waiter* first() const noexcept { return first_; }

  void add(queue_waiter& w) noexcept {
    queue_waiter* after = last_;
    if (w.ticket == 0) {
      w.ticket = ++tickets_;
    } else {
      after = nullptr;
      for (queue_waiter* one = first_; one != nullptr && one->ticket < w.ticket; one = one->next) after = one;
    }
    w.previous = after;
    w.next = after != nullptr ? after->next : first_;
    (w.previous != nullptr ? w.previous->next : first_) = &w;
    (w.next != nullptr ? w.next->previous : last_) = &w;
    w.linked = true;
    ++size_;
  }
  void remove(queue_waiter& w) noexcept {
    if (!w.linked) return;
    (w.previous != nullptr ? w.previous->next : first_) = w.next;
    (w.next != nullptr ? w.next->previous : last_) = w.previous;
    w.linked = false;
    --size_;
  }
  void move_first_to(queue_waiters& out) noexcept {
    queue_waiter& w = *first_;
    remove(w);
    out.chain(w);
  }
  void move_all_to(queue_waiters& out) noexcept {
    while (first_ != nullptr) move_first_to(out);
  }
  /// Of those who are in no list any more.
  void wake_all() noexcept {
    while (queue_waiter* const w = first_) {
      first_ = w->next;  // first: he may be gone
      w->wake();
    }
  }

 private:
  void chain(queue_waiter& w) noexcept {
    w.next = nullptr;
    (first_ != nullptr ? last_->next : first_) = &w;
    last_ = &w;
  }

  queue_waiter* first_ = nullptr;
  queue_waiter* last_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t tickets_ = 0;
};

/// A thread.
class thread_waiter final : public queue_waiter {
 public:
  enum class end : std::uint8_t { woken, timed_out, stopped };

  explicit thread_waiter(const queue_wait& wait) : deadline_(wait.deadline) {
    if (wait.stop.stop_possible()) on_stop_.emplace(wait.stop, stopping{this});
  }

  void wake() noexcept override {
    // Notified under the mutex: whoever waits may be gone as soon as he can proceed.
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_one();
  }

  /// What came first. Anything but `woken`: he may still be woken, see `wait_woken`.
  end wait() {
    std::unique_lock lock(mutex_);
    const auto over = [this] { return woken_ || stopped_; };
    if (deadline_ == instant::never()) {
      changed_.wait(lock, over);
    } else {
      changed_.wait_until(lock, deadline_.to_chrono(), over);
    }
    if (stopped_) return end::stopped;
    if (!woken_) return end::timed_out;
    woken_ = false;
    return end::woken;
  }
  /// He is out of the list, and is about to be woken.
  void wait_woken() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return woken_; });
  }

 private:
  struct stopping {
    thread_waiter* self;
    void operator()() const noexcept {
      const std::lock_guard lock(self->mutex_);
      self->stopped_ = true;
      self->changed_.notify_one();
    }
  };

  std::mutex mutex_;  // guards the two flags
  std::condition_variable changed_;
  bool woken_ = false;
  bool stopped_ = false;
  const instant deadline_;
  std::optional<std::stop_callback<stopping>> on_stop_;
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_QUEUE_WAITING_HPP
