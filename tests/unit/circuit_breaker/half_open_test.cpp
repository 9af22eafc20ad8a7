// SPDX-License-Identifier: Apache-2.0
// Probes: how many, which verdict, and what closes or reopens.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

struct probing : hand_driven {
  explicit probing(circuit_breaker_options::half_open_rules rules) : hand_driven(with(rules)) { half_open(); }

  static circuit_breaker_options with(const circuit_breaker_options::half_open_rules& rules) {
    auto options = trips_at_two();
    options.half_open = rules;
    return options;
  }
};

}  // namespace

TEST_CASE("circuit_breaker: by default one good probe closes it") {
  probing b({});
  b.successes(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: by default one bad probe reopens it") {
  probing b({});
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
  CHECK(b.seen().time_left == duration(10s));
}

TEST_CASE("circuit_breaker: closes at x good probes of y, and not before") {
  probing b({.successes = 3, .of = 5});
  b.successes(1);
  b.failures(2);
  b.successes(1);
  CHECK(b.state() == breaker_state::half_open);
  b.successes(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: reopens at the first moment at which x of y can no longer be reached") {
  probing b({.successes = 3, .of = 5});
  b.successes(2);
  b.failures(2);
  CHECK(b.state() == breaker_state::half_open);
  b.failures(1);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: every sequence of probes is decided as x of y says") {
  // All sequences of 6 outcomes against counting by hand.
  for (std::uint32_t of = 1; of <= 4; ++of) {
    for (std::uint32_t needed = 1; needed <= of; ++needed) {
      for (unsigned outcomes = 0; outcomes < 64; ++outcomes) {
        probing b({.successes = needed, .of = of});
        std::uint32_t good = 0;
        std::uint32_t bad = 0;
        for (unsigned i = 0; i < 6 && good < needed && bad <= of - needed; ++i) {
          REQUIRE(b.state() == breaker_state::half_open);
          const bool succeeds = (outcomes >> i & 1U) != 0;
          ++(succeeds ? good : bad);
          auto p = b.acquire();
          REQUIRE(p);
          p.settle(succeeds ? verdict::ok() : verdict::transient(), b.now);
        }
        REQUIRE(b.state() == (good == needed ? breaker_state::closed : breaker_state::open));
      }
    }
  }
}

TEST_CASE("circuit_breaker: max_probes is how many at once, not how many in all") {
  probing b({.max_probes = 2, .successes = 5, .of = 5});
  auto held = b.acquire_many(3);
  CHECK(held.size() == 2);
  held.pop_back();
  CHECK(b.admits());
  held.back().success(b.now);
  CHECK(b.acquire_many(3).size() == 2);
}

TEST_CASE("circuit_breaker: an excess caller is told that the probes are under way, not how long they take") {
  probing b({});
  auto probe = b.acquire();
  const auto refused = b.acquire();
  CHECK_FALSE(refused);
  CHECK(refused.why() == reason::half_open);
  CHECK_FALSE(refused.retry_after().has_value());
}

TEST_CASE("circuit_breaker: the open state lasts as long as nobody probes, the half-open one for ever") {
  probing b({});
  b.pass(24h);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.admits());
}

TEST_CASE("circuit_breaker: a probe that refuses healthily is a good one") {
  probing b({});
  b.acquire().settle(verdict::refused(), b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a slow probe is not a good one where slow calls are a rule") {
  auto options = trips_at_two();
  options.slow = {.limit = 100ms};
  hand_driven b(options);
  b.half_open();
  b.success_after(100ms);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a slow probe is a good one where slow calls are no rule") {
  probing b({});
  b.success_after(30s);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a probe that reports after its lease counts if nobody took its place") {
  probing b({.lease = 1s});
  auto p = b.acquire();
  b.pass(1h);
  p.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: verdicts are counted from zero in every half-open period") {
  probing b({.successes = 2, .of = 3});
  b.successes(1);
  b.failures(2);
  REQUIRE(b.state() == breaker_state::open);
  b.wait_until_half_open();
  CHECK(b.seen().probes_succeeded == 0);
  CHECK(b.seen().probes_failed == 0);
  b.successes(1);
  CHECK(b.state() == breaker_state::half_open);
  b.failures(1);
  CHECK(b.state() == breaker_state::half_open);
}

TEST_CASE("circuit_breaker: probes do not count in the windows") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 0.5, .minimum_calls = 1};
  options.half_open = {.successes = 2, .of = 4};
  hand_driven b(options);
  b.half_open();
  b.failures(1);
  b.successes(1);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.counts().over_time.calls == 0);
  b.successes(1);
  CHECK(b.state() == breaker_state::closed);
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: the other probes are forgotten when one decides") {
  probing b({.max_probes = 3});
  auto probes = b.acquire_many(3);
  probes[0].success(b.now);
  REQUIRE(b.state() == breaker_state::closed);
  probes[1].failure(b.now);
  probes[2].failure(b.now);
  CHECK(b.state() == breaker_state::closed);
  CHECK(b.seen().probes == 0);
  CHECK(b.counts().consecutive_failures == 0);
}

TEST_CASE("circuit_breaker: a lease of any length ends when it should") {
  for (const duration lease : {duration(1ns), duration(1h), duration::infinite()}) {
    probing b({.lease = lease});
    auto p = b.acquire();
    CHECK_FALSE(b.admits());
    b.pass(lease == duration::infinite() ? duration(24h * 36500) : lease);
    CHECK(b.admits() == (lease != duration::infinite()));
  }
}
