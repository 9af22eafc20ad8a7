// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_PIPELINE_HPP
#define SEAWALL_PIPELINE_HPP

// Layers composed into a pipeline, outermost first: `compose(a, b, c)` reads like the nested calls
// a(b(c(op))).

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/fallback.hpp"
#include "seawall/frame.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"
#include "seawall/rules.hpp"

namespace seawall {

namespace detail {

// The drivers, defined a floor further up.
struct run_blocking;
struct run_pooled;
struct run_async;

template <class Op, bool Repeats>
constexpr void check_declared() {
  static_assert(
      !Repeats || operation_view<Op>::declared != idempotency::undeclared,
      "this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op), "
      "idempotent_by(key, op) or non_idempotent(op)");
}

template <class Op, bool Repeats>
constexpr void check_operation() {
  using view = operation_view<Op>;
  using bare = std::remove_reference_t<decltype(view::bare(std::declval<Op&>()))>;
  static_assert(takes_attempt<bare> || takes_nothing<bare>,
                "an operation takes a seawall::attempt or nothing");
  check_declared<Op, Repeats>();
  if constexpr (takes_attempt<bare> || takes_nothing<bare>) {
    static_assert(
        runnable<result_of<bare>>,
        "seawall cannot read this result: specialise seawall::outcome_traits<R> for it, include the header that "
        "does (seawall/status.hpp, seawall/expected.hpp), or say is_plain<R> if failures are thrown");
  }
}

/// The ways to run a pipeline. Each takes the operation last but for what is done with its result; before it,
/// in this order and as far as wanted: the `attempt` that the call runs in, `call_options`, and what it runs
/// on.
///
/// Inside the attempt of an enclosing call, the earliest deadline and the worst level of service win,
/// attributes, priority and stop token are inherited, and retries are left to the enclosing call if it has
/// some.
template <class Pipeline>
class entry_points {
 public:
  /// Runs `op` on this thread until a layer or the operation's own result ends the call.
  ///
  /// `op` takes an `attempt` or nothing, and may be called several times, one at a time. Its result is
  /// returned; where a policy rejects, a result made by `outcome_traits`, or `rejected_error` is thrown for
  /// plain values.
  /// Cancellation: `call_options::stop` ends pauses and prevents further attempts; a running attempt sees it
  /// as `attempt::stop_token()`.
  template <class Op>
  auto run(Op&& op) const {
    return run_with<run_blocking>(nullptr, nullptr, op);
  }
  template <class Op>
  auto run(const call_options& options, Op&& op) const {
    return run_with<run_blocking>(&options, nullptr, op);
  }
  template <class Op>
  auto run(const attempt& outer, Op&& op) const {
    return run_with<run_blocking>(nullptr, &outer, op);
  }
  template <class Op>
  auto run(const attempt& outer, const call_options& options, Op&& op) const {
    return run_with<run_blocking>(&options, &outer, op);
  }

  /// Runs attempts on the threads of `pool` while the caller waits: time-outs end attempts that do not,
  /// hedges overlap.
  ///
  /// `op` as for `run`, but may be called from several threads at once, and is copied: an attempt that was
  /// given up may still run when this returns. It must not refer to what may be gone by then.
  template <class Pool, class Op>
  auto run_on(Pool& pool, Op&& op) const {
    return run_on_with<run_pooled>(pool, nullptr, nullptr, std::forward<Op>(op));
  }
  template <class Pool, class Op>
  auto run_on(const call_options& options, Pool& pool, Op&& op) const {
    return run_on_with<run_pooled>(pool, &options, nullptr, std::forward<Op>(op));
  }
  template <class Pool, class Op>
  auto run_on(const attempt& outer, Pool& pool, Op&& op) const {
    return run_on_with<run_pooled>(pool, nullptr, &outer, std::forward<Op>(op));
  }
  template <class Pool, class Op>
  auto run_on(const attempt& outer, const call_options& options, Pool& pool, Op&& op) const {
    return run_on_with<run_pooled>(pool, &options, &outer, std::forward<Op>(op));
  }

  /// Starts `op` and returns; `done` is called with the result, once, on the scheduler, never from inside.
  ///
  /// `op` is any of the kinds in exec/launch.hpp. Where failures are thrown (plain R), `done` gets
  /// `answer_of<R>`. `scheduler` is referred to if it is an lvalue, else kept. `op` and `done` are kept,
  /// `call_options` copied; if `done` has `get_allocator()`, the call's state comes from there.
  /// Lifetime: the pipeline and its shared state outlive the call; what attempts refer to outlives the
  /// attempts, of which those that were given up may end after `done` was called.
  /// Cancellation: `call_options::stop` ends the call, wherever it is. Cost: one allocation.
  template <class Scheduler, class Op, class Done>
  void start(Scheduler&& scheduler, Op&& op, Done&& done) const {
    start_with<run_async>(std::forward<Scheduler>(scheduler), nullptr, nullptr, std::forward<Op>(op),
                          std::forward<Done>(done));
  }
  template <class Scheduler, class Op, class Done>
  void start(const call_options& options, Scheduler&& scheduler, Op&& op, Done&& done) const {
    start_with<run_async>(std::forward<Scheduler>(scheduler), &options, nullptr, std::forward<Op>(op),
                          std::forward<Done>(done));
  }
  template <class Scheduler, class Op, class Done>
  void start(const attempt& outer, Scheduler&& scheduler, Op&& op, Done&& done) const {
    start_with<run_async>(std::forward<Scheduler>(scheduler), nullptr, &outer, std::forward<Op>(op),
                          std::forward<Done>(done));
  }
  template <class Scheduler, class Op, class Done>
  void start(const attempt& outer, const call_options& options, Scheduler&& scheduler, Op&& op,
             Done&& done) const {
    start_with<run_async>(std::forward<Scheduler>(scheduler), &options, &outer, std::forward<Op>(op),
                          std::forward<Done>(done));
  }

  /// The same for coroutines of any kind: `co_await pipeline.async(scheduler, op)` is the result. The call
  /// starts when it is awaited, and the coroutine goes on on the scheduler.
  /// Lifetime: an awaiting coroutine may be destroyed by those who share a thread with the scheduler; the
  /// call is given up.
  template <class Scheduler, class Op>
  [[nodiscard]] auto async(Scheduler&& scheduler, Op&& op) const {
    return async_with<run_async>(std::forward<Scheduler>(scheduler), nullptr, nullptr, std::forward<Op>(op));
  }
  template <class Scheduler, class Op>
  [[nodiscard]] auto async(const call_options& options, Scheduler&& scheduler, Op&& op) const {
    return async_with<run_async>(std::forward<Scheduler>(scheduler), &options, nullptr, std::forward<Op>(op));
  }
  template <class Scheduler, class Op>
  [[nodiscard]] auto async(const attempt& outer, Scheduler&& scheduler, Op&& op) const {
    return async_with<run_async>(std::forward<Scheduler>(scheduler), nullptr, &outer, std::forward<Op>(op));
  }
  template <class Scheduler, class Op>
  [[nodiscard]] auto async(const attempt& outer, const call_options& options, Scheduler&& scheduler,
                           Op&& op) const {
    return async_with<run_async>(std::forward<Scheduler>(scheduler), &options, &outer, std::forward<Op>(op));
  }

 private:
  // Pipelines that are built at run time know what their operations return.
  template <class R>
  static constexpr void check_result() {
    if constexpr (requires { typename Pipeline::result_type; }) {
      static_assert(std::is_same_v<R, typename Pipeline::result_type>,
                    "any_pipeline<R>: the operation must return R");
    }
  }

  const Pipeline& self() const noexcept { return static_cast<const Pipeline&>(*this); }

  // Options and outer attempt: pointers, or nullptr_t where it is known that there is none.

  template <class Driver, class Options, class Outer, class Op>
  auto run_with(Options options, Outer outer, Op& op) const {
    static_assert(
        requires { sizeof(Driver); }, "pipeline::run needs #include \"seawall/exec/blocking.hpp\"");
    check_operation<std::remove_cvref_t<Op>, Pipeline::repeats>();
    check_result<
        result_of<std::remove_reference_t<decltype(operation_view<std::remove_cvref_t<Op>>::bare(op))>>>();
    return Driver::run(self(), options, outer, op);
  }
  template <class Driver, class Pool, class Options, class Outer, class Op>
  auto run_on_with(Pool& pool, Options options, Outer outer, Op&& op) const {
    static_assert(
        requires { sizeof(Driver); }, "pipeline::run_on needs #include \"seawall/exec/pool.hpp\"");
    check_operation<std::remove_cvref_t<Op>, Pipeline::repeats>();
    return Driver::run(self(), pool, options, outer, std::forward<Op>(op));
  }
  template <class Driver, class Scheduler, class Options, class Outer, class Op, class Done>
  void start_with(Scheduler&& scheduler, Options options, Outer outer, Op&& op, Done&& done) const {
    static_assert(
        requires { sizeof(Driver); }, "pipeline::start needs #include \"seawall/exec/async.hpp\"");
    check_declared<std::remove_cvref_t<Op>, Pipeline::repeats>();
    Driver::start(self(), std::forward<Scheduler>(scheduler), options, outer, std::forward<Op>(op),
                  std::forward<Done>(done));
  }
  template <class Driver, class Scheduler, class Options, class Outer, class Op>
  auto async_with(Scheduler&& scheduler, Options options, Outer outer, Op&& op) const {
    static_assert(
        requires { sizeof(Driver); }, "pipeline::async needs #include \"seawall/exec/async.hpp\"");
    check_declared<std::remove_cvref_t<Op>, Pipeline::repeats>();
    return Driver::async(self(), std::forward<Scheduler>(scheduler), options, outer, std::forward<Op>(op));
  }
};

}  // namespace detail

/// Layers in order. A value: copying it copies options, and refers to the same shared state.
///
/// Thread safety: shared objects safe; one pipeline serves all threads.
/// Cost: a blocking call allocates nothing and reads the clock once if it succeeds, unless a layer needs to
/// know how long a success took.
template <class... Layers>
class pipeline : public detail::entry_points<pipeline<Layers...>> {
  static_assert(detail::order_check<Layers::kind...>::done);
  static_assert(sizeof...(Layers) < 255);

 public:
  /// Some layer starts operations more than once: they must be declared.
  static constexpr bool repeats = (Layers::repeats || ...);
  static constexpr bool waits = (Layers::waits || ...);
  /// Some layer has several attempts under way at once: not every driver can do that.
  static constexpr bool overlaps = (Layers::overlaps || ...);
  /// Some layer's typed side looks at what passes.
  static constexpr bool observes = (Layers::observes || ...);
  /// Every layer has a short cut for the usual case; see frame.hpp.
  static constexpr bool straight = (Layers::straight && ...);

  explicit pipeline(Layers... layers) : layers_(std::move(layers)...) {}

  /// A copy that tells `events`, which must outlive it, of rejections, retries, give-ups and substitutes.
  pipeline listen(listener& events) const {
    pipeline copy = *this;
    copy.events_ = &events;
    return copy;
  }

  // For drivers.

  const auto& layers() const noexcept { return layers_; }
  listener* events() const noexcept { return events_; }

  bool needs_end_time() const noexcept {
    return std::apply([](const auto&... layer) { return (layer.needs_end_time() || ...); }, layers_);
  }

  template <std::size_t I = 0>
  auto make_frame() const {
    if constexpr (I == sizeof...(Layers)) {
      return leaf_frame();
    } else {
      using inner = decltype(make_frame<I + 1>());
      using layer = std::tuple_element_t<I, std::tuple<Layers...>>;
      return typename layer::template frame<inner>(std::get<I>(layers_), static_cast<std::uint8_t>(I + 1),
                                                   [this] { return make_frame<I + 1>(); });
    }
  }

  /// The verdict of an attempt's result.
  template <class S>
  verdict classify(const S& kept) const {
    if constexpr (sizeof...(Layers) > 0) {
      const auto& innermost = std::get<sizeof...(Layers) - 1>(layers_);
      if constexpr (requires { innermost.classify(kept); }) return innermost.classify(kept);
    }
    return outcome_traits<S>::classify(kept);
  }

  /// The substitute of the layer numbered `source`.
  template <class R, class S>
  S substitute(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure) const {
    return substitute_from<0, R, S>(source, a, failure);
  }
  /// The same where it may take its time.
  template <class R, class S, class Start>
  void substitute_with(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure,
                       Start&& start) const {
    substitute_with_from<0, R, S>(source, a, failure, start);
  }
  /// The typed side of the layer numbered `o.source()` sees what passes.
  template <class R, class S>
  void observe(observation& o, const S& kept) const {
    observe_from<0, R, S>(o, kept);
  }

 private:
  template <std::size_t I, class R, class S>
  S substitute_from(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure) const {
    if constexpr (I == sizeof...(Layers)) {
      // Only frames of layers that have a typed side ask for it.
      std::abort();
    } else {
      const auto& layer = std::get<I>(layers_);
      if constexpr (requires { layer.template substitute<R, S>(a, failure); }) {
        if (source == I + 1) {
          return detail::stored_as<R>::keep(
              [&]() -> R { return layer.template substitute<R, S>(a, failure); });
        }
      }
      return substitute_from<I + 1, R, S>(source, a, failure);
    }
  }

  template <std::size_t I, class R, class S, class Start>
  void substitute_with_from(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure,
                            Start& start) const {
    if constexpr (I == sizeof...(Layers)) {
      std::abort();
    } else {
      const auto& layer = std::get<I>(layers_);
      if constexpr (requires { layer.template substitute_with<R, S>(a, failure, start); }) {
        if (source == I + 1) return layer.template substitute_with<R, S>(a, failure, start);
      }
      substitute_with_from<I + 1, R, S>(source, a, failure, start);
    }
  }

  template <std::size_t I, class R, class S>
  void observe_from(observation& o, const S& kept) const {
    if constexpr (I == sizeof...(Layers)) {
      std::abort();
    } else {
      const auto& layer = std::get<I>(layers_);
      if constexpr (std::tuple_element_t<I, std::tuple<Layers...>>::observes) {
        if (o.source() == I + 1) return layer.template observe<R, S>(o, kept);
      }
      observe_from<I + 1, R, S>(o, kept);
    }
  }

  std::tuple<Layers...> layers_;
  listener* events_ = nullptr;
};

/// Composes layers, outermost first. Orders that make no sense do not compile; see rules.hpp.
template <class... Layers>
pipeline<std::decay_t<Layers>...> compose(Layers&&... layers) {
  return pipeline<std::decay_t<Layers>...>(std::forward<Layers>(layers)...);
}

}  // namespace seawall

#endif  // SEAWALL_PIPELINE_HPP
