// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_SLEEP_HPP
#define SEAWALL_EXEC_SLEEP_HPP

// A pause for coroutines of any kind, on any scheduler: `co_await sleep_for(scheduler, 30ms)`. What
// operations and tests need to let time pass; calls do not sleep, they are told the time.

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

#include "seawall/exec/scheduler.hpp"
#include "seawall/time.hpp"

namespace seawall {

namespace detail {

/// Waits for an instant or for a stop token, whichever comes first. `Owner` derives from it and has
/// `woken(bool in_time)`, which is called once, by the scheduler or by whoever fires the token, and after
/// which this may be gone.
template <class Scheduler, class Owner>
class timed_wait : task {
 public:
  timed_wait(const timed_wait&) = delete;
  timed_wait& operator=(const timed_wait&) = delete;

 protected:
  explicit timed_wait(Scheduler& scheduler) noexcept : task(&timed_wait::act), scheduler_(scheduler) {}
  /// Given up by those who share a thread with the scheduler.
  ~timed_wait() {
    if (armed_ && events_.load(std::memory_order_relaxed) == begun) scheduler_.cancel(timer_);
  }

  Scheduler& scheduler() const noexcept { return scheduler_; }

  /// What is known at once, else nothing: `woken` is called, or was, and this may be gone. May be begun again
  /// once it is over.
  std::optional<bool> begin(instant at, const std::stop_token& stop) {
    events_.store(0, std::memory_order_relaxed);
    in_time_ = true;
    if (stop.stop_possible()) stop_.emplace(stop, on_stop{this});
    if ((events_.load(std::memory_order_acquire) & stopped) != 0) return over(false);
    // `never()`: only the token ends it.
    armed_ = at != instant::never();
    if (armed_) scheduler_.schedule_at(at, timer_, *this);
    return leave();
  }

 private:
  // What has happened. Whoever finds that all the others have let go goes on. Acquire and release: what they
  // wrote is seen.
  static constexpr std::uint8_t begun = 1, due = 2, stopped = 4;

  struct on_stop {
    timed_wait* self;
    void operator()() const noexcept { self->stop(); }
  };

  // While `begun` is not set, timer and token leave everything to this.
  std::optional<bool> leave() {
    std::uint8_t seen = events_.load(std::memory_order_acquire);
    do {
      if ((seen & due) != 0) return over(in_time_);
      if ((seen & stopped) != 0 && (!armed_ || scheduler_.cancel(timer_))) return over(false);
      // A timer that cannot be cancelled is about to run.
    } while (!events_.compare_exchange_weak(seen, seen | begun, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
    return std::nullopt;
  }
  bool over(bool in_time) {
    stop_.reset();
    armed_ = false;
    return in_time;
  }

  static void act(task& t, task::outcome how) {
    auto& self = static_cast<timed_wait&>(t);
    if (how != task::outcome::run) self.in_time_ = false;
    const std::uint8_t before = self.events_.fetch_or(due, std::memory_order_acq_rel);
    if ((before & begun) == 0) return;
    // Waits for a callback that is running: it touches this.
    const bool in_time = self.over(self.in_time_ && (before & stopped) == 0);
    static_cast<Owner&>(self).woken(in_time);
  }
  void stop() noexcept {
    const std::uint8_t before = events_.fetch_or(stopped, std::memory_order_acq_rel);
    if ((before & begun) == 0 || (before & due) != 0) return;
    if (armed_ && !scheduler_.cancel(timer_)) return;  // it is about to run, and goes on
    const bool in_time = over(false);
    static_cast<Owner&>(*this).woken(in_time);
  }

  Scheduler& scheduler_;
  typename Scheduler::timer timer_;
  std::optional<std::stop_callback<on_stop>> stop_;
  std::atomic<std::uint8_t> events_{0};  // some of the bits above
  bool armed_ = false;
  bool in_time_ = true;
};

template <class Scheduler>
class sleeping : timed_wait<Scheduler, sleeping<Scheduler>> {
  using base = timed_wait<Scheduler, sleeping<Scheduler>>;
  friend base;

 public:
  sleeping(Scheduler& scheduler, instant at, std::stop_token stop)
      : base(scheduler), at_(at), stop_(std::move(stop)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    const std::optional<bool> known = this->begin(at_, stop_);
    if (!known) return true;
    in_time_ = *known;
    return false;
  }
  bool await_resume() const noexcept { return in_time_; }

 private:
  void woken(bool in_time) {
    in_time_ = in_time;
    waiting_.resume();
  }

  instant at_;
  std::stop_token stop_;
  std::coroutine_handle<> waiting_;
  bool in_time_ = true;
};

}  // namespace detail

/// `co_await` it: the coroutine goes on on the scheduler once the time has come, or where `stop` is fired as
/// soon as it is. True if it was the time; false if it was `stop`, or if the scheduler shuts down. `never()`
/// waits for `stop` alone.
///
/// Lifetime: the scheduler outlives the sleep. A sleeping coroutine may be destroyed where due timers are run
/// on the spot, by those who share a thread with them (`virtual_scheduler`); elsewhere fire `stop`, and let
/// it end.
/// Cost: a timer; no allocation but that of a stop callback.
template <scheduler Scheduler>
[[nodiscard]] detail::sleeping<Scheduler> sleep_until(Scheduler& on, instant at, std::stop_token stop = {}) {
  return {on, at, std::move(stop)};
}
template <scheduler Scheduler>
[[nodiscard]] detail::sleeping<Scheduler> sleep_for(Scheduler& on, duration d, std::stop_token stop = {}) {
  return {on, on.now() + d, std::move(stop)};
}

}  // namespace seawall

#endif  // SEAWALL_EXEC_SLEEP_HPP
