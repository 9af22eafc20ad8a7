// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUEUE_ASYNC_WAIT_HPP
#define SEAWALL_QUEUE_ASYNC_WAIT_HPP

// How a coroutine waits for a backpressure queue, on any scheduler; what for is async_pop.hpp's and
// async_push.hpp's matter.

#include <atomic>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <stop_token>
#include <utility>

#include "seawall/exec/scheduler.hpp"
#include "seawall/queue/queue_results.hpp"
#include "seawall/queue/queue_state.hpp"
#include "seawall/queue/waiting.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// What a coroutine waits for: `attempt` is made whenever it may succeed; it enlists the waiter in `list` and
/// returns nothing if it has to wait, and says `not_yet` if there is nobody to enlist.
template <class A>
concept queue_action = requires(A& a, instant now, queue_waiter* w, queue_answer how) {
  { a.attempt(now, w) } -> std::same_as<std::optional<queue_answer>>;
  { a.ended(how) } -> std::same_as<void>;
  a.storage().leave(A::list, *w);
  a.result();
};

/// Waits for what `Action` wants of a queue, for the deadline, or for the stop token. Whoever takes it out of
/// the queue's list, under the queue's mutex, has *claimed* it: the other side, the timer or the token, one
/// of them for each time that it waits. It goes on on the scheduler, when the timer too has let go.
template <queue_action Action, class Scheduler>
class queue_awaiter : queue_waiter, task {
 public:
  queue_awaiter(Action wanted, Scheduler& on, instant deadline, std::stop_token stop)
      : task(&queue_awaiter::resume),
        action_(std::move(wanted)),
        scheduler_(on),
        deadline_(deadline),
        stop_(std::move(stop)),
        due_(*this) {}
  queue_awaiter(const queue_awaiter&) = delete;
  queue_awaiter& operator=(const queue_awaiter&) = delete;
  /// Given up by those who share a thread with the scheduler.
  ~queue_awaiter() {
    if (waiting_ && leave() && armed_) scheduler_.cancel(timer_);
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> h) {
    coroutine_ = h;
    return look(end::woken);
  }
  auto await_resume() {
#if defined(__cpp_exceptions)
    if (thrown_) std::rethrow_exception(std::move(thrown_));
#endif
    return action_.result();
  }

 private:
  enum class end : std::uint8_t { woken, timed_out, stopped };

  struct due final : task {
    explicit due(queue_awaiter& o) noexcept : task(&queue_awaiter::timer), owner(o) {}
    queue_awaiter& owner;
  };
  struct stopping {
    queue_awaiter* self;
    void operator()() const noexcept {
      if (self->leave()) self->claimed(end::stopped);
    }
  };

  // True: it waits, and this may be gone already.
  bool look(end how) {
    while (how == end::woken) {
      if (const std::optional<queue_answer> a = action_.attempt(scheduler_.now(), enlist())) return ended(*a);
      const std::optional<end> at_once = begin();
      if (!at_once) return true;
      how = *at_once;
    }
    leave();  // he may have been woken as well
    const queue_answer last = *action_.attempt(scheduler_.now(), nullptr);
    if (last != Action::not_yet) return ended(last);
    return ended(how == end::stopped ? queue_answer::stopped : queue_answer::timed_out);
  }
  bool ended(queue_answer a) noexcept {
    waiting_ = false;
    action_.ended(a);
    return false;
  }

  queue_waiter* enlist() noexcept {
    events_.store(0, std::memory_order_relaxed);
    timer_met_.store(false, std::memory_order_relaxed);
    armed_ = deadline_ != instant::never();
    waiting_ = true;
    return this;
  }
  // It is in the list. Whoever claims it leaves it to us to go on, until we have begun. How it ended if it
  // has ended already.
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
    auto& self = static_cast<queue_awaiter&>(t);
    if (how == task::outcome::drop) return self.pass_on();
    if (how == task::outcome::stop) self.how_ = end::stopped;
    if (self.alone()) self.go_on();
  }
  static void timer(task& t, task::outcome how) {
    queue_awaiter& self = static_cast<due&>(t).owner;
    if (self.leave()) {
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
  // Nobody else will touch it: the token's callback is over, and so is the timer. Else the timer, which is
  // about to run, goes on.
  bool alone() {
    on_stop_.reset();
    if (!armed_ || scheduler_.cancel(timer_)) return true;
    return timer_met_.exchange(true, std::memory_order_acq_rel);
  }
  bool leave() { return action_.storage().leave(Action::list, *this); }
  void go_on() {
    if (!waits_again()) coroutine_.resume();
  }
  // What the move of an item throws is for whoever awaits it, not for the scheduler.
  bool waits_again() {
#if defined(__cpp_exceptions)
    try {
      return look(how_);
    } catch (...) {
      waiting_ = false;
      thrown_ = std::current_exception();
      return false;
    }
#else
    return look(how_);
#endif
  }
  // The scheduler is gone; what he was woken for is for somebody else.
  void pass_on() noexcept {
    waiting_ = false;
    on_stop_.reset();
    leave();
  }

  static constexpr std::uint8_t begun = 1, claim = 2;

  Action action_;
  Scheduler& scheduler_;
  const instant deadline_;
  const std::stop_token stop_;
  std::coroutine_handle<> coroutine_;
  due due_;
  typename Scheduler::timer timer_;
  std::optional<std::stop_callback<stopping>> on_stop_;
  std::atomic<std::uint8_t> events_{0};  // some of the bits above
  std::atomic<bool> timer_met_{false};   // one of the two, timer and claimer, has come
#if defined(__cpp_exceptions)
  std::exception_ptr thrown_;
#endif
  end how_ = end::woken;
  bool armed_ = false;
  bool waiting_ = false;
};

}  // namespace seawall::detail

#endif  // SEAWALL_QUEUE_ASYNC_WAIT_HPP
