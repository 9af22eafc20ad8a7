// SPDX-License-Identifier: Apache-2.0
// By hand: force_open, isolate, disable, metrics_only, reset.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("circuit_breaker: a forced opening recovers by time") {
  hand_driven b(trips_at_two());
  b.open();
  CHECK(b.seen().time_left == duration(10s));
  CHECK(b.seen().trips == 1);
  b.pass(10s);
  b.successes(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: forcing open while open neither lengthens the open time nor counts a trip") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.pass(4s);
  b.open();
  CHECK(b.seen().time_left == duration(6s));
  CHECK(b.seen().trips == 1);
  CHECK(b.seen().transitions == 1);
}

TEST_CASE("circuit_breaker: forcing open when the open time is just over opens it anew") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.pass(10s);
  b.open();
  CHECK(b.seen().time_left == duration(10s));
  CHECK(b.seen().trips == 2);
}

TEST_CASE("circuit_breaker: isolation does not recover by time") {
  hand_driven b(trips_at_two());
  b.breaker.isolate(b.now);
  b.pass(24h * 365);
  CHECK(b.state() == breaker_state::isolated);
  CHECK_FALSE(b.admits());
  CHECK_FALSE(b.acquire().retry_after().has_value());
  CHECK(b.breaker.next_transition() == instant::never());
}

TEST_CASE("circuit_breaker: isolating an open breaker keeps it from recovering by time") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.breaker.isolate(b.now);
  b.pass(1h);
  CHECK_FALSE(b.admits());
}

TEST_CASE("circuit_breaker: a disabled breaker admits everything and learns nothing") {
  hand_driven b(trips_at_two());
  b.breaker.disable(b.now);
  b.failures(100);
  CHECK(b.state() == breaker_state::disabled);
  CHECK(b.admits());
  CHECK(b.counts().over_time.calls == 0);
  CHECK(b.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: with metrics_only it counts and never trips") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 0.5, .minimum_calls = 1};
  options.failures_in_period = {.failures = 1, .within = 1h};
  hand_driven b(options);
  b.breaker.metrics_only(b.now);
  b.failures(100);
  CHECK(b.state() == breaker_state::metrics_only);
  CHECK(b.counts().over_time == core::window_counts{.calls = 100, .bad = 100});
  CHECK(b.counts().consecutive_failures == 100);
}

TEST_CASE("circuit_breaker: the same control twice changes nothing the second time") {
  auto options = trips_at_two();
  options.over_time.failure_rate = 0.5;
  hand_driven b(options);
  b.breaker.metrics_only(b.now);
  b.failures(3);
  b.breaker.metrics_only(b.now);
  CHECK(b.counts().over_time.calls == 3);
  CHECK(b.seen().transitions == 1);
}

TEST_CASE("circuit_breaker: reset closes it out of every state") {
  using control = void (circuit_breaker::*)(instant) noexcept;
  for (const control from : {control(&circuit_breaker::force_open), control(&circuit_breaker::isolate),
                             control(&circuit_breaker::disable), control(&circuit_breaker::metrics_only)}) {
    hand_driven b(trips_at_two());
    (b.breaker.*from)(b.now);
    b.breaker.reset(b.now);
    CHECK(b.state() == breaker_state::closed);
    CHECK(b.seen().trips == 0);
    CHECK(b.admits());
  }
}

TEST_CASE("circuit_breaker: reset forgets everything that has been counted") {
  circuit_breaker_options options{.over_time = {.failure_rate = 1.0, .minimum_calls = 1000},
                                  .last_calls = {.calls = 1000, .failure_rate = 1.0},
                                  .failures_in_period = {.failures = 3, .within = 1h},
                                  .consecutive_failures = 100};
  hand_driven b(options);
  b.successes(5);
  b.failures(2);
  b.breaker.reset(b.now);
  CHECK(b.counts().over_time == core::window_counts{});
  CHECK(b.counts().last_calls == core::window_counts{});
  CHECK(b.counts().consecutive_failures == 0);
  b.failures(2);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: reset ends the recovery ramp") {
  auto options = trips_at_two();
  options.recovery = {.length = 1h, .initial_share = 0.0};
  hand_driven b(options);
  b.half_open();
  b.successes(1);
  REQUIRE_FALSE(b.admits());
  b.breaker.reset(b.now);
  CHECK(b.admits());
}

TEST_CASE("circuit_breaker: a timer can bring about what time alone does") {
  hand_driven b(trips_at_two());
  CHECK(b.breaker.next_transition() == instant::never());
  b.failures(2);
  REQUIRE(b.breaker.next_transition() == b.now + 10s);
  b.pass(10s);
  b.breaker.tick(b.now);
  CHECK(b.seen().transitions == 2);
  CHECK(b.breaker.next_transition() == instant::never());
}

TEST_CASE("circuit_breaker: a tick that comes early changes nothing") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.pass(10s - 1ns);
  b.breaker.tick(b.now);
  CHECK(b.state() == breaker_state::open);
  CHECK(b.seen().transitions == 1);
}

TEST_CASE("circuit_breaker: moving the handle leaves layers, permits and what was learned valid") {
  hand_driven b(trips_at_two());
  auto p = b.acquire();
  b.failures(1);
  circuit_breaker moved = std::move(b.breaker);
  p.failure(b.now);
  CHECK(moved.snapshot(b.now).state == breaker_state::open);
  CHECK(moved.name() == "subject");
}

TEST_CASE("circuit_breaker: the overloads without an instant read the clock") {
  circuit_breaker b(trips_at_two());
  b.try_acquire().failure();
  b.try_acquire().failure();
  CHECK(b.snapshot().state == breaker_state::open);
  CHECK(b.snapshot().time_left <= duration(10s));
  CHECK(b.snapshot().time_left > duration::zero());
  b.reset();
  CHECK(b.snapshot().state == breaker_state::closed);
  b.force_open();
  CHECK_FALSE(b.try_acquire());
  b.disable();
  b.try_acquire().success();
  b.metrics_only();
  b.isolate();
  CHECK(b.snapshot().state == breaker_state::isolated);
}
