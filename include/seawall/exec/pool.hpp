// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_POOL_HPP
#define SEAWALL_EXEC_POOL_HPP

// A pool of threads, as a scheduler for asynchronous calls and as a place for operations that block; and
// `run_on`, the driver in which the caller waits while attempts run on a pool, so that time-outs end what
// does not end by itself.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "seawall/core/timer_heap.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct pool_options {
  std::string name = "pool";
  std::uint32_t threads = 0;         ///< [0, 1024]; 0: one for each processor
  std::uint32_t queue_max = 10'000;  ///< pieces of blocking work that wait for a thread; 0: none waits
};

inline std::optional<option_error> validate(const pool_options& o) {
  detail::option_checks checks;
  checks.require(o.threads <= 1024, "threads", std::uint64_t{o.threads}, "must be at most 1024");
  return checks.result();
}

struct pool_snapshot {
  std::string name = {};
  std::uint32_t threads = 0;
  std::uint32_t busy = 0;    ///< threads that run something
  std::uint32_t queued = 0;  ///< blocking work that waits for a thread
  std::uint64_t calls = 0;   ///< asynchronous calls under way
};

/// A piece of work that may block, and may be taken back while it waits for a thread.
class pool_task : public task {
 protected:
  using task::task;

 private:
  friend class pool_scheduler;
  pool_task* before_ = nullptr;
  pool_task* behind_ = nullptr;
  bool waits_ = false;
};

/// Threads, a queue, and timers.
///
/// Two kinds of work: what goes on with calls under way (`post`, timers) is short, is bounded by the number
/// of calls, and goes first; operations that block (`try_post`, used by `run_on`) wait in a queue that is
/// bounded, and are refused when it is full: as many threads as one dependency may take, with a queue as
/// short as its callers' patience, are a bulkhead (docs/bulkhead.md). Operations that block for long keep
/// timers waiting if all threads are at it: give asynchronous calls a pool of their own.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions).
/// Thread safety: shared objects safe.
/// Cancellation: `shut_down` (and the destructor) refuses new blocking work, hands back what is queued, ends
/// every pause of the calls under way (they complete, with `reason::shut_down`), and waits until all calls
/// have completed. It must not be called from the pool's own threads. Start no asynchronous call on it after
/// that: it would be dropped with the pool.
/// Cost: a mutex for each piece of work; no allocation but for the threads.
class pool_scheduler {
 public:
  using options_type = pool_options;
  static constexpr std::string_view policy_name = "pool";

  explicit pool_scheduler(pool_options options = {})
      : options_(detail::checked(policy_name, std::move(options))) {
    if (options_.threads == 0) options_.threads = std::max(1U, std::thread::hardware_concurrency());
    threads_.reserve(options_.threads);
#if defined(__cpp_exceptions)
    try {
#endif
      for (std::uint32_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
#if defined(__cpp_exceptions)
    } catch (...) {  // no more threads to be had
      shut_down();
      throw;
    }
#endif
  }
  pool_scheduler(const pool_scheduler&) = delete;
  pool_scheduler& operator=(const pool_scheduler&) = delete;
  /// What came after `shut_down` is dropped.
  ~pool_scheduler() {
    shut_down();
    bool stop = false;
    while (task* const work = take(stop)) work->drop();
  }

  const std::string& name() const noexcept { return options_.name; }
  pool_snapshot snapshot() const {
    const std::lock_guard lock(mutex_);
    return {.name = options_.name,
            .threads = options_.threads,
            .busy = running_,
            .queued = queued_,
            .calls = calls_};
  }

  /// May be called again; later calls return when the first one does.
  void shut_down() {
    std::call_once(down_, [this] {
      {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        wake_all();
      }
      for (std::thread& t : threads_) t.join();
    });
  }

  // A scheduler.

  class timer : private core::timer_node {
    friend class pool_scheduler;
    task* work_ = nullptr;
  };

  static instant now() noexcept { return steady_clock::now(); }
  void post(task& work) noexcept {
    const std::lock_guard lock(mutex_);
    short_.push(work);
    wake_one();
  }
  void schedule_at(instant at, timer& t, task& work) noexcept {
    const std::lock_guard lock(mutex_);
    t.work_ = &work;
    t.at = at;
    t.order = ++scheduled_;
    timers_.push(t);
    // Whoever waits for a later one, or for none, must wait anew.
    if (timers_.top() == &t || stopping_) wake_for_timers();
  }
  bool cancel(timer& t) noexcept {
    const std::lock_guard lock(mutex_);
    const bool was_there = t.linked;
    timers_.remove(t);
    return was_there;
  }
  void work_started() noexcept {
    const std::lock_guard lock(mutex_);
    ++calls_;
  }
  void work_finished() noexcept {
    const std::lock_guard lock(mutex_);
    if (--calls_ == 0 && stopping_) wake_all();
  }

  // For work that blocks.

  /// `queue_full` if no thread is free and the queue is full, `shut_down` if the pool shuts down; `none` if
  /// it was taken. Handed back with `task::stop` if it shuts down later.
  reason try_post(pool_task& work) noexcept {
    const std::lock_guard lock(mutex_);
    if (stopping_) return reason::shut_down;
    // What a free thread is about to take does not wait.
    if (queued_ >= options_.queue_max + std::uint64_t{options_.threads - running_}) return reason::queue_full;
    work.before_ = newest_;
    work.behind_ = nullptr;
    (newest_ != nullptr ? newest_->behind_ : oldest_) = &work;
    newest_ = &work;
    work.waits_ = true;
    ++queued_;
    wake_one();
    return reason::none;
  }
  /// True if it waited for a thread still, and will not be run.
  bool withdraw(pool_task& work) noexcept {
    const std::lock_guard lock(mutex_);
    if (!work.waits_) return false;
    unlink(work);
    return true;
  }

 private:
  using lock_type = std::unique_lock<std::mutex>;

  void work() {
    lock_type lock(mutex_);
    while (!finished()) {
      bool stop = false;
      task* const next = take(stop);
      if (next == nullptr) {
        wait(lock);
        continue;
      }
      // Two pieces of work may have woken the same thread; and somebody must wait for the next timer.
      const bool more = !short_.empty() || queued_ != 0 || (!timed_ && !timers_.empty());
      if (more && idle_ > 0) wake_one();
      ++running_;
      lock.unlock();
      stop ? next->stop() : next->run();
      lock.lock();
      --running_;
    }
  }

  bool finished() const noexcept {
    return stopping_ && calls_ == 0 && timers_.empty() && short_.empty() && queued_ == 0;
  }

  task* take(bool& stop) noexcept {
    if (timer* const due = static_cast<timer*>(timers_.top());
        due != nullptr && (stopping_ || due->at <= now())) {
      timers_.remove(*due);
      stop = stopping_;
      return due->work_;
    }
    if (task* const t = short_.pop()) return t;
    if (oldest_ == nullptr) return nullptr;
    stop = stopping_;
    return unlink(*oldest_);
  }

  task* unlink(pool_task& work) noexcept {
    (work.before_ != nullptr ? work.before_->behind_ : oldest_) = work.behind_;
    (work.behind_ != nullptr ? work.behind_->before_ : newest_) = work.before_;
    work.waits_ = false;
    --queued_;
    return &work;
  }

  // One idle thread waits for the next timer, the others for work.
  void wait(lock_type& lock) {
    ++idle_;
    if (timed_ || timers_.empty()) {
      for_work_.wait(lock);
    } else {
      timed_ = true;
      for_timers_.wait_until(lock, timers_.next_due().to_chrono());
      timed_ = false;
    }
    --idle_;
  }
  // Under the mutex: a pool may be destroyed as soon as its last call has completed.
  void wake_one() noexcept {
    if (idle_ > (timed_ ? 1U : 0U)) {
      for_work_.notify_one();
    } else if (timed_) {
      for_timers_.notify_one();
    }
  }
  void wake_for_timers() noexcept {
    if (timed_) {
      for_timers_.notify_one();
    } else if (idle_ > 0) {
      for_work_.notify_one();
    }
  }
  void wake_all() noexcept {
    for_work_.notify_all();
    for_timers_.notify_all();
  }

  pool_options options_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable for_work_;
  std::condition_variable for_timers_;
  task_queue short_;
  core::timer_heap timers_;
  std::uint64_t scheduled_ = 0;
  std::uint64_t calls_ = 0;
  pool_task* oldest_ = nullptr;  // blocking work
  pool_task* newest_ = nullptr;
  std::uint32_t queued_ = 0;
  std::uint32_t running_ = 0;  // threads that run something
  std::uint32_t idle_ = 0;     // threads that wait
  bool timed_ = false;         // one of the idle ones waits for the next timer
  bool stopping_ = false;
  std::vector<std::thread> threads_;
  std::once_flag down_;
};

static_assert(scheduler<pool_scheduler>);

namespace detail {

/// The scheduler of a call whose caller waits: the caller itself.
template <class Pool>
class waiting_caller {
 public:
  explicit waiting_caller(Pool& pool) noexcept : pool_(pool) {}
  waiting_caller(const waiting_caller&) = delete;
  waiting_caller& operator=(const waiting_caller&) = delete;

  class timer : private core::timer_node {
    friend class waiting_caller;
    task* work_ = nullptr;
  };

  Pool& pool() noexcept { return pool_; }

  static instant now() noexcept { return steady_clock::now(); }
  void post(task& work) noexcept {
    // Notified under the lock: the caller may destroy this as soon as it can proceed.
    const std::lock_guard lock(mutex_);
    ready_.push(work);
    woken_.notify_one();
  }
  // Timers and calls are the caller's own business: no lock.
  void schedule_at(instant at, timer& t, task& work) noexcept {
    t.work_ = &work;
    t.at = at;
    timers_.push(t);
  }
  bool cancel(timer& t) noexcept {
    const bool was_there = t.linked;
    timers_.remove(t);
    return was_there;
  }
  void work_started() noexcept { ++calls_; }
  void work_finished() noexcept { --calls_; }

  /// Until every call has been completed: this one, and those of its fallbacks.
  void wait() {
    while (calls_ != 0) next()->run();
  }

 private:
  task* next() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        const auto ready = [this] { return !ready_.empty(); };
        if (timers_.empty()) {
          woken_.wait(lock, ready);
        } else {
          woken_.wait_until(lock, timers_.next_due().to_chrono(), ready);
        }
        if (task* const t = ready_.pop()) return t;
      }
      auto* const due = static_cast<timer*>(timers_.top());
      if (due == nullptr || due->at > now()) continue;
      timers_.remove(*due);
      return due->work_;
    }
  }

  Pool& pool_;
  std::mutex mutex_;  // guards ready_
  std::condition_variable woken_;
  task_queue ready_;
  core::timer_heap timers_;
  std::size_t calls_ = 0;
};

/// Runs attempts of `Op`, which blocks, on the threads of a pool.
template <class Op>
struct launch_on_pool {
  using result_type = result_of<Op>;
  using stored = stored_as<result_type>;
  using S = typename stored::type;
  template <class Other>
  using same_for = launch_on_pool<Other>;

  class state : public pool_task {
   public:
    state() noexcept : pool_task(&state::act) {}

    template <class Pool>
    void start(Pool& pool, Op& op, const attempt& a, attempt_slot<S>& slot) {
      op_ = &op;
      attempt_.emplace(a);
      slot_ = &slot;
      withdraw_ = [](void* from, pool_task& t) noexcept { return static_cast<Pool*>(from)->withdraw(t); };
      pool_ = &pool;
      const reason refused = pool.try_post(*this);
      if (refused != reason::none) return end({.policy = "pool", .name = pool.name(), .why = refused});
      slot.promise();
    }
    /// Only before the pool is asked for the last time: while the attempt is in flight.
    void cancel() noexcept {
      if (withdraw_(pool_, *this)) end({.policy = "caller", .why = reason::cancelled});
    }

   private:
    static void act(task& t, task::outcome how) {
      auto& self = static_cast<state&>(t);
      if (how != task::outcome::run) return self.end({.policy = "pool", .why = reason::shut_down});
      self.run();
    }
    void run() {
      attempt_slot<S>& slot = *slot_;
#if defined(__cpp_exceptions)
      try {
#endif
        slot.keep(stored::keep([&]() -> result_type { return invoke_operation(*op_, *attempt_); }));
#if defined(__cpp_exceptions)
      } catch (...) {
        slot.keep_thrown(std::current_exception());
      }
#endif
      slot.deliver();
    }
    void end(const rejection& r) {
      slot_->keep(outcome_traits<S>::reject(r, nullptr));
      slot_->deliver();
    }

    Op* op_ = nullptr;
    std::optional<attempt> attempt_;
    attempt_slot<S>* slot_ = nullptr;
    void* pool_ = nullptr;
    bool (*withdraw_)(void*, pool_task&) noexcept = nullptr;
  };

  template <class Scheduler>
  static void start(Scheduler& caller, state& room, Op& op, const attempt& a, attempt_slot<S>& slot) {
    room.start(caller.pool(), op, a, slot);
  }
  static void cancel(state& room) noexcept { room.cancel(); }
};

struct run_pooled {
  template <class Pipeline, class Pool, class Options, class Outer, class Op>
  static auto run(const Pipeline& p, Pool& pool, Options options, Outer outer, Op&& op) {
    using launch = launch_on_pool<run_async::bare<Op>>;
    using stored = stored_as<typename launch::result_type>;
    std::optional<typename stored::type> answer;
    waiting_caller<Pool> caller(pool);
    run_async::make<launch>(p, caller, options, outer, std::forward<Op>(op),
                            [&answer](typename stored::type&& result) { answer.emplace(std::move(result)); })
        .begin();
    caller.wait();
    return stored::release(*std::move(answer));
  }
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_EXEC_POOL_HPP
