// SPDX-License-Identifier: Apache-2.0
// What is seen, saved, restored, and kept through a reconfiguration.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("circuit_breaker: a snapshot shows the name, the counts and the probes") {
  auto options = trips_at_two();
  options.over_time.failure_rate = 1.0;
  options.half_open = {.max_probes = 3, .successes = 3, .of = 5};
  hand_driven b(options);
  b.successes(2);
  b.failures(1);
  CHECK(b.seen().name == "subject");
  CHECK(b.seen().state == breaker_state::closed);
  CHECK(b.counts().over_time == core::window_counts{.calls = 3, .bad = 1});
  CHECK(b.counts().consecutive_failures == 1);
  b.half_open();
  auto probe = b.acquire();
  b.successes(1);
  b.failures(2);
  const auto s = b.seen();
  CHECK(s.probes == 1);
  CHECK(s.probes_succeeded == 1);
  CHECK(s.probes_failed == 2);
  CHECK(s.trips == 1);
  CHECK(s.transitions == 2);
}

TEST_CASE("circuit_breaker: a saved open breaker opens again for the time that was left") {
  hand_driven before(trips_at_two());
  before.failures(2);
  before.pass(4s);
  const breaker_memento m = before.breaker.save(before.now);
  CHECK(m == breaker_memento{.state = breaker_state::open, .time_left = 6s, .trips = 1});

  hand_driven after(trips_at_two());
  after.pass(24h);  // another process, another clock
  after.breaker.restore(m, after.now);
  CHECK(after.state() == breaker_state::open);
  CHECK(after.seen().time_left == duration(6s));
  after.pass(6s);
  CHECK(after.state() == breaker_state::half_open);
}

TEST_CASE("circuit_breaker: growth goes on where it was after a restore") {
  auto options = trips_at_two();
  options.open_growth = 2.0;
  hand_driven before(options);
  before.half_open();
  before.failures(1);
  hand_driven after(options);
  after.breaker.restore(before.breaker.save(before.now), after.now);
  CHECK(after.seen().trips == 2);
  after.wait_until_half_open();
  after.failures(1);
  CHECK(after.seen().time_left == duration(40s));
}

TEST_CASE("circuit_breaker: every state survives saving and restoring") {
  for (const breaker_state s :
       {breaker_state::closed, breaker_state::open, breaker_state::half_open, breaker_state::isolated,
        breaker_state::disabled, breaker_state::metrics_only}) {
    CAPTURE(s);
    hand_driven b(trips_at_two());
    const breaker_memento m{.state = s,
                            .time_left = s == breaker_state::open ? duration(3s) : duration::zero(),
                            .trips = s == breaker_state::closed ? 0U : 2U};
    b.breaker.restore(m, b.now);
    CHECK(b.breaker.save(b.now) == m);
  }
}

TEST_CASE("circuit_breaker: a recovering breaker is saved as closed") {
  auto options = trips_at_two();
  options.recovery.length = 1h;
  hand_driven b(options);
  b.half_open();
  b.successes(1);
  CHECK(b.breaker.save(b.now) == breaker_memento{});
}

TEST_CASE("circuit_breaker: restoring drops what was there") {
  hand_driven b(trips_at_two());
  b.failures(1);
  b.breaker.restore({}, b.now);
  b.failures(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: an open state restored without time left is half-open at once") {
  hand_driven b(trips_at_two());
  b.breaker.restore({.state = breaker_state::open, .time_left = {}, .trips = 1}, b.now);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.admits());
}

TEST_CASE("circuit_breaker: new options count from now on, for what has been counted as well") {
  auto options = trips_at_two();
  options.consecutive_failures = 5;
  hand_driven b(options);
  b.failures(3);
  options.consecutive_failures = 4;
  CHECK_FALSE(b.breaker.reconfigure(options));
  CHECK(b.state() == breaker_state::closed);  // nothing happens by itself
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a reconfiguration keeps the windows") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 1.0, .minimum_calls = 1000};
  options.last_calls = {.calls = 10, .failure_rate = 1.0};
  options.consecutive_failures = 100;
  hand_driven b(options);
  b.successes(3);
  b.failures(4);
  options.last_calls.calls = 5;
  options.over_time.length = 1min;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.counts().over_time == core::window_counts{.calls = 7, .bad = 4});
  CHECK(b.counts().last_calls == core::window_counts{.calls = 5, .bad = 4});
  CHECK(b.counts().consecutive_failures == 4);
}

TEST_CASE("circuit_breaker: a reconfiguration keeps the times of failures") {
  auto options = trips_at_two();
  options.consecutive_failures = 0;
  options.failures_in_period = {.failures = 4, .within = 1h};
  hand_driven b(options);
  b.failures(2);
  options.failures_in_period.failures = 3;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a reconfiguration keeps the state, its time and the permits in flight") {
  auto options = trips_at_two();
  hand_driven b(options);
  b.failures(1);
  auto in_flight = b.acquire();
  options.open_for = 1min;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  in_flight.failure(b.now);
  CHECK(b.seen().time_left == duration(1min));
  options.open_for = 1s;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.seen().time_left == duration(1min));
}

TEST_CASE("circuit_breaker: a reconfiguration keeps the probes under way") {
  auto options = trips_at_two();
  hand_driven b(options);
  b.half_open();
  auto probe = b.acquire();
  options.half_open.max_probes = 2;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.seen().probes == 1);
  auto second = b.acquire();
  CHECK(second);
  CHECK_FALSE(b.admits());
  probe.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: bad new options are refused, and nothing has changed") {
  auto options = trips_at_two();
  hand_driven b(options);
  options.consecutive_failures = 1;
  options.open_for = 0s;
  const auto error = b.breaker.reconfigure(options);
  REQUIRE(error);
  CHECK(error->field == "open_for");
  b.failures(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: the number of buckets cannot be changed, and the error says so") {
  auto options = trips_at_two();
  hand_driven b(options);
  options.over_time.buckets = 20;
  options.consecutive_failures = 1;
  const auto error = b.breaker.reconfigure(options);
  REQUIRE(error);
  CHECK(error->text("circuit_breaker") == "circuit_breaker: over_time.buckets is 20; cannot be changed: 10");
  b.failures(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a reconfiguration does not rename it") {
  auto options = trips_at_two();
  hand_driven b(options);
  options.name = "other";
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.breaker.name() == "subject");
  CHECK(b.seen().name == "subject");
}

TEST_CASE("circuit_breaker: every option takes effect through a reconfiguration") {
  auto options = trips_at_two();
  hand_driven b(options);
  options.slow = {.limit = 100ms};
  options.over_time.minimum_calls = 1;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.breaker.machine().needs_end_time());
  b.success_after(100ms);
  CHECK(b.state() == breaker_state::open);
  options.half_open = {.max_probes = 2, .successes = 2, .of = 2};
  options.recovery = {.length = 1h, .initial_share = 0.0};
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  b.wait_until_half_open();
  CHECK(b.acquire_many(3).size() == 2);
  b.successes(2);
  CHECK_FALSE(b.admits());
}

TEST_CASE("circuit_breaker: it is idle while forgetting it would lose nothing") {
  auto options = trips_at_two();
  options.over_time.failure_rate = 1.0;
  options.last_calls = {.calls = 4, .failure_rate = 1.0};
  hand_driven b(options);
  CHECK(b.breaker.idle(b.now));
  b.successes(10);
  CHECK(b.breaker.idle(b.now));
  b.failures(1);
  CHECK_FALSE(b.breaker.idle(b.now));
  b.successes(1);
  CHECK_FALSE(b.breaker.idle(b.now));  // still in the windows
  b.successes(4);
  CHECK_FALSE(b.breaker.idle(b.now));  // still in the time window
  b.pass(10s);
  CHECK(b.breaker.idle(b.now));
}

TEST_CASE("circuit_breaker: it is not idle in any state but closed") {
  using control = void (circuit_breaker::*)(instant) noexcept;
  for (const control to : {control(&circuit_breaker::force_open), control(&circuit_breaker::isolate),
                           control(&circuit_breaker::disable), control(&circuit_breaker::metrics_only)}) {
    hand_driven b(trips_at_two());
    (b.breaker.*to)(b.now);
    CHECK_FALSE(b.breaker.idle(b.now));
    b.pass(1h);
    CHECK_FALSE(b.breaker.idle(b.now));
  }
}

TEST_CASE(
    "circuit_breaker: it is not idle while it remembers failures within a period, and is when they are old") {
  auto options = trips_at_two();
  options.failures_in_period = {.failures = 3, .within = 1min};
  hand_driven b(options);
  b.failures(1);
  b.successes(1);
  CHECK_FALSE(b.breaker.idle(b.now));
  b.pass(1min - 1ns);
  CHECK_FALSE(b.breaker.idle(b.now));
  b.pass(1ns);
  CHECK(b.breaker.idle(b.now));
}

TEST_CASE("circuit_breaker: it is idle after its recovery ramp, traffic or not") {
  auto options = trips_at_two();
  options.recovery.length = 10s;
  hand_driven b(options);
  b.half_open();
  b.successes(1);
  CHECK_FALSE(b.breaker.idle(b.now));
  b.pass(10s);
  CHECK(b.breaker.idle(b.now));
}

TEST_CASE("circuit_breaker: a snapshot says why it tripped last, and on which counts") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 0.5, .minimum_calls = 4};
  hand_driven b(options);
  CHECK(b.seen().last_trip.empty());
  b.successes(2);
  b.failures(2);
  CHECK(b.seen().last_trip == "consecutive failures");
  CHECK(b.seen().at_last_trip.over_time == core::window_counts{.calls = 4, .bad = 2});
  CHECK(b.counts().over_time == core::window_counts{});
  b.wait_until_half_open();
  b.failures(1);
  CHECK(b.seen().last_trip == "probe failed");
  b.wait_until_half_open();
  b.successes(1);
  CHECK(b.seen().last_trip == "probe failed");
  b.open();
  CHECK(b.seen().last_trip == "by hand");
}

TEST_CASE("circuit_breaker: it can be given another window before its first call") {
  auto options = trips_at_two();
  options.over_time.failure_rate = 1.0;
  hand_driven b(options);
  options.over_time.length = 1min;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  b.successes(1);
  b.pass(1min - 1ns);
  CHECK(b.counts().over_time.calls == 1);
  b.pass(1ns);
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: a window that no rule asked for starts empty when one does") {
  auto off = trips_at_two();
  auto on = off;
  on.over_time = {.failure_rate = 0.5, .minimum_calls = 2};
  hand_driven b(on);
  b.successes(3);
  REQUIRE_FALSE(b.breaker.reconfigure(off));
  b.successes(3);
  REQUIRE_FALSE(b.breaker.reconfigure(on));
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: fewer probes than are under way take nobody's place, and none is added") {
  auto options = trips_at_two();
  options.half_open = {.max_probes = 3, .successes = 3, .of = 3, .lease = 10s};
  hand_driven b(options);
  b.half_open();
  auto probes = b.acquire_many(3);
  options.half_open.max_probes = 1;
  REQUIRE_FALSE(b.breaker.reconfigure(options));
  CHECK(b.seen().probes == 3);
  CHECK_FALSE(b.admits());
  probes[0].success(b.now);
  CHECK_FALSE(b.admits());
  probes[1].release();
  CHECK_FALSE(b.admits());
  b.pass(10s);  // the lease of the third
  auto next = b.acquire();
  CHECK(next);
  CHECK(b.seen().probes == 1);
}
