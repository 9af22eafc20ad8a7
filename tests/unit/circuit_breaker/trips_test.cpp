// SPDX-License-Identifier: Apache-2.0
// When it trips: each rule, met by equality, and what must not trip it.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

circuit_breaker_options no_rule() { return {.over_time = {.failure_rate = 0}, .open_for = 10s}; }

bool open(const hand_driven& b) { return b.state() == breaker_state::open; }

}  // namespace

TEST_CASE("circuit_breaker: by default half of 20 calls must fail") {
  hand_driven b({});
  b.successes(10);
  b.failures(9);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: by default 19 failures are too few to judge") {
  hand_driven b({});
  b.failures(19);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a failure rate is met by equality, whatever its binary fraction") {
  struct example {
    double rate;
    int bad;
    int of;
  };
  for (const auto& e :
       {example{0.3, 3, 10}, example{0.1, 1, 10}, example{0.7, 7, 10}, example{0.29, 29, 100},
        example{0.57, 57, 100}, example{1.0, 10, 10}, example{0.05, 1, 20}, example{0.001, 1, 1000}}) {
    CAPTURE(e.rate);
    auto options = no_rule();
    options.over_time = {.failure_rate = e.rate, .minimum_calls = static_cast<std::uint32_t>(e.of)};
    hand_driven exact(options);
    exact.successes(e.of - e.bad);
    exact.failures(e.bad);
    CHECK(open(exact));
    options.over_time.minimum_calls = 2;
    hand_driven below(options);
    below.successes(e.of - e.bad + 1);
    below.failures(e.bad);
    CHECK_FALSE(open(below));
  }
}

TEST_CASE("circuit_breaker: a plain success never trips it, though it completes the minimum of calls") {
  auto options = no_rule();
  options.over_time = {.failure_rate = 0.5, .minimum_calls = 4};
  hand_driven b(options);
  b.failures(3);
  b.successes(1);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a failure rate of 0 switches the time window's rule off") {
  hand_driven b(no_rule());
  b.failures(1000);
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: refusals by a healthy dependency are successes for the breaker") {
  hand_driven b(trips_at_two());
  b.failures(1);
  b.acquire().settle(verdict::refused(), b.now);
  b.failures(1);
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: silent outcomes are not counted, and do not interrupt a row of failures") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 1.0, .minimum_calls = 1000};
  hand_driven b(options);
  b.failures(1);
  b.acquire().settle(verdict::cancelled(), b.now);
  CHECK(b.counts().over_time.calls == 1);
  CHECK(b.counts().consecutive_failures == 1);
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: consecutive failures trip at exactly so many") {
  auto options = no_rule();
  options.consecutive_failures = 5;
  hand_driven b(options);
  b.failures(4);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a success interrupts a row of failures") {
  auto options = no_rule();
  options.consecutive_failures = 5;
  hand_driven b(options);
  for (int i = 0; i < 10; ++i) {
    b.failures(4);
    b.successes(1);
  }
  CHECK_FALSE(open(b));
  CHECK(b.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: a row of failures has no end in time") {
  auto options = no_rule();
  options.consecutive_failures = 2;
  hand_driven b(options);
  b.failures(1);
  b.pass(24h);
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: the last N calls are judged only when there are N, unless told otherwise") {
  auto options = no_rule();
  options.last_calls = {.calls = 10, .failure_rate = 0.5};
  hand_driven b(options);
  b.failures(9);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));

  options.last_calls.minimum_calls = 3;
  hand_driven sooner(options);
  sooner.failures(2);
  CHECK_FALSE(open(sooner));
  sooner.failures(1);
  CHECK(open(sooner));
}

TEST_CASE("circuit_breaker: the failure rate over the last N calls is met by equality") {
  auto options = no_rule();
  options.last_calls = {.calls = 10, .failure_rate = 0.3};
  hand_driven b(options);
  b.successes(20);
  b.failures(2);
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: the last N calls forget what came before them, however long ago") {
  auto options = no_rule();
  options.last_calls = {.calls = 10, .failure_rate = 0.3};
  hand_driven b(options);
  for (int i = 0; i < 20; ++i) {
    b.failures(2);
    b.successes(10);
  }
  CHECK_FALSE(open(b));
  CHECK(b.counts().last_calls == core::window_counts{.calls = 10});
  b.failures(2);
  b.pass(24h);
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: N failures within a period trip, however many calls succeed") {
  auto options = no_rule();
  options.failures_in_period = {.failures = 3, .within = 10s};
  hand_driven b(options);
  for (int i = 0; i < 2; ++i) {
    b.failures(1);
    b.successes(1000);
  }
  CHECK_FALSE(open(b));
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a failure counts in its period while its age is less than the period") {
  for (const bool just_within : {true, false}) {
    auto options = no_rule();
    options.failures_in_period = {.failures = 3, .within = 10s};
    hand_driven b(options);
    b.failures(1);
    b.pass(5s);
    b.failures(1);
    b.pass(just_within ? duration(5s - 1ns) : duration(5s));
    b.failures(1);
    CHECK(open(b) == just_within);
  }
}

TEST_CASE("circuit_breaker: failures that keep below N in a period never trip it") {
  auto options = no_rule();
  options.failures_in_period = {.failures = 3, .within = 10s};
  hand_driven b(options);
  for (int i = 0; i < 100; ++i) {
    b.failures(1);
    b.pass(5s);
  }
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: one failure within a period is a rule as well") {
  auto options = no_rule();
  options.failures_in_period = {.failures = 1, .within = 1ns};
  hand_driven b(options);
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a call is slow from exactly the limit on") {
  auto options = no_rule();
  options.over_time.minimum_calls = 1;
  options.slow = {.limit = 100ms, .rate = 1.0};
  hand_driven b(options);
  b.success_after(100ms - 1ns);
  CHECK(b.counts().over_time == core::window_counts{.calls = 1});
  hand_driven slow(options);
  slow.success_after(100ms);
  CHECK(open(slow));
}

TEST_CASE("circuit_breaker: the slow-call rate has its own threshold, met by equality") {
  auto options = no_rule();
  options.over_time.minimum_calls = 10;
  options.slow = {.limit = 100ms, .rate = 0.3};
  hand_driven b(options);
  b.successes(7);
  b.success_after(100ms);
  b.success_after(100ms);
  CHECK_FALSE(open(b));
  b.success_after(100ms);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: the slow-call rate needs the minimum of calls, too") {
  auto options = no_rule();
  options.over_time.minimum_calls = 3;
  options.slow = {.limit = 100ms, .rate = 0.1};
  hand_driven b(options);
  b.success_after(100ms);
  b.success_after(100ms);
  CHECK_FALSE(open(b));
  b.success_after(100ms);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: slow calls are judged over the last N calls as well") {
  auto options = no_rule();
  options.over_time.length = 1s;
  options.last_calls = {.calls = 4, .failure_rate = 0};
  options.slow = {.limit = 100ms, .rate = 0.5};
  hand_driven b(options);
  b.successes(3);
  b.success_after(100ms);
  CHECK_FALSE(open(b));
  b.pass(1min);  // out of the time window by now
  b.success_after(100ms);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: slow calls are off by default") {
  hand_driven b({});
  for (int i = 0; i < 100; ++i) b.success_after(1h);
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: what a deadline further in calls slow counts as slow") {
  auto options = no_rule();
  options.over_time.minimum_calls = 1;
  options.slow = {.limit = 1h};
  hand_driven b(options);
  verdict late = verdict::ok();
  late.slow = true;
  b.acquire().settle(late, b.now);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: slow verdicts mean nothing where slow calls are not a rule") {
  auto options = trips_at_two();
  options.half_open = {};
  hand_driven b(options);
  verdict late = verdict::ok();
  late.slow = true;
  b.half_open();
  b.acquire().settle(late, b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a slow failure counts as bad and as slow") {
  auto options = no_rule();
  options.over_time = {.failure_rate = 1.0, .minimum_calls = 100};
  options.slow = {.limit = 100ms};
  hand_driven b(options);
  auto p = b.acquire();
  b.pass(1s);
  p.failure(b.now);
  CHECK(b.counts().over_time == core::window_counts{.calls = 1, .bad = 1, .slow = 1});
}

TEST_CASE("circuit_breaker: a slow success interrupts a row of failures") {
  auto options = trips_at_two();
  options.over_time.minimum_calls = 100;
  options.slow = {.limit = 100ms};
  hand_driven b(options);
  b.failures(1);
  b.success_after(1s);
  b.failures(1);
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: a rule of the user's own sees all the counts") {
  breaker_counts told;
  auto options = no_rule();
  options.last_calls = {.calls = 10, .failure_rate = 0};
  options.trip_when = [&](const breaker_counts& c) {
    told = c;
    return c.over_time.bad == 3;
  };
  hand_driven b(options);
  b.successes(2);
  b.failures(2);
  CHECK_FALSE(open(b));
  CHECK(told.over_time == core::window_counts{.calls = 4, .bad = 2});
  CHECK(told.last_calls == core::window_counts{.calls = 4, .bad = 2});
  CHECK(told.consecutive_failures == 2);
  b.failures(1);
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: a rule of the user's own is not asked after a plain success") {
  int asked = 0;
  auto options = no_rule();
  options.trip_when = [&](const breaker_counts&) {
    ++asked;
    return true;
  };
  hand_driven b(options);
  b.successes(100);
  CHECK(asked == 0);
  CHECK_FALSE(open(b));
}

TEST_CASE("circuit_breaker: of several rules whichever is met first trips") {
  circuit_breaker_options options{.over_time = {.failure_rate = 0.5, .minimum_calls = 10},
                                  .last_calls = {.calls = 100, .failure_rate = 0.5},
                                  .failures_in_period = {.failures = 50, .within = 1s},
                                  .consecutive_failures = 3};
  hand_driven in_a_row(options);
  in_a_row.failures(3);
  CHECK(open(in_a_row));
  hand_driven by_rate(options);
  for (int i = 0; i < 5; ++i) {
    by_rate.successes(1);
    by_rate.failures(1);
  }
  CHECK(open(by_rate));
}

TEST_CASE("circuit_breaker: a breaker without a rule opens only by hand") {
  hand_driven b(no_rule());
  b.failures(10'000);
  CHECK_FALSE(open(b));
  b.open();
  CHECK(open(b));
}

TEST_CASE("circuit_breaker: what was counted before a trip is forgotten after it") {
  auto options = no_rule();
  options.over_time = {.failure_rate = 0.5, .length = 1h, .minimum_calls = 2};
  options.last_calls = {.calls = 2, .failure_rate = 1.0};
  options.failures_in_period = {.failures = 2, .within = 1h};
  options.consecutive_failures = 2;
  hand_driven b(options);
  b.failures(2);
  REQUIRE(open(b));
  b.wait_until_half_open();
  b.successes(1);
  REQUIRE(b.state() == breaker_state::closed);
  b.failures(1);
  CHECK_FALSE(open(b));
}
