// SPDX-License-Identifier: Apache-2.0
// The recovery ramp: after closing, a growing share of the calls.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

struct recovering : hand_driven {
  explicit recovering(circuit_breaker_options::ramp ramp) : hand_driven(with(ramp)) {
    half_open();
    successes(1);
  }
  static circuit_breaker_options with(const circuit_breaker_options::ramp& ramp) {
    auto options = trips_at_two();
    options.recovery = ramp;
    return options;
  }
  int admitted_of(int calls) {
    int n = 0;
    for (int i = 0; i < calls; ++i) n += admits() ? 1 : 0;
    return n;
  }
};

}  // namespace

TEST_CASE("circuit_breaker: without a ramp closing admits everything at once") {
  recovering b({});
  CHECK(b.admitted_of(100) == 100);
  CHECK(b.seen().admitted_share == 1.0);
}

TEST_CASE("circuit_breaker: the admitted share grows linearly from its beginning to 1") {
  recovering b({.length = 10s, .initial_share = 0.1});
  CHECK(b.seen().admitted_share == doctest::Approx(0.1));
  b.pass(5s);
  CHECK(b.seen().admitted_share == doctest::Approx(0.55));
  b.pass(5s - 1ns);
  CHECK(b.seen().admitted_share == doctest::Approx(1.0));
  CHECK(b.seen().admitted_share < 1.0);
  b.pass(1ns);
  CHECK(b.seen().admitted_share == 1.0);
}

TEST_CASE("circuit_breaker: the ramp admits its share of the calls") {
  recovering b({.length = 10s, .initial_share = 0.2});
  // Ten thousand draws: five standard deviations are 200 at most.
  const int at_first = b.admitted_of(10'000);
  CHECK(at_first > 1800);
  CHECK(at_first < 2200);
  b.pass(5s);
  const int half_way = b.admitted_of(10'000);
  CHECK(half_way > 5750);
  CHECK(half_way < 6250);
  b.pass(5s);
  CHECK(b.admitted_of(1000) == 1000);
}

TEST_CASE("circuit_breaker: a share of 0 admits nothing at first, a share of 1 everything") {
  recovering nothing({.length = 10s, .initial_share = 0.0});
  CHECK(nothing.admitted_of(1000) == 0);
  recovering everything({.length = 10s, .initial_share = 1.0});
  CHECK(everything.admitted_of(1000) == 1000);
}

TEST_CASE("circuit_breaker: who falls outside the share is told so, without a time") {
  recovering b({.length = 10s, .initial_share = 0.0});
  const auto refused = b.acquire();
  CHECK(refused.why() == reason::recovering);
  CHECK_FALSE(refused.retry_after().has_value());
}

TEST_CASE("circuit_breaker: a recovering breaker is closed to observers, and judges like a closed one") {
  recovering b({.length = 10s, .initial_share = 1.0});
  CHECK(b.state() == breaker_state::closed);
  b.failures(1);
  CHECK(b.state() == breaker_state::closed);
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: the end of the ramp is no transition, and is known to timers") {
  recovering b({.length = 10s, .initial_share = 0.5});
  const auto before = b.seen().transitions;
  REQUIRE(b.breaker.next_transition() == b.now + 10s);
  b.pass(10s);
  b.breaker.tick(b.now);
  CHECK(b.seen().transitions == before);
  CHECK(b.breaker.next_transition() == instant::never());
}

TEST_CASE("circuit_breaker: what is counted during the ramp counts after it") {
  recovering b({.length = 10s, .initial_share = 1.0});
  b.failures(1);
  b.pass(10s);
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: every closing begins a ramp of its own") {
  recovering b({.length = 10s, .initial_share = 0.0});
  b.pass(9s);
  b.half_open();
  b.successes(1);
  CHECK(b.seen().admitted_share == 0.0);
  CHECK(b.admitted_of(100) == 0);
}
