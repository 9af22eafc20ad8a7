// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CHAOS_HPP
#define SEAWALL_CHAOS_HPP

// Faults on purpose, to see in time whether everything around a call can bear them: failures, delays, hangs
// and wrong results, by rate and by script. Off unless it is switched on; a build with SEAWALL_FORBID_CHAOS
// defined does not compile with it.

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "seawall/core/chaos_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/operation.hpp"
#include "seawall/options.hpp"
#include "seawall/outcome.hpp"
#include "seawall/script.hpp"
#include "seawall/status.hpp"

namespace seawall {

/// A fault by rate.
struct fault {
  fault_kind kind = fault_kind::failure;  ///< anything but `none`
  double rate = 0.0;  ///< share of all calls: [0, 1]; the rates of all faults make at most 1

  /// Of a failure: what it looks like to the layers outside, and in a status. Not `kOk`.
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  std::string text = {};                          ///< for people
  duration retry_after = verdict::no_pushback();  ///< pushback, if not negative

  /// Before anything else, the call is held so long: what a `latency` is, and how a failure or a result can
  /// be slow. A hang is held for `max_delay`.
  duration delay = duration::zero();  ///< not negative
  delay_shape shape = delay_shape::fixed;
  duration delay_max = duration::zero();  ///< see `delay_shape`; at least `delay` where it matters
  /// For `delay_shape::custom`. Called with the mutex of the chaos held: it must not call back.
  std::function<duration(random_source&)> delay_from = nullptr;
};

/// Options of chaos.
struct chaos_options {
  /// For messages, events and metrics.
  std::string name = {};

  bool enabled = false;

  /// By rate; at most 64.
  std::vector<fault> faults = {};

  /// By script (script.hpp): `until` counts from the first call after it was switched on. `ok` leaves a call
  /// to the rates above, `ok after 50ms` is a delay, `fail` and the codes are failures, `hang` and `wrong`
  /// what they say. Empty: none.
  std::string script = {};

  /// Of the draws.
  std::uint64_t seed = 1;

  std::uint32_t max_at_once = 64;  ///< calls held at the same time; at least 1; other faults are left out
  duration max_delay =
      std::chrono::minutes(1);  ///< no call is held for longer; a hang fails then: positive, at most 24 h

  /// To which calls: asked for each, with the mutex of the chaos held, so that it must not call back. Null:
  /// all.
  std::function<bool(const call&)> applies_to = nullptr;

  /// Told of each fault, besides the listeners of the call. Must outlive the chaos.
  listener* events = nullptr;
};

namespace detail {

#if defined(SEAWALL_FORBID_CHAOS)
inline constexpr bool chaos_forbidden = true;
#else
inline constexpr bool chaos_forbidden = false;
#endif

template <bool Forbidden>
constexpr void check_chaos_allowed() {
  static_assert(
      !Forbidden,
      "this build forbids chaos (SEAWALL_FORBID_CHAOS is defined): compose the pipeline without inject(...), or "
      "build without the definition");
}

inline void check_fault(option_checks& checks, const fault& f, duration max_delay) {
  const bool spread = f.shape == delay_shape::uniform ||
                      (f.shape == delay_shape::exponential && f.delay_max != duration::zero());
  checks.require(f.kind != fault_kind::none, "faults.kind", std::uint64_t{0}, "must be a fault")
      .require(within(f.rate, 0.0, 1.0), "faults.rate", f.rate, "must be at least 0 and at most 1")
      .require(f.code != absl::StatusCode::kOk && static_cast<int>(f.code) <= 255, "faults.code",
               static_cast<std::uint64_t>(f.code), "must be that of a failure")
      .require(f.delay >= duration::zero() && f.delay <= max_delay, "faults.delay", f.delay,
               "must be at least 0 and at most max_delay")
      .require(!spread || (f.delay_max >= f.delay && f.delay_max <= max_delay), "faults.delay_max",
               f.delay_max, "must be at least delay and at most max_delay")
      .require(f.shape != delay_shape::custom || f.delay_from, "faults.delay_from", std::uint64_t{0},
               "must be set for delay_shape::custom")
      .require(f.kind != fault_kind::latency || f.shape == delay_shape::custom ||
                   f.delay_max > duration::zero() || f.delay > duration::zero(),
               "faults.delay", f.delay, "must be positive for fault_kind::latency");
}

inline std::optional<option_error> check_script(const std::string& text, duration max_delay) {
  if (text.empty()) return std::nullopt;
  const auto parsed = seawall::script::parse(text);
  if (!parsed.ok())
    return option_error{"script", "'" + text + "'", std::string(from_absl(parsed.status().message()))};
  for (const script_phase& p : parsed->phases()) {
    for (const script_step& s : p.steps) {
      if (s.after > max_delay)
        return option_error{"script", to_text(s.after), "after: must be at most max_delay"};
    }
  }
  return std::nullopt;
}

}  // namespace detail

inline std::optional<option_error> validate(const chaos_options& o) {
  detail::option_checks checks;
  checks
      .require(o.max_delay > duration::zero() && o.max_delay <= std::chrono::hours(24), "max_delay",
               o.max_delay, "must be positive and at most 24h")
      .require(o.max_at_once >= 1, "max_at_once", std::uint64_t{o.max_at_once}, "must be at least 1")
      .require(o.faults.size() <= 64, "faults", std::uint64_t{o.faults.size()},
               "entries: must be at most 64");
  double rates = 0;
  for (const fault& f : o.faults) {
    detail::check_fault(checks, f, o.max_delay);
    rates += f.rate;
  }
  // Tenths that make one, up to rounding.
  checks.require(rates <= 1 + 1e-9, "faults.rate", rates, "must be at most 1 for all faults together");
  if (auto error = checks.result()) return error;
  return detail::check_script(o.script, o.max_delay);
}

namespace detail {

inline core::chaos_fault planned(const fault& f) {
  const bool fails = f.kind == fault_kind::failure;
  verdict v = fails ? classify(f.code) : verdict::transient();
  if (fails && f.retry_after >= duration::zero()) v.retry_after = f.retry_after;
  return {.kind = f.kind,
          .rate = f.rate,
          .shape = f.shape,
          .delay = f.delay,
          .delay_max = f.delay_max,
          .delay_from = f.delay_from,
          .code = static_cast<std::uint8_t>(fails ? f.code : absl::StatusCode::kUnavailable),
          .v = v,
          .text = f.text.empty() ? nullptr : std::make_shared<const std::string>(f.text)};
}

/// Nothing: leave it to the rates.
inline std::optional<core::chaos_fault> planned(const script_step& s) {
  const bool plain = s.code == absl::StatusCode::kOk && !s.wrong;
  if (plain && s.after == duration::zero()) return std::nullopt;
  fault f{.kind = plain     ? fault_kind::latency
                  : s.wrong ? fault_kind::result
                  : s.hangs ? fault_kind::hang
                            : fault_kind::failure,
          .delay = s.after};
  if (f.kind == fault_kind::failure) f.code = s.code;
  if (s.retry_after) f.retry_after = *s.retry_after;
  return planned(f);
}

inline core::chaos_plan planned(chaos_options o) {
  core::chaos_plan plan{.applies_to = std::move(o.applies_to),
                        .seed = o.seed,
                        .max_at_once = o.max_at_once,
                        .max_delay = o.max_delay,
                        .events = o.events};
  for (const fault& f : o.faults) plan.faults.push_back(planned(f));
  if (!o.script.empty()) {
    const script parsed = *script::parse(o.script, o.seed);
    plan.script = [parsed, going = parsed](duration since, bool anew) mutable {
      if (anew) going = parsed;
      return planned(going.next(instant() + since));
    };
  }
  return plan;
}

}  // namespace detail

/// The switch, the plan and the counts: shared state of the pipelines that may be hurt. A handle: moving it
/// leaves layers valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range. Does not compile where
/// SEAWALL_FORBID_CHAOS is defined.
/// Thread safety: distinct and shared objects safe; moving is not. With several threads, the order in which
/// calls begin decides which of them suffer.
/// Cost: see `core::chaos_machine`.
class chaos {
 public:
  using options_type = chaos_options;
  static constexpr std::string_view policy_name = "chaos";

  /// What is done to a call; see `core::chaos_machine::injection`.
  using injection = core::chaos_machine::injection;

  template <bool Forbidden = detail::chaos_forbidden>
  explicit chaos(chaos_options options = {}) {
    detail::check_chaos_allowed<Forbidden>();
    options = detail::checked(policy_name, std::move(options));
    machine_ = std::make_unique<core::chaos_machine>(std::move(options.name));
    const bool enabled = options.enabled;
    machine_->reconfigure(detail::planned(std::move(options)), enabled);
  }

  /// `absl::StatusOr<chaos>`.
  template <class Creator = detail::creator<chaos>>
  static auto create(chaos_options options) {
    return Creator::make(std::move(options));
  }

  /// From the next call on. The script begins anew.
  void enable() noexcept { machine_->enable(); }
  /// From the next call on; calls that are held go on to their end.
  void disable() noexcept { machine_->disable(); }
  bool enabled() const noexcept { return machine_->enabled(); }

  /// A new plan, and the switch as it says, from the next call on; draws and script begin anew, counts are
  /// kept. The name is fixed. Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(chaos_options options) {
    if (auto error = validate(options)) return error;
    const bool enabled = options.enabled;
    machine_->reconfigure(detail::planned(std::move(options)), enabled);
    return std::nullopt;
  }

  /// Without a pipeline: what to do to the call that begins now. It counts as held until the injection dies.
  injection next(instant now) { return machine_->decide(now, nullptr, true); }

  chaos_snapshot snapshot() const { return machine_->snapshot(); }
  const std::string& name() const noexcept { return machine_->name(); }
  core::chaos_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::chaos_machine> machine_;
};

namespace detail {

struct no_wrong_answer {};

/// `Source` gives the results of `fault_kind::result`.
template <class Source>
class chaos_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::chaos;
  static constexpr bool straight = true;
  static constexpr bool answers = !std::is_same_v<Source, no_wrong_answer>;

  chaos_layer(core::chaos_machine& m, Source source) : machine_(&m), source_(std::move(source)) {}

  /// The typed side, as that of fallback.
  template <class R, class S, class Failure>
    requires(answers)
  R substitute(const attempt& a, const Failure&)
  const { return answer<R>(a); }
  template <class R, class S, class Failure, class Start>
    requires(answers)
  void substitute_with(const attempt& a, const Failure&, Start&& start) const {
    start([this, a]() -> R { return answer<R>(a); });
  }

  template <class Inner>
  class frame : public passthrough<chaos_layer, Inner> {
    using base = passthrough<chaos_layer, Inner>;

   public:
    template <class MakeInner>
    frame(const chaos_layer& layer, std::uint8_t number, MakeInner&& make_inner)
        : base(layer, number, std::forward<MakeInner>(make_inner)), number_(number) {}
    [[gnu::always_inline]] frame(frame&&) = default;

    // What may suffer goes the long way.
    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      return !this->layer().machine_->enabled() && this->inner().start_straight(c, now);
    }
    resolution start(call& c, instant now) {
      where_ = place::inside;
      if (!this->layer().machine_->enabled()) return this->inner().start(c, now);
      return inject(c, now);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      if (where_ == place::inside) return this->inner().on_done(c, now, id, v);
      if (where_ != place::answering || id != answer_) return {};
      let_go();
      return resolution::result_of(id, v);
    }
    resolution on_time(call& c, instant now) {
      switch (where_) {
        case place::inside: return this->inner().on_time(c, now);
        case place::answering: return {};
        case place::held: break;
      }
      // The caller's own deadline, which no layer need watch over.
      if (now >= c.deadline()) {
        let_go();
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      }
      return now < until_ ? resolution{} : act(c, now);
    }
    void cancel(call& c) {
      const place was = where_;
      let_go();
      if (was == place::inside) this->inner().cancel(c);
      if (was == place::answering) c.cancel_attempt(answer_);
    }
    instant wake_at() const {
      switch (where_) {
        case place::inside: return this->inner().wake_at();
        case place::answering: break;
        case place::held: return look_at_;
      }
      return instant::never();
    }

   private:
    enum class place : std::uint8_t { inside, held, answering };

    [[gnu::noinline, gnu::cold]] resolution inject(call& c, instant now) {
      injected_ = this->layer().machine_->decide(now, &c, answers);
      if (injected_.kind == fault_kind::none) return this->inner().start(c, now);
      const event::fault_injected e{this->layer().machine_->name(), to_string(injected_.kind), now};
      c.emit(e);
      if (injected_.events != nullptr) injected_.events->on(e);
      until_ = now + injected_.delay;
      if (injected_.delay <= duration::zero()) return act(c, now);
      look_at_ = this->earlier(until_, c.deadline());
      where_ = place::held;
      return {};
    }

    // The call was held for as long as it was to be.
    resolution act(call& c, instant now) {
      const fault_kind what = injected_.kind;
      if (what == fault_kind::result) return answer(c, now);
      let_go();
      if (what == fault_kind::latency) return this->inner().start(c, now);
      return c.reject(now,
                      {.policy = chaos::policy_name,
                       .name = this->layer().machine_->name(),
                       .why = reason::injected,
                       .detail = injected_.text ? std::string_view(*injected_.text) : std::string_view(),
                       .retry_after = injected_.v.retry_after,
                       .code = injected_.code},
                      injected_.v);
    }

    resolution answer(call& c, instant now) {
      // In place of a rejection, so that no result of an attempt is asked for; the source does not see it.
      answer_ = c.start_substitute(now, c.attempt_deadline(), number_, {.how = resolution::kind::rejection});
      where_ = place::answering;
      return {};
    }

    void let_go() noexcept {
      injected_.held.leave();
      where_ = place::inside;
    }

    std::uint8_t number_;
    place where_ = place::inside;
    attempt_id answer_ = 0;
    instant until_;
    instant look_at_;
    chaos::injection injected_;  // a frame that dies undecided gives its place back
  };

 private:
  template <class R>
  R answer(const attempt& a) const {
    if constexpr (std::invocable<const Source&, const attempt&>) {
      return source_(a);
    } else if constexpr (std::invocable<const Source&>) {
      return source_();
    } else {
      static_assert(
          std::convertible_to<const Source&, R>,
          "inject(chaos, x): x must be a value of the operation's result, or a function that returns one and takes "
          "nothing or the attempt");
      return source_;
    }
  }

  core::chaos_machine* machine_;
  Source source_;
};

}  // namespace detail

/// The layer: faults for what is inside of it. Inside a retry it hits attempts, outside of it calls. The
/// chaos is shared state and must outlive the pipeline; hence an lvalue only. Results cannot be made up:
/// those faults are left out.
template <bool Forbidden = detail::chaos_forbidden>
detail::chaos_layer<detail::no_wrong_answer> inject(chaos& c) {
  detail::check_chaos_allowed<Forbidden>();
  return {c.machine(), {}};
}
template <bool Forbidden = detail::chaos_forbidden>
detail::chaos_layer<detail::no_wrong_answer> inject(chaos&&) = delete;

/// The same, with `source` for `fault_kind::result`: a value, or a function that returns one (or a result
/// that is a failure) and takes nothing or the attempt. It must be safe to call from several threads.
template <class Source, bool Forbidden = detail::chaos_forbidden>
detail::chaos_layer<std::decay_t<Source>> inject(chaos& c, Source&& source) {
  detail::check_chaos_allowed<Forbidden>();
  return {c.machine(), std::forward<Source>(source)};
}
template <class Source, bool Forbidden = detail::chaos_forbidden>
detail::chaos_layer<std::decay_t<Source>> inject(chaos&&, Source&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_CHAOS_HPP
