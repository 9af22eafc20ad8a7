// SPDX-License-Identifier: Apache-2.0
// Retry frames against a loop.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "property/retry_duel.hpp"
#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::jitter;

seawall::backoff_options random_pauses(dice& d) {
  using seawall::backoff_shape;
  seawall::backoff_options o;
  o.shape = d.pick({backoff_shape::constant, backoff_shape::linear, backoff_shape::exponential,
                    backoff_shape::listed, backoff_shape::custom});
  o.initial = units(d, 0, 4);
  o.max = o.initial + units(d, 0, 12);
  o.multiplier = d.pick({1.0, 2.0, 3.0});
  // Mostly none: then everything is foretold.
  o.jitter = d.chance(60) ? jitter::none : static_cast<jitter>(d.below(6));
  o.delays = {units(d, 0, 5), units(d, 0, 5), units(d, 0, 20)};
  o.function = [step = units(d, 0, 3)](std::uint32_t n) { return step * n; };
  return o;
}

retry_setting random_setting(dice& d, instant now, seawall::retry_budget* budget) {
  retry_setting s;
  s.options.max_attempts = d.chance(20) ? UINT32_MAX : d.between(1U, 6U);
  s.options.max_duration = d.chance(70) ? duration::infinite() : units(d, 1, 60);
  s.options.backoff = random_pauses(d);
  s.options.budget = budget;
  s.options.pushback_max = d.chance(60) ? duration(std::chrono::minutes(1)) : units(d, 0, 15);
  s.options.attempt_needs = d.chance(50) ? duration::zero() : units(d, 0, 10);
  s.options.nested = d.pick({seawall::when_nested::yield, seawall::when_nested::retry});
  s.declared = d.chance(75)
                   ? seawall::idempotency::idempotent
                   : d.pick({seawall::idempotency::non_idempotent, seawall::idempotency::undeclared});
  if (d.chance(30)) s.deadline = now + units(d, 0, 60);
  s.failure_percent = d.pick({50U, 80U, 95U, 100U});
  return s;
}

/// The attempt of an enclosing call that the call under test may run in.
class enclosing {
 public:
  enclosing(dice& d, instant now)
      : retries_(d.chance(60)),
        deadline_(d.chance(30) ? now + units(d, 0, 30) : instant::never()),
        options_{.deadline = deadline_},
        call_(now, seawall::idempotency::idempotent, &options_, nullptr),
        frame_(layer_, 1, [] { return seawall::leaf_frame(); }) {
    if (retries_)
      frame_.start(call_, now);
    else
      call_.start_attempt(now);
    attempt_.emplace(call_, call_.take_launch());
    // A call without a retry in between changes nothing.
    between_.emplace(now, seawall::idempotency::idempotent, nullptr, &*attempt_);
    between_->start_attempt(now);
    inner_.emplace(*between_, between_->take_launch());
  }

  void put_around(retry_setting& s, bool directly) {
    s.outer = directly ? &*attempt_ : &*inner_;
    s.retried_outside = retries_;
    s.deadline = std::min(s.deadline, deadline_);
  }

 private:
  const bool retries_;
  const instant deadline_;
  seawall::call_options options_;
  seawall::call call_;
  seawall::retry_layer layer_{{}};
  seawall::retry_layer::frame<seawall::leaf_frame> frame_;
  std::optional<seawall::attempt> attempt_;
  std::optional<seawall::call> between_;
  std::optional<seawall::attempt> inner_;
};

/// Several calls one after the other, with one budget.
std::optional<std::string> try_calls(dice& d, std::uint64_t& operations) {
  instant now = instant::from_ns(d.between(0, 100'000));
  const duration width = unit * d.between(5, 20);
  const ledger_rates rates{.ratio = d.pick({0, 200, 500, 1000, 3000}), .floor = d.pick({0, 1000, 5000})};
  seawall::retry_budget budget(
      {.ratio = static_cast<double>(rates.ratio) / 1000,
       .floor_per_second = static_cast<double>(rates.floor) / 1000 / (width.seconds() * 4),
       .window = width * 4,
       .buckets = 4});
  budget_ledger ledger(rates, width, 4);
  const bool budgeted = d.chance(50);
  for (std::uint64_t calls = d.between(1, 6); calls != 0; --calls) {
    retry_setting s = random_setting(d, now, budgeted ? &budget : nullptr);
    std::optional<enclosing> around;
    if (d.chance(30)) around.emplace(d, now).put_around(s, d.chance(50));
    retry_duel duel(d, s, budgeted ? &ledger : nullptr, now);
    if (auto mismatch = duel.play(operations)) return mismatch;
    now = now + units(d, 0, 10);
  }
  return {};
}

TEST_CASE("retry: frames do what a loop would do") { run_sequences(300'000, try_calls); }

}  // namespace
