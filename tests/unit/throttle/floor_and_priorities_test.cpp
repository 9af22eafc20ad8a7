// SPDX-License-Identifier: Apache-2.0
// What passes although the formula says no, and what is rejected later than the rest.
#include <utility>

#include "support/hand_driven_throttle.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

// One call every ten seconds.
throttle_options with_floor() { return {.name = "subject", .floor_per_second = 0.1}; }

throttle_options three_classes() {
  auto o = without_floor();
  o.multiplier = 1.1;
  o.priorities = {{.at_least = 0, .multiplier = 2}, {.at_least = 10, .multiplier = 4}};
  return o;
}

}  // namespace

TEST_CASE("throttle: the floor passes whatever the probability: recovery would not be noticed else") {
  hand_driven_throttle t(with_floor());
  t.refusals(1000);
  int passed = 0;
  for (int i = 0; i < 1000; ++i) {
    passed += t.admits(0.0, 0.01);
    t.pass(100ms);
  }
  CHECK(passed == 10);
}

TEST_CASE("throttle: the floor adds nothing to what passes by itself") {
  hand_driven_throttle t(with_floor());
  t.refusals(1);
  CHECK(t.admits(0.9, 1.0));
  CHECK_FALSE(t.admits(0.0, 0.01));
  t.pass(9999ms);
  CHECK_FALSE(t.admits(0.0, 0.01));
  t.pass(1ms);
  CHECK(t.admits(0.0, 0.01));
}

TEST_CASE("throttle: a floor of zero is none") {
  hand_driven_throttle t;
  t.refusals(1000);
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(t.admits(0.0, 0.01));
    t.pass(100ms);
  }
}

TEST_CASE("throttle: what matters more is rejected later") {
  hand_driven_throttle t(three_classes());
  t.accepts(100);
  t.refusals(50);  // of 150 requests: 1.1 * 100 < 150 < 2 * 100
  CHECK_FALSE(t.admits(0.0, 0.01, -1));
  CHECK(t.admits(0.0, 0.01, 0));
  CHECK(t.admits(0.0, 0.01, 9));
  CHECK(t.draws == 1);
  t.refusals(150);  // 301
  CHECK_FALSE(t.admits(0.0, 0.01, 0));
  CHECK_FALSE(t.admits(0.0, 0.01, 9));
  CHECK(t.admits(0.0, 0.01, 10));
  CHECK(t.draws == 3);
  t.refusals(200);
  CHECK_FALSE(t.admits(0.0, 0.01, 10));
}

TEST_CASE("throttle: the snapshot's probability is that of priority 0") {
  hand_driven_throttle t(three_classes());
  t.accepts(10);
  t.refusals(19);
  CHECK(t.seen().rejection_probability == doctest::Approx(9.0 / 30));
}
