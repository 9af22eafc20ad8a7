// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_RETRY_HPP
#define SEAWALL_RETRY_HPP

// Tries again what failed, later and within bounds. Needs to know whether the operation is idempotent;
// listens to the dependency's wishes; never waits for a moment at which the deadline has passed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/backoff.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"
#include "seawall/retry_budget.hpp"

namespace seawall {

/// What a retry does when its pipeline runs inside an attempt of a call that retries itself.
enum class when_nested : std::uint8_t {
  yield,  ///< leaves the retrying to the enclosing call: nested retries multiply
  retry,  ///< retries all the same
};

struct retry_options {
  std::string name = {};
  std::uint32_t max_attempts = 3;  ///< the first one included; at least 1
  duration max_duration =
      duration::infinite();  ///< no attempt starts later than this after the call began; positive
  backoff_options backoff = {};
  retry_budget* budget = nullptr;  ///< shared; must outlive the pipeline
  /// The longest pause that the dependency, or a breaker or limit inside, may ask for; asked for a longer
  /// one, the retry gives up. Not negative.
  duration pushback_max = std::chrono::seconds(10);
  /// A further attempt that could not have this much time before the deadline is not started, nor waited for.
  /// What is started with next to no time fails, and an inner breaker takes that for the dependency's
  /// failure: matters most where the retry waits for that breaker, as its probe would be such an attempt. Not
  /// negative.
  duration attempt_needs = duration::zero();
  when_nested nested = when_nested::yield;
};

inline std::optional<option_error> validate(const backoff_options& o) {
  constexpr auto not_negative = "must not be negative";
  const bool listed = o.shape == backoff_shape::listed;
  detail::option_checks checks;
  checks.require(o.max >= duration::zero(), "max", o.max, not_negative)
      .require(o.initial >= duration::zero(), "initial", o.initial, not_negative)
      .require(o.initial <= o.max, "initial", o.initial, "must be at most max, " + to_text(o.max))
      .require(detail::within(o.multiplier, 1.0, 1000.0), "multiplier", o.multiplier,
               "must be at least 1 and at most 1000")
      .require(detail::within(o.share, 0.0, 1.0), "share", o.share, "must be at least 0 and at most 1")
      .require(!listed || (!o.delays.empty() && o.delays.size() <= 10'000), "delays",
               std::uint64_t{o.delays.size()},
               "entries: must be at least 1 and at most 10000 for backoff_shape::listed")
      .require(o.shape != backoff_shape::custom || o.function != nullptr, "function", std::uint64_t{0},
               "must be set for backoff_shape::custom");
  for (const duration d : o.delays) checks.require(d >= duration::zero(), "delays", d, not_negative);
  return checks.result();
}

inline std::optional<option_error> validate(const retry_options& o) {
  detail::option_checks checks;
  checks.require(o.max_attempts >= 1, "max_attempts", std::uint64_t{o.max_attempts}, "must be at least 1")
      .require(o.max_duration > duration::zero(), "max_duration", o.max_duration, "must be positive")
      .require(validate(o.backoff), "backoff")
      .require(o.pushback_max >= duration::zero(), "pushback_max", o.pushback_max, "must not be negative")
      .require(o.attempt_needs >= duration::zero(), "attempt_needs", o.attempt_needs, "must not be negative");
  return checks.result();
}

/// The layer made by `retry`.
///
/// Cost of a success: a counter; one read-modify-write more if there is a budget.
/// Cancellation: nothing starts after the caller's stop token has fired.
class retry_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::retry;
  static constexpr bool straight = true;
  static constexpr bool repeats = true;
  using options_type = retry_options;
  static constexpr std::string_view policy_name = "retry";

  explicit retry_layer(retry_options options)
      : options_(detail::checked(policy_name, std::move(options))),
        budget_(options_.budget != nullptr ? &options_.budget->machine() : nullptr) {}

  /// `absl::StatusOr<retry_layer>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<retry_layer>>
  static auto create(retry_options options) {
    return Creator::make(std::move(options));
  }

  const retry_options& options() const noexcept { return options_; }

  template <class Inner>
  class frame : public passthrough<retry_layer, Inner> {
    using base = passthrough<retry_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      begin(c);
      // Last: what is not straight must not have been counted.
      if (!this->inner().start_straight(c, now)) [[unlikely]]
        return false;
      deposit(c, now);
      return true;
    }
    resolution start(call& c, instant now) {
      begin(c);
      deposit(c, now);
      return settle(c, now, this->inner().start(c, now));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return settle(c, now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) {
      if (next_ == instant::never()) return settle(c, now, this->inner().on_time(c, now));
      if (now < next_) return {};
      next_ = instant::never();
      // Woken late, perhaps: nothing starts after the limits.
      if (const give_up why = over(c, now); why != give_up::none) return stop(c, now, pending_, why);
      ++tries_;
      return settle(c, now, this->inner().start(c, now));
    }
    void cancel(call& c) {
      next_ = instant::never();
      this->inner().cancel(c);
    }
    instant wake_at() const { return next_ != instant::never() ? next_ : this->inner().wake_at(); }

   private:
    [[gnu::always_inline]] void begin(call& c) {
      tries_ = 1;
      next_ = instant::never();
      failed_ = {};
      schedule_ = {};
      yields_ = c.retried_outside() && this->layer().options_.nested == when_nested::yield;
      c.set_retries();
    }

    [[gnu::always_inline]] void deposit(call& c, instant now) const {
      auto* const budget = this->layer().budget_;
      if (budget != nullptr && c.owes_deposit(budget)) budget->deposit(now);
    }

    resolution settle(call& c, instant now, const resolution& r) {
      if (!r || r.v.success) [[likely]]
        return r;
      return settle_failure(c, now, r);
    }

    resolution settle_failure(call& c, instant now, const resolution& r) {
      if (r.how == resolution::kind::attempt) failed_ = r;
      if (r.v.again == again::never || c.stop_requested()) return r;
      if (const give_up why = forbidden(c, r); why != give_up::none) return stop(c, now, r, why);
      const auto& o = this->layer().options_;
      // Drawn also where pushback replaces it: the schedule goes on behind.
      duration delay = schedule_.next(o.backoff, tries_, [&c]() -> random_source& { return c.random(); });
      if (r.v.has_pushback()) delay = r.v.retry_after;
      if (const give_up why = too_late(c, now, r, delay); why != give_up::none) return stop(c, now, r, why);
      next_ = now + delay;
      pending_ = r;
      c.emit(event::retry_scheduled{o.name, c.attempts(), delay, r.v.has_pushback(), r.v, now});
      return {};
    }

    give_up forbidden(const call& c, const resolution& r) const {
      if (yields_) return give_up::nested;
      if (!may_repeat(r.v, c.declared())) return give_up::not_repeatable;
      return tries_ < this->layer().options_.max_attempts ? give_up::none : give_up::max_attempts;
    }

    // The budget comes last: nothing is spent on what another rule forbids.
    give_up too_late(const call& c, instant now, const resolution& r, duration delay) const {
      const auto& o = this->layer().options_;
      if (r.v.has_pushback() && delay > o.pushback_max) return give_up::pushback;
      if (now - c.started() + delay > o.max_duration) return give_up::max_duration;
      const duration left = c.deadline() - (now + delay);
      if (left <= duration::zero() || left < o.attempt_needs) return give_up::deadline;
      auto* const budget = this->layer().budget_;
      return budget == nullptr || budget->try_withdraw(now) ? give_up::none : give_up::budget;
    }

    give_up over(const call& c, instant now) const {
      if (now >= c.deadline()) return give_up::deadline;
      return now - c.started() > this->layer().options_.max_duration ? give_up::max_duration : give_up::none;
    }

    resolution stop(call& c, instant now, const resolution& r, give_up why) {
      const ending e{.why = why,
                     .name = this->layer().options_.name,
                     .attempts = c.attempts(),
                     .elapsed = now - c.started()};
      c.set_ending(e);
      c.emit(event::gave_up{e, r.v, now});
      // A rejection further in says less than the error that an attempt really met.
      return r.how == resolution::kind::rejection && failed_ ? failed_ : r;
    }

    std::uint32_t tries_ = 0;
    bool yields_ = false;
    instant next_ = instant::never();
    resolution pending_;  // what the pause under way followed
    resolution failed_;   // of the last attempt that really failed
    core::backoff_schedule schedule_;
  };

 private:
  retry_options options_;
  core::budget_machine* budget_;
};

/// Tries again up to `max_attempts`, with backoff.
///
/// The result is that of the last attempt, and says which rule ended the call. A rejection by an inner
/// breaker or limit is always tried again; its time left takes the place of the backoff.
inline retry_layer retry(retry_options options = {}) { return retry_layer(std::move(options)); }

}  // namespace seawall

#endif  // SEAWALL_RETRY_HPP
