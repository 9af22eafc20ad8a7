// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_FEATURE_GATE_HPP
#define SEAWALL_FEATURE_GATE_HPP

// Whether a feature is served: by the level of service, to a stable share of the keys (a canary, a rollout),
// and not at all once its kill switch is thrown. The layer rejects what is not served, so that a fallback
// outside of it answers.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/gate_machine.hpp"
#include "seawall/degradation.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"

namespace seawall {

inline std::optional<option_error> validate(const feature_gate_options& o) {
  detail::option_checks checks;
  checks.require(detail::within(o.percent, 0.0, 100.0), "percent", o.percent,
                 "must be at least 0 and at most 100");
  return checks.result();
}

/// A gate: shared state of the pipelines in which it stands. A handle: moving it leaves layers valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::gate_machine`.
class feature_gate {
 public:
  using options_type = feature_gate_options;
  static constexpr std::string_view policy_name = "feature_gate";

  /// Without a ladder: a rollout and a kill switch.
  explicit feature_gate(feature_gate_options options = {}) : feature_gate(nullptr, std::move(options)) {}
  /// The ladder must outlive the gate.
  feature_gate(degradation& ladder, feature_gate_options options)
      : feature_gate(&ladder.machine(), std::move(options)) {}

  /// `absl::StatusOr<feature_gate>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<feature_gate>>
  static auto create(feature_gate_options options) {
    return Creator::make(std::move(options));
  }

  /// Whether the feature is served now to this key: the same answer for the same key, until something is
  /// changed.
  bool allows(std::string_view key, instant now) {
    const gate_answer a = machine_->look(now);
    return a == gate_answer::open || (a == gate_answer::rollout && machine_->contains(key));
  }
  bool allows(std::string_view key) { return allows(key, steady_clock::now()); }
  /// For what has no key: the same share, by a draw.
  bool allows(random_source& random, instant now) {
    const gate_answer a = machine_->look(now);
    return a == gate_answer::open || (a == gate_answer::rollout && machine_->contains(random));
  }

  // By hand; `why` goes into the event.

  void kill(std::string_view why, instant now) { machine_->set_killed(true, why, now); }
  void kill(std::string_view why = {}) { kill(why, steady_clock::now()); }
  void revive(std::string_view why, instant now) { machine_->set_killed(false, why, now); }
  void revive(std::string_view why = {}) { revive(why, steady_clock::now()); }
  /// Returns what is wrong with `percent`, in which case nothing has changed.
  std::optional<option_error> set_percent(double percent, std::string_view why, instant now) {
    if (auto error = validate({.percent = percent})) return error;
    machine_->set_percent(percent, why, now);
    return std::nullopt;
  }
  std::optional<option_error> set_percent(double percent, std::string_view why = {}) {
    return set_percent(percent, why, steady_clock::now());
  }

  feature_gate_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  feature_gate_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// All but the name, which is fixed, and the ladder. Returns what is wrong with the options, in which case
  /// nothing has changed.
  std::optional<option_error> reconfigure(const feature_gate_options& options, instant now) {
    if (auto error = valid_at(machine_->ladder(), options)) return error;
    machine_->reconfigure(options, now);
    return std::nullopt;
  }
  std::optional<option_error> reconfigure(const feature_gate_options& options) {
    return reconfigure(options, steady_clock::now());
  }

  core::gate_machine& machine() noexcept { return *machine_; }

 private:
  feature_gate(core::ladder_machine* ladder, feature_gate_options options) {
    if (const auto error = valid_at(ladder, options)) detail::refuse(error->text(policy_name));
    machine_ = std::make_unique<core::gate_machine>(std::move(options), ladder);
  }

  static std::optional<option_error> valid_at(const core::ladder_machine* ladder,
                                              const feature_gate_options& o) {
    if (auto error = validate(o)) return error;
    const std::uint32_t last = ladder != nullptr ? ladder->last() : 0;
    detail::option_checks checks;
    checks.require(o.up_to_level <= last, "up_to_level", std::uint64_t{o.up_to_level},
                   "must be at most " + std::to_string(last) + ", the worst level");
    return checks.result();
  }

  std::unique_ptr<core::gate_machine> machine_;
};

namespace detail {

class gate_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::degrade;
  static constexpr bool straight = true;

  explicit gate_layer(core::gate_machine& g) noexcept : gate_(&g) {}

  core::gate_machine& gate() const noexcept { return *gate_; }

  template <class Inner>
  class frame : public passthrough<gate_layer, Inner> {
    using base = passthrough<gate_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    // A draw that is made here would be made again in `start`.
    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      return gate().look(now, c.degradation()) == gate_answer::open && this->inner().start_straight(c, now);
    }
    resolution start(call& c, instant now) {
      const gate_answer a = answer(c, now);
      if (a == gate_answer::open) return this->inner().start(c, now);
      gate().refused();
      return c.reject(now,
                      {.policy = feature_gate::policy_name,
                       .name = gate().name(),
                       .why = reason::degraded,
                       .detail_level = gate().rejections(),
                       .detail = to_string(a)},
                      not_served);
    }

   private:
    core::gate_machine& gate() const noexcept { return this->layer().gate(); }

    gate_answer answer(call& c, instant now) {
      const gate_answer a = gate().look(now, c.degradation());
      if (a != gate_answer::rollout) return a;
      return in_share(c) ? gate_answer::open : gate_answer::rollout;
    }
    bool in_share(call& c) {
      if (!c.key().empty()) return gate().contains(c.key());
      // One draw a call: what was let in is not turned away by a retry outside.
      if (drawn_ == draw::none) drawn_ = gate().contains(c.random()) ? draw::in : draw::out;
      return drawn_ == draw::in;
    }

    enum class draw : std::uint8_t { none, in, out };
    draw drawn_ = draw::none;
  };

 private:
  core::gate_machine* gate_;
};

}  // namespace detail

/// The layer in front of what is optional: rejects (`reason::degraded`) what the gate does not serve, so that
/// a fallback outside of it answers, and the answer is marked as degraded. `call_options::key` decides about
/// a share; without a key it is a draw. The gate is shared state and must outlive the pipeline; hence an
/// lvalue only.
inline detail::gate_layer degrade(feature_gate& gate) noexcept { return detail::gate_layer(gate.machine()); }
detail::gate_layer degrade(feature_gate&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_FEATURE_GATE_HPP
