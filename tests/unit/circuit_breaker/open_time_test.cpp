// SPDX-License-Identifier: Apache-2.0
// How long it stays open: exactly, growing, varied, capped, at the dependency's wish.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

duration trips_for(hand_driven& b, const verdict& v = verdict::transient()) {
  if (b.state() == breaker_state::half_open) {
    b.acquire().settle(v, b.now);
  } else {
    b.failures(1);
    b.acquire().settle(v, b.now);
  }
  REQUIRE(b.state() == breaker_state::open);
  return b.seen().time_left;
}

duration next_trip_for(hand_driven& b) {
  b.wait_until_half_open();
  return trips_for(b);
}

}  // namespace

TEST_CASE("circuit_breaker: a refusal carries the time left, to the nanosecond") {
  hand_driven b(trips_at_two());
  b.failures(2);
  CHECK(b.acquire().retry_after() == duration(10s));
  b.pass(9'999'999'999ns);
  CHECK(b.acquire().retry_after() == duration(1ns));
  b.pass(1ns);
  CHECK(b.admits());
}

TEST_CASE("circuit_breaker: the open time counts from the failure that tripped it") {
  hand_driven b(trips_at_two());
  b.failures(1);
  b.pass(1min);
  auto p = b.acquire();
  b.pass(1min);
  p.failure(b.now);
  CHECK(b.acquire().retry_after() == duration(10s));
}

TEST_CASE("circuit_breaker: the open time does not grow unless told to") {
  hand_driven b(trips_at_two());
  CHECK(trips_for(b) == duration(10s));
  for (int i = 0; i < 5; ++i) CHECK(next_trip_for(b) == duration(10s));
}

TEST_CASE("circuit_breaker: the open time grows by its factor with every trip, up to the cap") {
  auto options = trips_at_two();
  options.open_growth = 2.0;
  options.open_for_max = 1min;
  hand_driven b(options);
  CHECK(trips_for(b) == duration(10s));
  CHECK(next_trip_for(b) == duration(20s));
  CHECK(next_trip_for(b) == duration(40s));
  CHECK(next_trip_for(b) == duration(1min));
  CHECK(next_trip_for(b) == duration(1min));
}

TEST_CASE("circuit_breaker: growth starts over after closing") {
  auto options = trips_at_two();
  options.open_growth = 3.0;
  hand_driven b(options);
  trips_for(b);
  CHECK(next_trip_for(b) == duration(30s));
  b.wait_until_half_open();
  b.successes(1);
  CHECK(b.seen().trips == 0);
  CHECK(trips_for(b) == duration(10s));
}

TEST_CASE("circuit_breaker: growth starts over after a reset") {
  auto options = trips_at_two();
  options.open_growth = 3.0;
  hand_driven b(options);
  trips_for(b);
  next_trip_for(b);
  b.breaker.reset(b.now);
  CHECK(trips_for(b) == duration(10s));
}

TEST_CASE("circuit_breaker: growth without end ends at the cap, whatever the factor") {
  auto options = trips_at_two();
  options.open_growth = 1e6;
  options.open_for_max = duration::infinite();
  hand_driven b(options);
  b.breaker.restore({.state = breaker_state::half_open, .time_left = {}, .trips = UINT32_MAX}, b.now);
  CHECK(trips_for(b) > duration(24h * 36500));
  CHECK(b.seen().trips == UINT32_MAX);
}

TEST_CASE("circuit_breaker: without a cap of its own the open time is capped at a minute") {
  auto options = trips_at_two();
  options.open_growth = 100.0;
  hand_driven b(options);
  trips_for(b);
  CHECK(next_trip_for(b) == duration(1min));
}

TEST_CASE("circuit_breaker: without a cap of its own an open time beyond a minute is its own cap") {
  auto options = trips_at_two();
  options.open_for = 5min;
  options.open_growth = 100.0;
  hand_driven b(options);
  CHECK(trips_for(b) == duration(5min));
  CHECK(next_trip_for(b) == duration(5min));
}

TEST_CASE("circuit_breaker: jitter varies the open time within its share, to both sides") {
  auto options = trips_at_two();
  options.open_jitter = 0.2;
  duration least = duration::infinite();
  duration most = duration::zero();
  for (int i = 0; i < 2000; ++i) {
    hand_driven b(options);
    const duration d = trips_for(b);
    if (d < least) least = d;
    if (d > most) most = d;
  }
  CHECK(least >= duration(8s));
  CHECK(most <= duration(12s));
  // 2000 draws of a uniform miss a tenth at either end with probability 0.9^2000.
  CHECK(least < duration(8400ms));
  CHECK(most > duration(11600ms));
}

TEST_CASE("circuit_breaker: a forced opening is varied as well") {
  auto options = trips_at_two();
  options.open_jitter = 0.5;
  bool differs = false;
  duration first = duration::zero();
  for (int i = 0; i < 50; ++i) {
    hand_driven b(options);
    b.open();
    if (i == 0) first = b.seen().time_left;
    differs = differs || b.seen().time_left != first;
  }
  CHECK(differs);
}

TEST_CASE("circuit_breaker: jitter never exceeds the cap, and varied times do not bunch there") {
  auto options = trips_at_two();
  options.open_jitter = 0.5;
  options.open_growth = 1000.0;
  options.open_for_max = 1min;
  int at_cap = 0;
  for (int i = 0; i < 1000; ++i) {
    hand_driven b(options);
    b.breaker.restore({.state = breaker_state::half_open, .time_left = {}, .trips = 5}, b.now);
    const duration d = trips_for(b);
    CHECK(d <= duration(1min));
    CHECK(d >= duration(30s));
    at_cap += d == duration(1min) ? 1 : 0;
  }
  // Half of the draws lie above the middle; 1000 draws stray from 500 by 100 once in 10^10 runs.
  CHECK(at_cap < 600);
}

TEST_CASE("circuit_breaker: full jitter still leaves a moment") {
  auto options = trips_at_two();
  options.open_for = 1ns;
  options.open_jitter = 1.0;
  for (int i = 0; i < 100; ++i) {
    hand_driven b(options);
    CHECK(trips_for(b) >= duration(1ns));
  }
}

TEST_CASE("circuit_breaker: the dependency's wish lengthens the open time") {
  hand_driven b(trips_at_two());
  CHECK(trips_for(b, verdict::transient().with_retry_after(30s)) == duration(30s));
}

TEST_CASE("circuit_breaker: the dependency's wish never shortens the open time") {
  hand_driven b(trips_at_two());
  CHECK(trips_for(b, verdict::transient().with_retry_after(0s)) == duration(10s));
}

TEST_CASE("circuit_breaker: the dependency's wish is heeded up to the cap") {
  hand_driven b(trips_at_two());
  CHECK(trips_for(b, verdict::transient().with_retry_after(duration::infinite())) == duration(1min));
}

TEST_CASE("circuit_breaker: a failed probe's wish lengthens the open time") {
  hand_driven b(trips_at_two());
  b.half_open();
  CHECK(trips_for(b, verdict::transient().with_retry_after(45s)) == duration(45s));
}

TEST_CASE("circuit_breaker: the wish of a call that does not trip it is not remembered") {
  hand_driven b(trips_at_two());
  b.acquire().settle(verdict::transient().with_retry_after(1min), b.now);
  b.failures(1);
  CHECK(b.seen().time_left == duration(10s));
}
