// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_BROWNOUT_HPP
#define SEAWALL_BROWNOUT_HPP

// Brownout: keeps a percentile of the latency at a set point by serving optional content (recommendations,
// reviews) to a share of the requests only. Not a limit: whoever comes is served, with less.

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/brownout_machine.hpp"
#include "seawall/degradation.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"

namespace seawall {

inline std::optional<option_error> validate(const brownout_options& o) {
  detail::option_checks checks;
  checks
      .require(o.set_point >= std::chrono::milliseconds(1) && o.set_point <= std::chrono::minutes(1),
               "set_point", o.set_point, "must be at least 1ms and at most 1min")
      .require(detail::within(o.percentile, 0.5, 0.999), "percentile", o.percentile,
               "must be at least 0.5 and at most 0.999")
      .require(o.period >= o.set_point && o.period <= std::chrono::minutes(10), "period", o.period,
               "must be at least set_point, " + to_text(o.set_point) + ", and at most 10min")
      .require(detail::within(o.dimmer_min, 0.0, 1.0), "dimmer_min", o.dimmer_min,
               "must be at least 0 and at most 1");
  // Up to rounding: 0.95 is not quite 19/20.
  const double least =
      detail::within(o.percentile, 0.5, 0.999) ? std::ceil(1 / (1 - o.percentile) - 1e-6) : 1;
  checks.require(o.min_samples >= least && o.min_samples <= 1'000'000, "min_samples",
                 std::uint64_t{o.min_samples},
                 "must be at least 1 / (1 - percentile), " + to_text(least) + ", and at most 1000000");
  return checks.result();
}

inline std::optional<option_error> validate(const brownout_drive& d) {
  detail::option_checks checks;
  checks.require(d.below >= 0.0 && d.below < 1.0, "below", d.below, "must be at least 0 and less than 1")
      .require(d.above > d.below && d.above <= 1.0, "above", d.above,
               "must be more than below, " + to_text(d.below) + ", and at most 1");
  return checks.result();
}

/// The controller: shared state of the layers that measure and of those that leave out. A handle: moving it
/// leaves layers valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::brownout_machine`; 1.5 KiB a stripe, one stripe for each processor (at most 8).
class brownout {
 public:
  using options_type = brownout_options;
  static constexpr std::string_view policy_name = "brownout";

  explicit brownout(brownout_options options = {})
      : machine_(std::make_unique<core::brownout_machine>(detail::checked(policy_name, std::move(options)),
                                                          stripes())) {}

  /// `absl::StatusOr<brownout>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<brownout>>
  static auto create(brownout_options options) {
    return Creator::make(std::move(options));
  }

  /// A request has been answered: from its arrival to its end, the wait for a thread included.
  void observe(duration took, instant now) { machine_->observe(took, now); }
  void observe(duration took) { observe(took, steady_clock::now()); }

  /// Whether the request at hand gets its optional content. Ask once for each.
  bool serve_optional(random_source& random) const {
    return machine_->serve_optional([&]() -> random_source& { return random; });
  }
  bool serve_optional() const { return machine_->serve_optional(thread_random); }

  /// Share of the optional content that is served.
  double dimmer() const noexcept { return machine_->dimmer(); }

  /// Makes `ladder`, which must outlive the brownout, go down when little optional content is left to leave
  /// out. Returns what is wrong, in which case nothing has changed: `rule`, or a ladder without room for
  /// another signal.
  std::optional<option_error> drive(degradation& ladder, const brownout_drive& rule = {}) {
    if (auto error = validate(rule)) return error;
    detail::option_checks checks;
    checks.require(rule.level < ladder.levels(), "level", std::uint64_t{rule.level},
                   "must be at most " + std::to_string(ladder.levels() - 1));
    if (auto error = checks.result()) return error;
    auto signal = ladder.signal(name().empty() ? policy_name : std::string_view(name()));
    if (!signal) return option_error{"max_signals", "reached", "the ladder must have room for another one"};
    machine_->drive(std::move(signal), rule);
    return std::nullopt;
  }

  brownout_snapshot snapshot() const { return machine_->snapshot(); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New options from the next period on; the dimmer and what has been learned are kept. The name is fixed.
  /// Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const brownout_options& options) {
    if (auto error = validate(options)) return error;
    machine_->reconfigure(options);
    return std::nullopt;
  }

  core::brownout_machine& machine() noexcept { return *machine_; }

 private:
  static unsigned stripes() noexcept { return std::min(core::default_stripes(), 8U); }

  std::unique_ptr<core::brownout_machine> machine_;
};

namespace detail {

class brownout_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::degrade;
  static constexpr bool straight = true;

  explicit brownout_layer(core::brownout_machine& b) noexcept : brownout_(&b) {}

  core::brownout_machine& machine() const noexcept { return *brownout_; }

  template <class Inner>
  class frame : public passthrough<brownout_layer, Inner> {
    using base = passthrough<brownout_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    // A draw that is made here would be made again in `start`.
    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      return this->layer().machine().dimmer() >= 1 && this->inner().start_straight(c, now);
    }
    resolution start(call& c, instant now) {
      core::brownout_machine& b = this->layer().machine();
      // One draw a call: what was let in is not turned away by a retry outside.
      if (drawn_ == draw::none)
        drawn_ = b.serve_optional([&]() -> random_source& { return c.random(); }) ? draw::in : draw::out;
      if (drawn_ == draw::in) return this->inner().start(c, now);
      return c.reject(now,
                      {.policy = brownout::policy_name,
                       .name = b.name(),
                       .why = reason::degraded,
                       .detail_level = b.rejections(),
                       .detail = "optional"},
                      not_served);
    }

   private:
    enum class draw : std::uint8_t { none, in, out };
    draw drawn_ = draw::none;
  };

 private:
  core::brownout_machine* brownout_;
};

class measuring_layer : public layer_base {
 public:
  static constexpr bool straight = true;
  static constexpr bool needs_end_time() noexcept { return true; }

  explicit measuring_layer(core::brownout_machine& b) noexcept : brownout_(&b) {}

  core::brownout_machine& machine() const noexcept { return *brownout_; }

  template <class Inner>
  class frame : public passthrough<measuring_layer, Inner> {
    using base = passthrough<measuring_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      began_ = now;
      return this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      this->layer().machine().observe(now - began_, now);
    }
    resolution start(call& c, instant now) {
      began_ = now;
      return note(c, now, this->inner().start(c, now));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(c, now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) { return note(c, now, this->inner().on_time(c, now)); }

   private:
    // What was turned away took no time worth knowing; what ran out of it did.
    resolution note(const call& c, instant now, const resolution& r) {
      if (r && (r.how == resolution::kind::attempt || late(c.last_rejection().why)))
        this->layer().machine().observe(now - began_, now);
      return r;
    }
    static bool late(reason why) noexcept {
      return why == reason::deadline_exceeded || why == reason::timed_out || why == reason::wait_timed_out;
    }

    instant began_;
  };

 private:
  core::brownout_machine* brownout_;
};

}  // namespace detail

/// The layer in front of optional content: rejects (`reason::degraded`) a share of the calls, so that a
/// fallback outside of it answers. The brownout is shared state and must outlive the pipeline; hence an
/// lvalue only.
inline detail::brownout_layer degrade(brownout& b) noexcept { return detail::brownout_layer(b.machine()); }
detail::brownout_layer degrade(brownout&&) = delete;

/// The layer around all that a request is: tells the brownout how long it took. Costs a second clock read.
inline detail::measuring_layer measure(brownout& b) noexcept { return detail::measuring_layer(b.machine()); }
detail::measuring_layer measure(brownout&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_BROWNOUT_HPP
