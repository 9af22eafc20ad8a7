// SPDX-License-Identifier: Apache-2.0
// Never: count a result of a call that was admitted in an earlier state or generation.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("circuit_breaker: a failure admitted before the trip does not count after it has closed again") {
  hand_driven b(trips_at_two());
  auto late = b.acquire_many(2);
  b.half_open();
  b.successes(1);
  REQUIRE(b.state() == breaker_state::closed);
  for (auto& p : late) p.failure(b.now);
  CHECK(b.state() == breaker_state::closed);
  CHECK(b.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: a failure admitted before the trip is no failed probe") {
  hand_driven b(trips_at_two());
  auto late = b.acquire();
  b.half_open();
  auto probe = b.acquire();
  late.failure(b.now);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes_failed == 0);
  probe.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a success admitted before the trip is no successful probe") {
  hand_driven b(trips_at_two());
  auto late = b.acquire();
  b.half_open();
  auto probe = b.acquire();
  late.success(b.now);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes_succeeded == 0);
}

TEST_CASE("circuit_breaker: a success admitted before the trip does not end the open time") {
  hand_driven b(trips_at_two());
  auto late = b.acquire();
  b.failures(2);
  late.success(b.now);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a failure that comes while it is open does not count as another trip") {
  hand_driven b(trips_at_two());
  auto late = b.acquire();
  b.failures(2);
  b.pass(5s);
  late.failure(b.now);
  CHECK(b.seen().trips == 1);
  CHECK(b.seen().time_left == duration(5s));
}

TEST_CASE("circuit_breaker: a probe of an earlier half-open period is not counted in the next one") {
  auto options = trips_at_two();
  options.half_open = {.max_probes = 2, .successes = 2, .of = 2};
  hand_driven b(options);
  b.half_open();
  auto late = b.acquire();
  b.failures(1);
  REQUIRE(b.state() == breaker_state::open);
  b.wait_until_half_open();
  auto probe = b.acquire();
  late.success(b.now);
  CHECK(b.seen().probes_succeeded == 0);
  CHECK(b.seen().probes == 1);
}

TEST_CASE("circuit_breaker: dropping a probe of an earlier period does not free a place in this one") {
  hand_driven b(trips_at_two());
  b.half_open();
  auto late = b.acquire();
  b.half_open();  // opened again by hand while the probe was under way
  auto probe = b.acquire();
  REQUIRE(probe);
  late.release();
  CHECK_FALSE(b.admits());
}

TEST_CASE(
    "circuit_breaker: results admitted before reset, disable, isolate or metrics_only are not counted") {
  using control = void (circuit_breaker::*)(instant) noexcept;
  for (const control to : {control(&circuit_breaker::reset), control(&circuit_breaker::disable),
                           control(&circuit_breaker::isolate), control(&circuit_breaker::metrics_only)}) {
    auto options = trips_at_two();
    options.over_time = {.failure_rate = 1.0, .minimum_calls = 100};
    hand_driven b(options);
    auto bad = b.acquire();
    auto good = b.acquire();
    (b.breaker.*to)(b.now);
    bad.failure(b.now);
    good.success(b.now);
    CHECK(b.counts().over_time.calls == 0);
    CHECK(b.counts().consecutive_failures == 0);
  }
}

TEST_CASE("circuit_breaker: results admitted while disabled are not counted after reset") {
  hand_driven b(trips_at_two());
  b.breaker.disable(b.now);
  auto late = b.acquire_many(2);
  b.breaker.reset(b.now);
  for (auto& p : late) p.failure(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: results admitted before a restore are not counted") {
  hand_driven b(trips_at_two());
  auto late = b.acquire_many(2);
  b.breaker.restore({.state = breaker_state::closed}, b.now);
  for (auto& p : late) p.failure(b.now);
  CHECK(b.state() == breaker_state::closed);
  CHECK(b.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: the end of the recovery ramp does not forget the calls under way") {
  auto options = trips_at_two();
  options.recovery = {.length = 1s, .initial_share = 1.0};
  hand_driven b(options);
  b.half_open();
  b.successes(1);
  auto during = b.acquire_many(2);
  REQUIRE(during.size() == 2);
  b.pass(2s);
  for (auto& p : during) p.failure(b.now);
  CHECK(b.state() == breaker_state::open);
}
