// SPDX-License-Identifier: Apache-2.0
// Never: need traffic to leave the open state in `snapshot()`; count a rejection as a failure or let it extend the open time.
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/frames.hpp"
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("circuit_breaker: a snapshot leaves the open state without traffic") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.pass(10s - 1ns);
  CHECK(b.state() == breaker_state::open);
  CHECK(b.seen().time_left == duration(1ns));
  b.pass(1ns);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().time_left == duration::zero());
}

TEST_CASE("circuit_breaker: what is saved leaves the open state without traffic") {
  hand_driven b(trips_at_two());
  b.failures(2);
  b.pass(10s);
  CHECK(b.breaker.save(b.now) ==
        breaker_memento{.state = breaker_state::half_open, .time_left = {}, .trips = 1});
}

TEST_CASE("circuit_breaker: a look into the future changes nothing now") {
  hand_driven b(trips_at_two());
  b.failures(2);
  CHECK(b.breaker.snapshot(b.now + 1h).state == breaker_state::half_open);
  CHECK(b.state() == breaker_state::open);
  CHECK_FALSE(b.admits());
}

TEST_CASE("circuit_breaker: it opens for exactly its open time under steady traffic") {
  hand_driven b(trips_at_two());
  b.failures(2);
  const instant tripped = b.now;
  while (!b.admits()) {
    b.pass(1ms);
    REQUIRE(b.now < tripped + 11s);
  }
  CHECK(b.now == tripped + 10s);
}

TEST_CASE("circuit_breaker: rejections while it is open are not counted") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 0.5};
  hand_driven b(options);
  b.failures(2);
  const auto before = b.seen();
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(b.admits());
  const auto after = b.seen();
  CHECK(after.counts.over_time == before.counts.over_time);
  CHECK(after.counts.consecutive_failures == 0);
  CHECK(after.trips == 1);
  CHECK(after.transitions == before.transitions);
}

TEST_CASE("circuit_breaker: rejections while the probes are under way neither fail nor reopen it") {
  hand_driven b(trips_at_two());
  b.half_open();
  auto probe = b.acquire();
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(b.admits());
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes_failed == 0);
  probe.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: rejections while it is isolated leave nothing behind") {
  hand_driven b(trips_at_two());
  b.breaker.isolate(b.now);
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(b.admits());
  b.breaker.reset(b.now);
  CHECK(b.counts().consecutive_failures == 0);
  CHECK(b.admits());
}

TEST_CASE("circuit_breaker: a breaker outside another does not trip on its rejections") {
  hand_driven outer(trips_at_two());
  hand_driven inner(trips_at_two());
  inner.breaker.isolate(inner.now);
  testing::virtual_clock clock(outer.now);
  const auto pipe = compose(breaker(outer.breaker), breaker(inner.breaker));
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());
  }
  CHECK(outer.state() == breaker_state::closed);
  CHECK(outer.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: it does not trip on the rejections of a nested pipeline") {
  hand_driven outer(trips_at_two());
  hand_driven inner(trips_at_two());
  inner.failures(2);
  testing::virtual_clock clock(outer.now);
  const auto outer_pipe = compose(breaker(outer.breaker));
  const auto inner_pipe = compose(breaker(inner.breaker));
  const auto nested = [&](const attempt& a) { return inner_pipe.run(a, [] { return absl::OkStatus(); }); };
  for (int i = 0; i < 100; ++i) CHECK_FALSE(testing::run(clock, outer_pipe, nested).ok());
  CHECK(outer.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: an inner policy that rejects is no failure of the dependency") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker), refusing_layer());
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());
  }
  CHECK(b.state() == breaker_state::closed);
}
