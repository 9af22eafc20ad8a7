// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_SCHEDULER_HPP
#define SEAWALL_EXEC_SCHEDULER_HPP

// What the asynchronous drivers need of an event loop: the time, a timer that can be cancelled, and a way to
// run something soon. A new event loop is one small struct; docs/async.md has one. Work is intrusive: it
// lives in the calls, so that handing it over allocates nothing and cannot fail.

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "seawall/time.hpp"

namespace seawall {

/// A piece of work that is handed to a scheduler again and again, but not again before it was run.
///
/// Thread safety: none; it belongs to the scheduler from the moment it is handed over until one of the three
/// functions is called. After that the scheduler touches it no more: it may be gone.
class task {
 public:
  enum class outcome : std::uint8_t { run, stop, drop };

  /// What it was handed over for.
  void run() { act_(*this, outcome::run); }
  /// The scheduler shuts down in good order, and this timer will not be waited for: calls end, and say so.
  void stop() { act_(*this, outcome::stop); }
  /// The scheduler is gone: what is held is released, nobody is told.
  void drop() { act_(*this, outcome::drop); }

  // For the scheduler that has it.
  task* next = nullptr;

 protected:
  using action = void (*)(task&, outcome);
  constexpr explicit task(action act) noexcept : act_(act) {}
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() = default;

 private:
  action act_;
};

/// An event loop, thread pool or simulation.
///
/// - `now()`: the time; monotonic.
/// - `post(work)`: `work.run()` soon, in the order of the posts, never from inside.
/// - `schedule_at(at, t, work)`: `work.run()` once `now() >= at`, unless cancelled. The timer `t` is idle,
///   and stays where it is until then.
/// - `cancel(t)`: true if the work will not be run; false if it is idle, or was run, is running or about to
///   be.
///
/// All four may be called from any thread that uses the scheduler; none throws. `work.run()` may throw what a
/// completion handler has thrown: the state of the call is in order by then. A scheduler outlives the calls
/// that run on it, and calls `drop` or `stop` for what it will not run. Where it has `work_started()` and
/// `work_finished()`, they are called when a call begins, and after it has been completed or abandoned; a
/// call that was dropped uses its scheduler no more. One that is kept by the calls (a handle) can be copied.
template <class S>
concept scheduler = requires(S& s, instant at, task& work, typename S::timer& t) {
  { s.now() } -> std::same_as<instant>;
  { s.post(work) } -> std::same_as<void>;
  { s.schedule_at(at, t, work) } -> std::same_as<void>;
  { s.cancel(t) } -> std::same_as<bool>;
};

/// A scheduler that only refers to its event loop: calls keep a copy of it. Its event loop may be destroyed
/// before the calls on it have ended, and drops their timers then, of which some may be cancelled at that; a
/// timer may be set for `instant::never()`.
template <class S>
concept scheduler_handle = requires {
  requires std::remove_cvref_t<S>::is_handle;
};

/// Tasks in the order in which they came.
///
/// Thread safety: none of its own. Cost: constant; nothing is allocated.
class task_queue {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  void push(task& t) noexcept {
    t.next = nullptr;
    (first_ != nullptr ? last_->next : first_) = &t;
    last_ = &t;
  }
  /// The oldest; null if there is none.
  task* pop() noexcept {
    task* const t = first_;
    if (t != nullptr) first_ = t->next;
    return t;
  }

  task_queue() = default;
  task_queue(const task_queue&) = delete;
  task_queue& operator=(const task_queue&) = delete;

 private:
  task* first_ = nullptr;
  task* last_ = nullptr;
};

}  // namespace seawall

#endif  // SEAWALL_EXEC_SCHEDULER_HPP
