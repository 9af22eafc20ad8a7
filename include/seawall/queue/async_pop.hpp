// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_ASYNC_POP_HPP
#define SEAWALL_QUEUE_ASYNC_POP_HPP

// Coroutines as consumers of a backpressure queue, on any scheduler: `co_await async_pop(queue, scheduler)`.

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

#include "seawall/exec/scheduler.hpp"
#include "seawall/queue/backpressure_queue.hpp"
#include "seawall/queue/queue_results.hpp"
#include "seawall/queue/waiting.hpp"
#include "seawall/time.hpp"

namespace seawall {

namespace detail {

/// Waits for an item, for the deadline, or for the stop token. Whoever takes it out of the queue's list, under the queue's mutex, has
/// *claimed* it: a producer, the timer or the token, one of them for each time that it waits. It goes on on the scheduler, when the
/// timer too has let go.
template <class T, class Scheduler>
class async_popping : queue_waiter, task {
 public:
  async_popping(backpressure_queue<T>& queue, Scheduler& on, instant deadline, std::stop_token stop)
      : task(&async_popping::resume),
        storage_(queue.storage()),
        scheduler_(on),
        deadline_(deadline),
        stop_(std::move(stop)),
        result_(queue_answer::empty),
        due_(*this) {}
  async_popping(const async_popping&) = delete;
  async_popping& operator=(const async_popping&) = delete;
  /// Given up by those who share a thread with the scheduler.
  ~async_popping() {
    if (waiting_ && storage_.leave(&queue_state::consumers, *this) && armed_) scheduler_.cancel(timer_);
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> h) {
    coroutine_ = h;
    return look(end::woken);
  }
  pop_result<T> await_resume() { return std::move(result_); }

 private:
  enum class end : std::uint8_t { woken, timed_out, stopped };

  struct due final : task {
    explicit due(async_popping& o) noexcept : task(&async_popping::timer), owner(o) {}
    async_popping& owner;
  };
  struct stopping {
    async_popping* self;
    void operator()() const noexcept {
      if (self->storage_.leave(&queue_state::consumers, *self)) self->claimed(end::stopped);
    }
  };

  // True: it waits, and this may be gone already.
  bool look(end how) {
    while (how == end::woken) {
      if (const std::optional<queue_answer> a = storage_.pop(result_, scheduler_.now(), enlist()))
        return ended(*a);
      const std::optional<end> at_once = begin();
      if (!at_once) return true;
      how = *at_once;
    }
    const queue_answer last = *storage_.pop(result_, scheduler_.now(), nullptr);
    if (last != queue_answer::empty) return ended(last);
    return ended(how == end::stopped ? queue_answer::stopped : queue_answer::timed_out);
  }
  bool ended(queue_answer a) noexcept {
    waiting_ = false;
    result_.set(a);
    return false;
  }

  queue_waiter* enlist() noexcept {
    events_.store(0, std::memory_order_relaxed);
    timer_met_.store(false, std::memory_order_relaxed);
    armed_ = deadline_ != instant::never();
    waiting_ = true;
    return this;
  }
  // It is in the list. Whoever claims it leaves it to us to go on, until we have begun. How it ended if it has ended already.
  std::optional<end> begin() {
    if (stop_.stop_possible()) on_stop_.emplace(stop_, stopping{this});
    if (armed_) scheduler_.schedule_at(deadline_, timer_, due_);
    std::uint8_t none = 0;
    // Release: whoever goes on sees what was written here. Acquire: we see what the claimer wrote.
    if (events_.compare_exchange_strong(none, begun, std::memory_order_acq_rel, std::memory_order_acquire))
      return std::nullopt;
    if (!alone()) return std::nullopt;
    return how_;
  }

  // The rest is done by whoever has claimed it.

  void wake() noexcept override { claimed(end::woken); }
  void claimed(end how) noexcept {
    how_ = how;
    const std::uint8_t before = events_.fetch_or(claim, std::memory_order_acq_rel);
    if ((before & begun) != 0) scheduler_.post(*this);
  }
  static void resume(task& t, task::outcome how) {
    auto& self = static_cast<async_popping&>(t);
    if (how == task::outcome::drop) return self.pass_on();
    if (how == task::outcome::stop) self.how_ = end::stopped;
    if (self.alone()) self.go_on();
  }
  static void timer(task& t, task::outcome how) {
    async_popping& self = static_cast<due&>(t).owner;
    if (self.storage_.leave(&queue_state::consumers, self)) {
      self.armed_ = false;
      self.how_ = how == task::outcome::stop ? end::stopped : end::timed_out;
      const std::uint8_t before = self.events_.fetch_or(claim, std::memory_order_acq_rel);
      if ((before & begun) == 0 || how == task::outcome::drop) return;
      if (self.alone()) self.go_on();
    } else if (self.timer_met_.exchange(true, std::memory_order_acq_rel)) {
      if (how == task::outcome::drop) return self.pass_on();
      self.go_on();
    }
  }
  // Nobody else will touch it: the token's callback is over, and so is the timer. Else the timer, which is about to run, goes on.
  bool alone() {
    on_stop_.reset();
    if (!armed_ || scheduler_.cancel(timer_)) return true;
    return timer_met_.exchange(true, std::memory_order_acq_rel);
  }
  void go_on() {
    if (!look(how_)) coroutine_.resume();
  }
  // The scheduler is gone; the item is for somebody else.
  void pass_on() noexcept {
    waiting_ = false;
    on_stop_.reset();
    const queue_state::section s(storage_.state);
  }

  static constexpr std::uint8_t begun = 1, claim = 2;

  queue_storage<T>& storage_;
  Scheduler& scheduler_;
  const instant deadline_;
  const std::stop_token stop_;
  std::coroutine_handle<> coroutine_;
  pop_result<T> result_;
  due due_;
  typename Scheduler::timer timer_;
  std::optional<std::stop_callback<stopping>> on_stop_;
  std::atomic<std::uint8_t> events_{0};  // some of the bits above
  std::atomic<bool> timer_met_{false};   // one of the two, timer and claimer, has come
  end how_ = end::woken;
  bool armed_ = false;
  bool waiting_ = false;
};

}  // namespace detail

/// `co_await` it: a `pop_result<T>`, as `queue.pop({deadline, stop})` has it, but the coroutine waits instead of the thread, and goes
/// on on the scheduler. The deadline is one of the scheduler's clock. Not a `queue_wait`: g++ 12 destroys an aggregate that is
/// written into a co_await expression twice.
///
/// Lifetime: queue and scheduler outlive the wait. A coroutine that waits may be destroyed only by those who share a thread with the
/// scheduler and with all who push; elsewhere request `stop`, and let it end.
/// Cost: that of a pop; if it waits, a post, and a timer where there is a deadline. No allocation but that of a stop callback.
template <class T, scheduler Scheduler>
[[nodiscard]] detail::async_popping<T, Scheduler> async_pop(backpressure_queue<T>& queue, Scheduler& on,
                                                            instant deadline = instant::never(),
                                                            std::stop_token stop = {}) {
  return {queue, on, deadline, std::move(stop)};
}

}  // namespace seawall

#endif  // SEAWALL_QUEUE_ASYNC_POP_HPP
