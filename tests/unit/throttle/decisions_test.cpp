// SPDX-License-Identifier: Apache-2.0
// When a call is rejected: the formula, the window, what is in flight.
#include <vector>

#include "support/hand_driven_throttle.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("throttle: rejects with the probability of the formula, to the draw") {
  hand_driven_throttle t;
  t.accepts(10);
  t.refusals(49);  // (59 - 2 * 10) / 60
  CHECK(t.seen().rejection_probability == doctest::Approx(0.65));
  CHECK(t.admits(0.65, 0.66));
  CHECK_FALSE(t.admits(0.64, 0.65));
}

TEST_CASE("throttle: a call rejected here counts as a request, and makes the next rejection likelier") {
  hand_driven_throttle t;
  t.refusals(1);  // 1/2
  CHECK_FALSE(t.admits(0.0, 0.5));
  CHECK(t.seen().requests == 2);
  CHECK(t.seen().throttled == 1);
  CHECK_FALSE(t.admits(0.6, 0.66));  // 2/3
  CHECK(t.admits(0.76, 1.0));        // 3/4
}

TEST_CASE("throttle: neither rejects nor draws while requests are K times the accepts, exactly") {
  hand_driven_throttle t;
  t.accepts(10);
  t.refusals(10);
  CHECK(t.admits(0.0, 0.001));
  CHECK(t.draws == 0);
  t.refusals(1);  // 1/22
  CHECK_FALSE(t.admits(0.0, 0.001));
  CHECK(t.draws == 1);
}

TEST_CASE("throttle: sees that the accepts have grown older than the window, though nobody told it") {
  hand_driven_throttle t;
  t.accepts(10);
  t.pass(60s);
  t.refusals(5);
  CHECK(t.admits(0.0, 0.001));
  t.pass(60s);  // the accepts' bucket is the oldest no more
  CHECK_FALSE(t.admits(0.0, 0.001));
  CHECK(t.seen().accepts == 0);
}

TEST_CASE("throttle: forgets refusals with the window") {
  hand_driven_throttle t;
  t.refusals(50);
  CHECK_FALSE(t.admits(0.0, 0.9));
  t.pass(120s);
  CHECK(t.seen().requests == 0);
  CHECK(t.admits(0.0, 0.001));
  CHECK(t.draws == 1);
}

TEST_CASE("throttle: a slow dependency with thousands in flight and a cold window is not throttled") {
  hand_driven_throttle t;
  std::vector<adaptive_throttle::permit> in_flight;
  for (int i = 0; i < 5000; ++i) {
    in_flight.push_back(t.throttle.try_acquire(t.now));
    REQUIRE(in_flight.back());
    if (i % 100 == 0) t.pass(1s);
  }
  CHECK(t.seen().rejection_probability == 0);
  // They end as well as not: half refused is no reason either.
  for (std::size_t i = 0; i < in_flight.size(); ++i)
    in_flight[i].settle(i % 2 == 0 ? verdict::ok() : over_quota(), t.now);
  CHECK(t.admits(0.0, 0.001));
  CHECK(t.draws == 0);
}

TEST_CASE("throttle: a burst in flight does not count against what was accepted before") {
  hand_driven_throttle t;
  t.accepts(10);
  t.refusals(10);
  std::vector<adaptive_throttle::permit> in_flight;
  for (int i = 0; i < 1000; ++i) in_flight.push_back(t.throttle.try_acquire(t.now));
  CHECK(t.seen().requests == 20);
  CHECK(t.seen().throttled == 0);
}
