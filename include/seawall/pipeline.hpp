// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_PIPELINE_HPP
#define SEAWALL_PIPELINE_HPP

// Layers composed into a pipeline, outermost first: `compose(a, b, c)` reads like the nested calls a(b(c(op))).

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

/// The driver behind `pipeline::run`, defined a floor further up.
struct run_blocking;

template <class Op, bool Repeats>
constexpr void check_operation() {
  using view = operation_view<Op>;
  using bare = std::remove_reference_t<decltype(view::bare(std::declval<Op&>()))>;
  static_assert(takes_attempt<bare> || takes_nothing<bare>,
                "an operation takes a seawall::attempt or nothing");
  static_assert(
      !Repeats || view::declared != idempotency::undeclared,
      "this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op), "
      "idempotent_by(key, op) or non_idempotent(op)");
  if constexpr (takes_attempt<bare> || takes_nothing<bare>) {
    static_assert(
        runnable<result_of<bare>>,
        "seawall cannot read this result: specialise seawall::outcome_traits<R> for it, include the header that "
        "does (seawall/status.hpp, seawall/expected.hpp), or say is_plain<R> if failures are thrown");
  }
}

}  // namespace detail

/// Layers in order. A value: copying it copies options, and refers to the same shared state.
///
/// Thread safety: shared objects safe; one pipeline serves all threads.
/// Cost: a blocking call allocates nothing and reads the clock once if it succeeds, unless a layer needs to know how long
/// a success took.
template <class... Layers>
class pipeline {
  static_assert(detail::order_check<Layers::kind...>::done);
  static_assert(sizeof...(Layers) < 255);

 public:
  /// Some layer starts operations more than once: they must be declared.
  static constexpr bool repeats = (Layers::repeats || ...);
  /// Some layer has several attempts under way at once.
  static constexpr bool overlaps = (Layers::overlaps || ...);
  static constexpr bool waits = (Layers::waits || ...);
  /// Every layer has a short cut for the usual case; see frame.hpp.
  static constexpr bool straight = (Layers::straight && ...);

  explicit pipeline(Layers... layers) : layers_(std::move(layers)...) {}

  /// A copy that tells `events`, which must outlive it, of rejections, retries, give-ups and substitutes.
  pipeline listen(listener& events) const {
    pipeline copy = *this;
    copy.events_ = &events;
    return copy;
  }

  /// Runs `op` on this thread until a layer or the operation's own result ends the call.
  ///
  /// `op` takes an `attempt` or nothing, and may be called several times, one at a time. Its result is returned; where a
  /// policy rejects, a result made by `outcome_traits`, or `rejected_error` is thrown for plain values.
  /// Cancellation: `call_options::stop` ends pauses and prevents further attempts; a running attempt sees it as
  /// `attempt::stop_token()`.
  template <class Op>
  auto run(Op&& op) const {
    return run_with<detail::run_blocking>(nullptr, nullptr, op);
  }
  template <class Op>
  auto run(const call_options& options, Op&& op) const {
    return run_with<detail::run_blocking>(&options, nullptr, op);
  }
  /// Inside the attempt `outer` of an enclosing call: the earliest deadline wins, attributes, priority and stop token are
  /// inherited, and retries are left to the enclosing call if it has some.
  template <class Op>
  auto run(const attempt& outer, Op&& op) const {
    return run_with<detail::run_blocking>(nullptr, &outer, op);
  }
  template <class Op>
  auto run(const attempt& outer, const call_options& options, Op&& op) const {
    return run_with<detail::run_blocking>(&options, &outer, op);
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

 private:
  // Pointers, or nullptr_t where it is known that there is none.
  template <class Driver, class Options, class Outer, class Op>
  auto run_with(Options options, Outer outer, Op& op) const {
    static_assert(
        requires { sizeof(Driver); }, "pipeline::run needs #include \"seawall/exec/blocking.hpp\"");
    detail::check_operation<std::remove_cvref_t<Op>, repeats>();
    return Driver::run(*this, options, outer, op);
  }

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
