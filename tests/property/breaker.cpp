// SPDX-License-Identifier: Apache-2.0
// The circuit breaker against a list of calls.

#include <optional>
#include <string>

#include "property/breaker_duel.hpp"
#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;

void run_duels(std::uint64_t count, const breaker_theme& theme) {
  run_sequences(count, [&](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    breaker_duel duel(d, theme);
    const std::uint64_t length = d.chance(80) ? d.between(20, 60) : d.between(60, 200);
    for (std::uint64_t i = 0; i < length && !duel.over(); ++i, ++operations) {
      if (auto mismatch = duel.step()) return text("operation ", i, ": ", *mismatch);
    }
    return {};
  });
}

TEST_CASE("breaker: each rule alone decides like a list of calls") {
  run_duels(60'000, {.exactly_one_rule = true});
}

TEST_CASE("breaker: any combination of rules decides like a list of calls") { run_duels(60'000, {}); }

TEST_CASE("breaker: windows that forget and slow calls decide like a list of calls") {
  run_duels(40'000, {.rules = time_rule | last_rule | slow_rule | burst_rule, .controls_percent = 0});
}

TEST_CASE("breaker: probes and leases decide like a list of calls") {
  run_duels(50'000, {.rules = consecutive_rule, .controls_percent = 1});
}

TEST_CASE("breaker: the recovery ramp admits exactly the share that a list of calls admits") {
  run_duels(30'000, {.rules = consecutive_rule | user_rule, .ramp = true});
}

TEST_CASE("breaker: an open time with jitter stays within its range") {
  run_duels(20'000, {.ramp = true, .jitter = true});
}

// The open time has grown beyond the cap: half of a range around the cap, cut off at the cap, would be one value.
TEST_CASE("breaker: open times with jitter do not bunch at the cap") {
  constexpr int trips = 10'000;
  seawall::circuit_breaker breaker({.open_for = std::chrono::seconds(1),
                                    .open_growth = 2,
                                    .open_jitter = 0.5,
                                    .open_for_max = std::chrono::seconds(8)});
  int at_cap = 0;
  for (int i = 0; i < trips; ++i) {
    breaker.restore({.state = seawall::breaker_state::closed, .time_left = {}, .trips = 10}, instant());
    breaker.force_open(instant());
    const duration left = breaker.snapshot(instant()).time_left;
    REQUIRE(left >= std::chrono::seconds(4));
    at_cap += left >= std::chrono::seconds(8) ? 1 : 0;
  }
  CHECK(at_cap <= 1);
}

TEST_CASE("breaker: controls, save and restore decide like a list of calls") {
  run_duels(30'000, {.ramp = true, .controls_percent = 25});
}

TEST_CASE("breaker: options that change under way decide like a list of calls") {
  run_duels(40'000, {.ramp = true, .controls_percent = 3, .reconfigure_percent = 8});
}

TEST_CASE(
    "breaker: callers that wait for a verdict are answered like a list of calls, and none is left asleep") {
  run_duels(30'000,
            {.rules = consecutive_rule, .waiting = true, .controls_percent = 3, .reconfigure_percent = 2});
}

}  // namespace
