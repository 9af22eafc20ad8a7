// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_BLOCKING_HPP
#define SEAWALL_EXEC_BLOCKING_HPP

// The driver that runs a call on the caller's thread, one attempt at a time. Attempts cannot be abandoned
// from here: they carry their deadline, and what comes late is delivered. Pauses end early when the caller's
// stop token fires.

#include <concepts>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/exec/conclusion.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Where a paused call waits: until an instant, or until it is poked from another thread.
///
/// Thread safety: `poke` from any thread; the rest from the call's own.
class parker {
 public:
  void poke() noexcept {
    // Notified under the lock: the waiting call may destroy this as soon as it can proceed.
    const std::lock_guard lock(mutex_);
    poked_ = true;
    woken_.notify_one();
  }
  /// Also forgets the poke.
  void wait_until(instant until) {
    std::unique_lock lock(mutex_);
    const auto poked = [this] { return poked_; };
    if (until == instant::never()) {
      woken_.wait(lock, poked);
    } else {
      woken_.wait_until(lock, until.to_chrono(), poked);
    }
    poked_ = false;
  }
  bool poked() noexcept {
    const std::lock_guard lock(mutex_);
    return poked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool poked_ = false;
};

/// A clock that a blocking call can also pause on. `pause` returns at `until`, or earlier if the parker is
/// poked.
template <class E>
concept blocking_environment = clock<E> && requires(E& e, instant until, parker& p) {
  e.pause(until, p);
};

/// An environment that calls hand on to the calls nested in them: code under test runs its own pipelines,
/// with `inner.run(attempt, op)`, in the virtual time of the test.
class environment {
 public:
  virtual instant now() = 0;
  virtual void pause(instant until, parker& p) = 0;

 protected:
  environment() = default;
  environment(const environment&) = default;
  environment& operator=(const environment&) = default;
  ~environment() = default;
};

/// Real time.
struct steady_environment {
  static instant now() noexcept { return steady_clock::now(); }
  static void pause(instant until, parker& p) { p.wait_until(until); }
};

namespace detail {

/// A parker that is made when something first waits: few calls ever do.
class late_parker final : public waker {
 public:
  late_parker() noexcept {}
  late_parker(const late_parker&) = delete;
  late_parker& operator=(const late_parker&) = delete;
  ~late_parker() {
    if (made_) parker_.~parker();
  }

  void poke() noexcept override { parker_.poke(); }
  void arm() noexcept override { get(); }
  parker& get() noexcept {
    if (!std::exchange(made_, true)) ::new (static_cast<void*>(&parker_)) parker();
    return parker_;
  }

 private:
  bool made_ = false;
  union {
    parker parker_;
  };
};

/// One call. `run` holds the straight path (one attempt that succeeds), inlined as a whole and kept in
/// registers: nothing in it may hand out the address of the call or the frames. Whatever leaves it goes on in
/// an object of this class.
template <class Pipeline, class Environment, class Op, class R>
class blocking_call {
  using stored = stored_as<R>;
  using S = typename stored::type;
  using view = operation_view<std::remove_const_t<Op>>;
  using frame = decltype(std::declval<const Pipeline&>().make_frame());

 public:
  [[gnu::always_inline]] static S run(const Pipeline& p, Environment& e, const call_options* options,
                                      const attempt* outer, Op& op) {
    const instant now = e.now();
    if constexpr (Pipeline::straight) {
      call c(now, view::declared, options, outer);
      prepare(c, p, e, op);
      straight_frame f(p);
      if (why_not(c, now) == reason::none && f.value.start_straight(c, now)) [[likely]]
        return first_attempt(p, e, op, now, c, f.value);
    }
    return start(p, e, op, now, options, outer);
  }

 private:
  // Its destructor would take its address.
  union straight_frame {
    [[gnu::always_inline]] explicit straight_frame(const Pipeline& p) : value(p.make_frame()) {}
    straight_frame(const straight_frame&) = delete;
    straight_frame& operator=(const straight_frame&) = delete;
    [[gnu::always_inline]] ~straight_frame() { value.drop_straight(); }
    frame value;
  };

  // The only return value is `result`, so that it is made where the caller wants it.
  [[gnu::always_inline]] static S first_attempt(const Pipeline& p, Environment& e, Op& op, instant now,
                                                call& c, frame& f) {
    const launch& l = c.take_launch();
    const attempt_id id = l.id;
    S result = stored::keep([&]() -> R { return invoke_operation(view::bare(op), attempt(c, l)); });
    verdict v = p.classify(result);
    if (v.success && c.report() == nullptr) [[likely]] {
      f.end_straight(c, p.needs_end_time() ? e.now() : now, v);
    } else {
      go_on(p, e, op, now, std::move(c), std::move(f), result, id, v);
    }
    return result;
  }

  [[gnu::noinline]] static S start(const Pipeline& p, Environment& e, Op& op, instant now,
                                   const call_options* options, const attempt* outer) {
    blocking_call rest(p, e, op, now, options, outer);
    std::optional<S> slot;
    const reason why = overlapping(p) ? reason::wrong_driver : why_not(rest.call_, now);
    resolution r =
        why == reason::none ? rest.frame_.start(rest.call_, now) : reject_call(rest.call_, now, why);
    return rest.settle(slot, r);
  }

  // Known at run time only: with a static pipeline it does not compile.
  static bool overlapping(const Pipeline& p) {
    if constexpr (requires { p.overlapping(); }) return p.overlapping();
    return false;
  }

  // By value: references would escape, and force the straight path to keep everything in memory.
  [[gnu::noinline]] static void go_on(const Pipeline& p, Environment& e, Op& op, instant now, call c, frame f,
                                      S& result, attempt_id id, verdict v) {
    blocking_call rest(p, e, op, now, std::move(c), std::move(f));
    std::optional<S> slot(std::move(result));
    if (!v.success || p.needs_end_time()) rest.now_ = e.now();
    resolution r = rest.frame_.on_done(rest.call_, rest.now_, id, v);
    result = rest.settle(slot, r);
  }

  blocking_call(const Pipeline& p, Environment& e, Op& op, instant now, const call_options* options,
                const attempt* outer)
      : pipeline_(p),
        environment_(e),
        op_(op),
        now_(now),
        call_(now, view::declared, options, outer),
        frame_(p.make_frame()) {
    prepare(call_, p, e, op);
    if constexpr (Pipeline::waits) call_.set_waker(&parker_);
  }
  blocking_call(const Pipeline& p, Environment& e, Op& op, instant now, call&& c, frame&& f)
      : pipeline_(p), environment_(e), op_(op), now_(now), call_(std::move(c)), frame_(std::move(f)) {
    if constexpr (Pipeline::waits) call_.set_waker(&parker_);
  }

  [[gnu::always_inline]] static void prepare(call& c, const Pipeline& p, Environment& e, Op& op) {
    if constexpr (std::derived_from<Environment, environment>) c.set_environment(&e);
    c.set_idempotency_key(view::key(op));
    if (p.events() != nullptr) c.set_pipeline_events(p.events());
  }

  // From anywhere to the end.
  [[gnu::always_inline]] S settle(std::optional<S>& slot, resolution& r) {
    for (;;) {
      show_passing<R>(call_, pipeline_, slot);
      if (r) break;
      r = call_.pending_launches() != 0 ? carry_out(slot, call_.take_launch()) : pause();
    }
    S result = conclude(call_, r, slot);
    if (call_.report() != nullptr) fill_report(call_, r, environment_.now());
    return result;
  }

  // Runs an attempt, or asks for a substitute, and tells the frames.
  [[gnu::noinline]] resolution carry_out(std::optional<S>& slot, const launch& asked) {
    const launch l = asked;
    if (l.source == 0) {
      slot.emplace(stored::keep([&]() -> R { return invoke_operation(view::bare(op_), attempt(call_, l)); }));
      return report(l.id, pipeline_.classify(*slot));
    }
    return substitute(slot, l);
  }

  [[gnu::noinline]] resolution substitute(std::optional<S>& slot, const launch& l) {
    const failure_view<S> failure = failure_of(call_, l, slot);
    slot.emplace(pipeline_.template substitute<R, S>(l.source, attempt(call_, l), failure));
    const verdict v = outcome_traits<S>::classify(*slot);
    // An answer that was there already has taken no time.
    if (l.failure == resolution::kind::undecided) return frame_.on_done(call_, now_, l.id, v);
    return report(l.id, v);
  }

  [[gnu::noinline, gnu::cold]] resolution report(attempt_id id, verdict v) {
    now_ = environment_.now();
    return frame_.on_done(call_, now_, id, v);
  }

  resolution pause() {
    const instant until = frame_.wake_at();
    if (call_.stop_requested()) return gone();
    if (environment_.now() < until) {
      parker& p = parker_.get();
      const auto poke = [&p] { p.poke(); };
      const std::stop_callback wake(call_.stop_token(), poke);
      const std::stop_callback wake_too(call_.outer_stop_token(), poke);
      environment_.pause(until, p);
      if (call_.stop_requested()) return gone();
    }
    now_ = environment_.now();
    return frame_.on_time(call_, now_);
  }

  resolution gone() {
    now_ = environment_.now();
    frame_.cancel(call_);
    return reject_call(call_, now_, reason::cancelled);
  }

  const Pipeline& pipeline_;
  Environment& environment_;
  Op& op_;
  instant now_;
  call call_;
  // Declared before the frames, which may still be in a wait list when they die.
  late_parker parker_;
  frame frame_;
};

struct run_blocking {
  template <class Pipeline, class Options, class Outer, class Op>
  static auto run(const Pipeline& p, Options options, Outer outer, Op& op) {
    if constexpr (!std::is_null_pointer_v<Outer>) {
      if (environment* const e = outer->context().environment()) return run_in(*e, p, options, outer, op);
    }
    steady_environment real;
    return run_in(real, p, options, outer, op);
  }

  // Pointers, or nullptr_t where it is known that there is none.
  template <class Environment, class Pipeline, class Options, class Outer, class Op>
  static auto run_in(Environment& e, const Pipeline& p, Options options, Outer outer, Op& op) {
    static_assert(
        !requires { requires Pipeline::overlaps; },
        "hedge needs a driver in which attempts overlap: use run_on(pool, op), start(scheduler, op, done) or "
        "co_await async(scheduler, op)");
    using view = operation_view<std::remove_const_t<Op>>;
    using R = seawall::detail::result_of<std::remove_reference_t<decltype(view::bare(op))>>;
    using stored = stored_as<R>;
    using driver = blocking_call<Pipeline, Environment, Op, R>;
    if constexpr (std::is_same_v<R, typename stored::type>) {
      return driver::run(p, e, options, outer, op);
    } else {
      return stored::release(driver::run(p, e, options, outer, op));
    }
  }
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_EXEC_BLOCKING_HPP
