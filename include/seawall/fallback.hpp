// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_FALLBACK_HPP
#define SEAWALL_FALLBACK_HPP

// Answers in place of a dependency that cannot: a value, a function of the error, another pipeline. Several
// fallbacks in one pipeline are a chain: the inner one is asked first.

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "seawall/frame.hpp"
#include "seawall/operation.hpp"
#include "seawall/outcome.hpp"

namespace seawall {

/// Which failures call for a substitute.
enum class fallback_for : std::uint8_t {
  /// Those in which the dependency did not do its work, or was not asked. "Not found" is an answer, and
  /// passes.
  missing_answers,
  every_failure,  ///< those, and refusals by a healthy dependency
};

struct fallback_options {
  std::string name = "fallback";
  fallback_for handles = fallback_for::missing_answers;
};

namespace detail {

/// The failure as a substitute sees it, made only if it asks; and what its frame holds for it.
template <class S>
class failure_view {
 public:
  failure_view(const S* failed, const rejection* rejected, const void* held = nullptr) noexcept
      : failed_(failed), rejected_(rejected), held_(held) {}

  /// Given to `call::start_substitute`.
  const void* held() const noexcept { return held_; }

  template <class F>
  decltype(auto) pass_to(F&& f) const {
    if (failed_ != nullptr) return f(outcome_traits<S>::error(*failed_));
    const S made = outcome_traits<S>::reject(*rejected_, nullptr);
    return f(outcome_traits<S>::error(made));
  }

 private:
  const S* failed_;
  const rejection* rejected_;
  const void* held_;
};

template <class S>
struct error_of {
  struct none;
  using type = none;
};
template <class S>
  requires requires { typename outcome_traits<S>::error_type; }
struct error_of<S> {
  using type = typename outcome_traits<S>::error_type;
};

/// The source of `fallback_to`.
template <class Pipeline, class Op>
class another_pipeline {
 public:
  another_pipeline(const Pipeline& other, Op op) : other_(&other), op_(std::move(op)) {}

  /// For drivers in which nothing overlaps.
  auto operator()(const attempt& a) const {
    Op own = op_;  // operations may have state; calls overlap
    return other_->run(a, own);
  }

  const Pipeline& pipeline() const noexcept { return *other_; }
  Op operation() const { return op_; }

 private:
  const Pipeline* other_;
  Op op_;
};
template <class Source>
inline constexpr bool fallback_pipeline = false;
template <class Pipeline, class Op>
inline constexpr bool fallback_pipeline<another_pipeline<Pipeline, Op>> = true;

}  // namespace detail

/// The layer made by `fallback`. `Source` is a value or a function object.
///
/// Cost of a success: a comparison.
template <class Source>
class fallback_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::fallback;
  static constexpr bool straight = true;

  fallback_layer(fallback_options options, Source source)
      : options_(std::move(options)), source_(std::move(source)) {}

  const fallback_options& options() const noexcept { return options_; }

  /// The typed side: the substitute, as what an operation returning R would have returned.
  template <class R, class S>
  R substitute(const attempt& a, const detail::failure_view<S>& failure) const {
    using error = typename detail::error_of<S>::type;
    if constexpr (std::invocable<const Source&, const error&, const attempt&>) {
      return failure.pass_to([&](const error& e) -> R { return source_(e, a); });
    } else if constexpr (std::invocable<const Source&, const error&>) {
      return failure.pass_to([&](const error& e) -> R { return source_(e); });
    } else if constexpr (std::invocable<const Source&, const attempt&>) {
      return source_(a);
    } else if constexpr (std::invocable<const Source&>) {
      return source_();
    } else {
      check_value<R>();
      return source_;
    }
  }

  /// The same where the source need not answer at once. `start` is the driver's: it is given a function of
  /// nothing that calls the source, or a function of a completion where the source wants one, or another
  /// pipeline and its operation.
  template <class R, class S, class Start>
  void substitute_with(const attempt& a, const detail::failure_view<S>& failure, Start&& start) const {
    using error = typename detail::error_of<S>::type;
    using done = typename std::remove_cvref_t<Start>::completion_type;
    // The failure may be gone while the source is at work: each call of it has a copy.
    if constexpr (detail::fallback_pipeline<Source>) {
      start.nested(source_.pipeline(), source_.operation(), a);
    } else if constexpr (std::invocable<const Source&, const error&, const attempt&, done>) {
      failure.pass_to(
          [&](const error& e) { start.calling_back([&, e](done d) { source_(e, a, std::move(d)); }); });
    } else if constexpr (std::invocable<const Source&, const error&, const attempt&>) {
      failure.pass_to([&](const error& e) { start([this, e, a] { return source_(e, a); }); });
    } else if constexpr (std::invocable<const Source&, const error&>) {
      failure.pass_to([&](const error& e) { start([this, e] { return source_(e); }); });
    } else if constexpr (std::invocable<const Source&, const attempt&>) {
      start([this, a] { return source_(a); });
    } else if constexpr (std::invocable<const Source&>) {
      start([this] { return source_(); });
    } else {
      check_value<R>();
      start([this]() -> R { return source_; });
    }
  }

  template <class Inner>
  class frame : public passthrough<fallback_layer, Inner> {
    using base = passthrough<fallback_layer, Inner>;

   public:
    template <class MakeInner>
    frame(const fallback_layer& layer, std::uint8_t number, MakeInner&& make_inner)
        : base(layer, number, std::forward<MakeInner>(make_inner)), number_(number) {}
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      bound_ = c.attempt_deadline();
      return this->inner().start_straight(c, now);
    }
    resolution start(call& c, instant now) {
      asked_ = false;
      bound_ = c.attempt_deadline();
      return settle(c, now, this->inner().start(c, now));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      if (!asked_) return settle(c, now, this->inner().on_done(c, now, id, v));
      if (id != substitute_) return {};
      asked_ = false;
      verdict degraded = v;
      degraded.degraded = true;
      return resolution::result_of(id, degraded);
    }
    resolution on_time(call& c, instant now) {
      return asked_ ? resolution{} : settle(c, now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      if (asked_) {
        c.cancel_attempt(substitute_);
      } else {
        this->inner().cancel(c);
      }
      asked_ = false;
    }
    instant wake_at() const { return asked_ ? instant::never() : this->inner().wake_at(); }

   private:
    resolution settle(call& c, instant now, const resolution& r) {
      if (!r || r.v.success) [[likely]]
        return r;
      const auto& o = this->layer().options_;
      // A substitute further in that found nothing is no answer of the dependency.
      const bool answered =
          r.v.health == health::healthy && !r.v.degraded && o.handles == fallback_for::missing_answers;
      // A caller that has gone wants no substitute.
      if (answered || c.stop_requested()) return r;
      c.emit(event::fallback_used{o.name, r.v, now});
      c.set_degraded_by(o.name);
      substitute_ = c.start_substitute(now, bound_, number_, r);
      asked_ = true;
      return {};
    }

    std::uint8_t number_;
    bool asked_ = false;
    attempt_id substitute_ = 0;
    instant bound_;  // the deadlines outside: those inside have ended with what failed
  };

 private:
  template <class R>
  static constexpr void check_value() {
    static_assert(
        std::convertible_to<const Source&, R>,
        "fallback(x): x must be a value of the operation's result, or a function that returns one and takes "
        "nothing, the error, the attempt, or the error and the attempt");
  }

  fallback_options options_;
  Source source_;
};

/// Answers with `source` where the inner layers fail: a value, or a function that returns one (or a result
/// that may fail itself) and takes nothing, the error (`absl::Status`, `E`, `std::exception_ptr`), the
/// attempt, or both. In the asynchronous drivers it may return an awaitable, or take the error, the attempt
/// and a completion.
///
/// Thread safety: `source` must be safe to call from several threads. It is not asked once the caller's stop
/// token fired.
template <class Source>
fallback_layer<std::decay_t<Source>> fallback(Source&& source) {
  return {fallback_options{}, std::forward<Source>(source)};
}
template <class Source>
fallback_layer<std::decay_t<Source>> fallback(fallback_options options, Source&& source) {
  return {std::move(options), std::forward<Source>(source)};
}

/// Answers with another pipeline and operation (a replica, a slower path), run by the driver that runs the
/// call. It inherits what is left of the deadline. The pipeline is referred to and must outlive the layer.
template <class Pipeline, class Op>
auto fallback_to(const Pipeline& other, Op op, fallback_options options = {.name = "fallback_to"}) {
  return fallback(std::move(options), detail::another_pipeline<Pipeline, Op>(other, std::move(op)));
}
template <class Pipeline, class Op>
auto fallback_to(const Pipeline&& other, Op op, fallback_options options = {}) = delete;

}  // namespace seawall

#endif  // SEAWALL_FALLBACK_HPP
