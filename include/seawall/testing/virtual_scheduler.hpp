// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_VIRTUAL_SCHEDULER_HPP
#define SEAWALL_TESTING_VIRTUAL_SCHEDULER_HPP

// A scheduler whose time passes only when it is run: a discrete-event simulation. The same seed gives the
// same run, to the nanosecond; another seed gives another order among things that happen at the same instant.

#include <cstdint>

#include "seawall/core/timer_heap.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

/// Thread safety: none; virtual time has one thread. Cost: no allocation.
class virtual_scheduler {
 public:
  /// Among events at the same instant: in the order in which they were scheduled, or shuffled by `seed`.
  virtual_scheduler() = default;
  explicit virtual_scheduler(std::uint64_t seed) noexcept : random_(seed), shuffled_(true) {}
  virtual_scheduler(const virtual_scheduler&) = delete;
  virtual_scheduler& operator=(const virtual_scheduler&) = delete;
  /// What has not been run is dropped.
  ~virtual_scheduler() {
    while (task* const work = take()) work->drop();
  }

  class timer : private core::timer_node {
    friend class virtual_scheduler;
    task* work_ = nullptr;
  };

  instant now() const noexcept { return now_; }
  /// Since the scheduler's zero: what a test compares with.
  duration elapsed() const noexcept { return now_ - instant(); }

  void post(task& work) noexcept { posted_.push(work); }
  void schedule_at(instant at, timer& t, task& work) noexcept {
    t.work_ = &work;
    t.at = at < now_ ? now_ : at;
    t.order = shuffled_ ? random_.next() : ++scheduled_;
    timers_.push(t);
  }
  bool cancel(timer& t) noexcept {
    const bool was_there = t.linked;
    timers_.remove(t);
    return was_there;
  }

  /// Runs what is due first, and passes the time until then. False if there is nothing to run.
  bool run_one() {
    task* const work = take();
    if (work == nullptr) return false;
    work->run();
    return true;
  }
  /// Runs until nothing is left to run, or until `end`, which is then the time.
  void run_until(instant end) {
    while (!posted_.empty() || timers_.next_due() <= end) {
      if (!run_one()) return;
    }
    if (now_ < end && end != instant::never()) now_ = end;
  }
  void run_for(duration d) { run_until(now_ + d); }
  void run() { run_until(instant::never()); }

 private:
  task* take() noexcept {
    if (task* const work = posted_.pop()) return work;
    auto* const due = static_cast<timer*>(timers_.top());
    if (due == nullptr) return nullptr;
    timers_.remove(*due);
    now_ = due->at;
    return due->work_;
  }

  instant now_;
  core::timer_heap timers_;
  task_queue posted_;
  random_source random_{0};
  bool shuffled_ = false;
  std::uint64_t scheduled_ = 0;
};

static_assert(scheduler<virtual_scheduler>);

}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_VIRTUAL_SCHEDULER_HPP
