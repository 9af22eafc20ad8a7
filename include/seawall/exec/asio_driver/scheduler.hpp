// SPDX-License-Identifier: Apache-2.0

// An Asio executor as a scheduler. Read twice, by exec/asio.hpp and by exec/boost_asio.hpp, hence without a
// guard; included by anybody else it says nothing.

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "seawall/core/timer_heap.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/time.hpp"

#if defined(SEAWALL_ASIO)

namespace seawall {

namespace detail::SEAWALL_ASIO_DETAIL {

namespace net = SEAWALL_ASIO;

/// Executors of this Asio, and not of the other one.
template <class T>
concept executor = net::execution::is_executor<T>::value && requires(const T& executor) {
  { net::query(executor, net::execution::context) } -> std::convertible_to<net::execution_context&>;
};
template <class T>
concept context = std::derived_from<T, net::execution_context> && requires(T& context) {
  { context.get_executor() } -> executor;
};
/// What a call can run on: an executor, or a context.
template <class T>
concept place = executor<std::remove_cvref_t<T>> || context<std::remove_reference_t<T>>;

template <place P>
auto executor_of(P& place) {
  if constexpr (context<P>) {
    return place.get_executor();
  } else {
    return place;
  }
}

/// Holds back `run` of a context until it is destroyed.
template <class Executor>
using tracked = std::decay_t<decltype(net::prefer(std::declval<const Executor&>(),
                                                  net::execution::outstanding_work.tracked))>;
template <class Executor>
tracked<Executor> track(const Executor& executor) {
  return net::prefer(executor, net::execution::outstanding_work.tracked);
}

/// Work on its way to an executor. If it is destroyed before it was run, its context is gone.
class posted_work {
 public:
  explicit posted_work(task& work) noexcept : work_(&work) {}
  posted_work(posted_work&& other) noexcept : work_(std::exchange(other.work_, nullptr)) {}
  posted_work& operator=(posted_work&&) = delete;
  ~posted_work() {
    if (work_ != nullptr) work_->drop();
  }
  void operator()() { std::exchange(work_, nullptr)->run(); }

 private:
  task* work_;
};

/// Any thread of a context. For the context's one native timer, which must not wait for a strand of some
/// call.
class anywhere {
 public:
  explicit anywhere(net::execution_context& context) noexcept : context_(&context) {}

  net::execution_context& query(net::execution::context_t) const noexcept { return *context_; }
  template <class F>
  void execute(F&& f) const {
    std::forward<F>(f)();
  }
  friend bool operator==(const anywhere&, const anywhere&) noexcept = default;

 private:
  net::execution_context* context_;
};

/// The timers of all calls on a context, and the native timer that wakes up for the first of them.
///
/// Thread safety: shared objects safe. Cost: a mutex; the native timer is asked only for a time earlier than
/// all others, and when the last timer has gone, as a pending wait would hold back `run`.
class timer_service final : public net::execution_context::service {
 public:
  using key_type = timer_service;
  static inline net::execution_context::id id;

  /// A timer of some call. `hand_over` copies what it needs, unlocks, and posts the work.
  struct entry : core::timer_node {
    using lock_type = std::unique_lock<std::mutex>;

    const void* scheduler = nullptr;
    task* work = nullptr;
    void (*hand_over)(const entry&, lock_type&) = nullptr;
  };

  explicit timer_service(net::execution_context& context)
      : net::execution_context::service(context), native_(std::in_place, anywhere(context)) {}
  ~timer_service() { drop_all(); }

  void schedule(instant at, entry& e) noexcept {
    const std::lock_guard lock(mutex_);
    e.at = at;
    e.order = ++scheduled_;
    timers_.push(e);
    if (timers_.top() == &e) arm();
  }
  bool cancel(entry& e) noexcept {
    const std::lock_guard lock(mutex_);
    const bool was_there = e.linked;
    timers_.remove(e);
    if (timers_.next_due() == instant::never()) disarm();
    return was_there;
  }

 private:
  // So many at a time, then others have their turn: what waits in the context's queue stays bounded when a
  // million calls are due at once.
  static constexpr int batch = 64;

  void shutdown() noexcept override {
    {
      const std::lock_guard lock(mutex_);
      native_.reset();
    }
    drop_all();
  }
  void drop_all() noexcept {
    for (;;) {
      task* work = nullptr;
      {
        const std::lock_guard lock(mutex_);
        auto* const e = static_cast<entry*>(timers_.top());
        if (e == nullptr) return;
        timers_.remove(*e);
        work = e->work;
      }
      work->drop();  // may cancel others
    }
  }

  void arm() noexcept {
    const instant at = timers_.next_due();
    if (handing_over_ || at >= armed_for_ || !native_) return;
    armed_for_ = at;
    // A wait that is pending ends as aborted; one that is over already comes too early, which does no harm.
    native_->expires_at(at.to_chrono());
    native_->async_wait([this](const auto& error) {
      if (!error) hand_over_due();
    });
  }
  void disarm() noexcept {
    if (handing_over_ || armed_for_ == instant::never() || !native_) return;
    armed_for_ = instant::never();
    native_->cancel();
  }

  void hand_over_due() noexcept {
    entry::lock_type lock(mutex_);
    if (std::exchange(handing_over_, true)) return;  // whoever is at it looks again at the end
    for (int i = 0; i < batch; ++i) {
      auto* const e = static_cast<entry*>(timers_.top());
      if (e == nullptr || e->at > steady_clock::now()) break;
      timers_.remove(*e);
      e->hand_over(*e, lock);
      lock.lock();
    }
    handing_over_ = false;
    armed_for_ = instant::never();
    arm();
  }

  using clock = std::chrono::steady_clock;

  std::mutex mutex_;  // guards all below
  std::optional<net::basic_waitable_timer<clock, net::wait_traits<clock>, anywhere>> native_;
  core::timer_heap timers_;
  std::uint64_t scheduled_ = 0;
  instant armed_for_ = instant::never();
  bool handing_over_ = false;
};

}  // namespace detail::SEAWALL_ASIO_DETAIL

/// An Asio executor, or the executor of a context, as a scheduler: calls go on on it, and on it alone. A
/// handle; every call keeps a copy.
///
/// - `run` of the context does not return while a call is under way; `stop` and `restart` are a pause to
///   calls.
/// - Where the context is destroyed, its calls are dropped with all they hold, wherever they are; no handler
///   is called. Attempts that live elsewhere (on another context, on a thread) may end later, but not at the
///   very moment.
///
/// Thread safety: distinct objects safe; calls may be started from any thread. Several threads may run the
/// context: each call is read by one at a time. What calls share with their handlers needs a strand, as
/// anything in Asio.
/// Cost: a mutex for a timer; Asio's own operations only as exec/asio_driver/scheduler.hpp says at
/// `timer_service`. `post` allocates the operation that Asio makes of it, and Asio keeps that memory for the
/// next one; without memory it terminates.
template <class Executor>
class SEAWALL_ASIO_SCHEDULER {
  using service_type = detail::SEAWALL_ASIO_DETAIL::timer_service;
  using entry = service_type::entry;

 public:
  using executor_type = Executor;
  static constexpr bool is_handle = true;

  explicit SEAWALL_ASIO_SCHEDULER(
      const Executor& executor) requires detail::SEAWALL_ASIO_DETAIL::executor<Executor>
      : service_(&SEAWALL_ASIO::use_service<service_type>(
            SEAWALL_ASIO::query(executor, SEAWALL_ASIO::execution::context))),
        executor_(executor) {}
  template <detail::SEAWALL_ASIO_DETAIL::context Context>
  explicit SEAWALL_ASIO_SCHEDULER(Context& context) : SEAWALL_ASIO_SCHEDULER(context.get_executor()) {}

  const executor_type& get_executor() const noexcept { return executor_; }

  // A scheduler.

  class timer : private entry {
    friend class SEAWALL_ASIO_SCHEDULER;
  };

  static instant now() noexcept { return steady_clock::now(); }
  void post(task& work) noexcept { post_to(executor_, work); }
  void schedule_at(instant at, timer& t, task& work) noexcept {
    t.scheduler = this;
    t.work = &work;
    t.hand_over = &SEAWALL_ASIO_SCHEDULER::hand_over;
    service_->schedule(at, t);
  }
  bool cancel(timer& t) noexcept { return service_->cancel(t); }
  void work_started() { work_.emplace(detail::SEAWALL_ASIO_DETAIL::track(executor_)); }
  void work_finished() noexcept { work_.reset(); }

 private:
  static void post_to(const Executor& executor, task& work) noexcept {
    SEAWALL_ASIO::post(executor, detail::SEAWALL_ASIO_DETAIL::posted_work(work));
  }
  // The call that `e` lies in, and with it its scheduler, stays while the lock is held; the work, until it
  // was run.
  static void hand_over(const entry& e, entry::lock_type& lock) {
    const Executor executor = static_cast<const SEAWALL_ASIO_SCHEDULER*>(e.scheduler)->executor_;
    task& work = *e.work;
    lock.unlock();
    post_to(executor, work);
  }

  service_type* service_;
  Executor executor_;
  std::optional<detail::SEAWALL_ASIO_DETAIL::tracked<Executor>> work_;
};

template <detail::SEAWALL_ASIO_DETAIL::context Context>
SEAWALL_ASIO_SCHEDULER(Context&) -> SEAWALL_ASIO_SCHEDULER<typename Context::executor_type>;

}  // namespace seawall

#endif  // SEAWALL_ASIO
