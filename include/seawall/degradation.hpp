// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DEGRADATION_HPP
#define SEAWALL_DEGRADATION_HPP

// The degradation ladder: named levels of service, set by hand or by signals (a brownout, health, the burn of
// an error budget), and a layer that keeps writes out while the level is read-only. Which features a level
// serves is feature_gate.hpp.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/ladder_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"

namespace seawall {

namespace detail {

inline void check_levels(option_checks& checks, const degradation_options& o) {
  checks.require(o.levels.size() >= 1 && o.levels.size() <= core::ladder_machine::max_levels, "levels",
                 std::uint64_t{o.levels.size()}, "entries: must be at least 1 and at most 16");
  for (auto l = o.levels.begin(); l != o.levels.end(); ++l) {
    const std::string group = "levels[" + std::to_string(l - o.levels.begin()) + "]";
    const bool repeated =
        std::any_of(o.levels.begin(), l, [&](const service_level& other) { return other.name == l->name; });
    if (l->name.empty()) checks.require(option_error{"name", "empty", "must not be"}, group);
    if (repeated)
      checks.require(option_error{"name", "'" + l->name + "'", "must not be that of another level"}, group);
  }
}

}  // namespace detail

inline std::optional<option_error> validate(const degradation_options& o) {
  detail::option_checks checks;
  detail::check_levels(checks, o);
  checks
      .require(o.hold >= duration::zero() && o.hold <= std::chrono::hours(24), "hold", o.hold,
               "must be at least 0 and at most 24h")
      .require(o.step >= 1 && o.step <= 16, "step", std::uint64_t{o.step},
               "must be at least 1 and at most 16")
      .require(o.max_signals >= 1 && o.max_signals <= 64, "max_signals", std::uint64_t{o.max_signals},
               "must be at least 1 and at most 64");
  return checks.result();
}

/// Through which a signal wants a level; see `core::ladder_signal`. Empty if the ladder had no room for it.
class degradation_signal : public core::ladder_signal {
 public:
  using core::ladder_signal::ladder_signal;
  using core::ladder_signal::want;
  void want(std::uint32_t level, std::string_view why = {}) { want(level, why, steady_clock::now()); }
};

/// The ladder: shared state of gates, signals and layers, which it must outlive. A handle: moving it leaves
/// them valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::ladder_machine`.
class degradation {
 public:
  using options_type = degradation_options;
  static constexpr std::string_view policy_name = "degradation";

  explicit degradation(degradation_options options = {})
      : machine_(std::make_unique<core::ladder_machine>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<degradation>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<degradation>>
  static auto create(degradation_options options) {
    return Creator::make(std::move(options));
  }

  /// As last decided, in one load: for those who do not know the time. A step upwards that has become due
  /// since is not made.
  [[gnu::always_inline]] std::uint32_t level() const noexcept { return machine_->level(); }
  [[gnu::always_inline]] std::uint32_t level(instant now) { return machine_->level(now); }
  std::string_view level_name(instant now) { return machine_->level_name(level(now)); }
  /// Nothing: there is no level of that name.
  std::optional<std::uint32_t> level_named(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < levels(); ++i) {
      if (machine_->level_name(i) == name) return i;
    }
    return std::nullopt;
  }
  std::uint32_t levels() const noexcept { return machine_->last() + 1; }
  bool writable(instant now) { return level(now) < machine_->first_read_only(); }

  // By hand, at once in both directions, whatever signals want; `why` goes into the event. Each returns what
  // is wrong with its arguments, in which case nothing has changed. After `release` the level is what signals
  // would have made of it meanwhile.

  std::optional<option_error> set(std::uint32_t level, std::string_view why, instant now) {
    return bound(level, level, why, now);
  }
  std::optional<option_error> set(std::uint32_t level, std::string_view why = {}) {
    return set(level, why, steady_clock::now());
  }
  /// The best level of those that are read-only, if there is one.
  std::optional<option_error> set_read_only(std::string_view why, instant now) {
    const std::uint32_t level = machine_->first_read_only();
    if (level < levels()) return set(level, why, now);
    return option_error{"levels", "not read-only", "one must be"};
  }
  std::optional<option_error> set_read_only(std::string_view why = {}) {
    return set_read_only(why, steady_clock::now());
  }
  /// Signals move it between `best` and `worst`.
  std::optional<option_error> bound(std::uint32_t best, std::uint32_t worst, std::string_view why,
                                    instant now) {
    detail::option_checks checks;
    checks
        .require(worst <= machine_->last(), "worst", std::uint64_t{worst},
                 "must be at most " + std::to_string(machine_->last()))
        .require(best <= worst, "best", std::uint64_t{best},
                 "must be at most worst, " + std::to_string(worst));
    if (auto error = checks.result()) return error;
    machine_->bound(best, worst, why, now);
    return std::nullopt;
  }
  void release(instant now) { machine_->release(now); }
  void release() { release(steady_clock::now()); }

  /// Another source of wishes: the worst level that any of them wants is the one taken. The name goes into
  /// events.
  degradation_signal signal(std::string_view name) { return {*machine_, name}; }

  degradation_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  degradation_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New options from now on; the level, what signals want and what was set by hand stay. The name, the
  /// levels and the number of signals are fixed. Returns what is wrong with the options, in which case
  /// nothing has changed.
  std::optional<option_error> reconfigure(const degradation_options& options) {
    if (auto error = validate(options)) return error;
    const auto same = [](const service_level& a, const service_level& b) {
      return a.name == b.name && a.read_only == b.read_only;
    };
    const auto& made = machine_->levels();
    const auto& wanted = options.levels;
    detail::option_checks checks;
    checks
        .require(std::equal(wanted.begin(), wanted.end(), made.begin(), made.end(), same), "levels",
                 std::uint64_t{wanted.size()}, "entries: cannot be changed")
        .require(options.max_signals == machine_->max_signals(), "max_signals",
                 std::uint64_t{options.max_signals},
                 "cannot be changed: " + std::to_string(machine_->max_signals()));
    if (auto error = checks.result()) return error;
    machine_->reconfigure(options);
    return std::nullopt;
  }

  core::ladder_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::ladder_machine> machine_;
};

namespace detail {

/// What a rejection for the level of service says: the dependency was not asked, and asking again would not
/// help.
inline constexpr verdict not_served{.health = health::silent, .again = again::never};

class writable_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::degrade;
  static constexpr bool straight = true;

  explicit writable_layer(core::ladder_machine& l) noexcept : ladder_(&l) {}

  core::ladder_machine& ladder() const noexcept { return *ladder_; }

  template <class Inner>
  class frame : public passthrough<writable_layer, Inner> {
    using base = passthrough<writable_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      return level(c, now) < ladder().first_read_only() && this->inner().start_straight(c, now);
    }
    resolution start(call& c, instant now) {
      const std::uint32_t at = level(c, now);
      if (at < ladder().first_read_only()) return this->inner().start(c, now);
      return c.reject(now,
                      {.policy = degradation::policy_name,
                       .name = ladder().name(),
                       .why = reason::degraded,
                       .detail_level = ladder().rejections(),
                       .detail = ladder().level_name(at)},
                      not_served);
    }

   private:
    core::ladder_machine& ladder() const noexcept { return this->layer().ladder(); }
    [[gnu::always_inline]] std::uint32_t level(const call& c, instant now) const {
      return ladder().level(now, c.degradation());
    }
  };

 private:
  core::ladder_machine* ladder_;
};

}  // namespace detail

/// The layer in front of what writes: rejects (`reason::degraded`) while the level is read-only. What began
/// before goes on to its end. The ladder is shared state and must outlive the pipeline; hence an lvalue only.
inline detail::writable_layer require_writable(degradation& ladder) noexcept {
  return detail::writable_layer(ladder.machine());
}
detail::writable_layer require_writable(degradation&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_DEGRADATION_HPP
