// SPDX-License-Identifier: Apache-2.0
// The time window as the breaker uses it: what counts, and for how long.
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

circuit_breaker_options ten_buckets() {
  return {.over_time = {.failure_rate = 1.0, .length = 10s, .buckets = 10, .minimum_calls = 1'000'000}};
}

}  // namespace

TEST_CASE(
    "circuit_breaker: a call at the beginning of a bucket counts while its age is less than the window") {
  hand_driven b(ten_buckets());
  b.successes(1);
  b.pass(10s - 1ns);
  CHECK(b.counts().over_time.calls == 1);
  b.pass(1ns);
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: a call at the end of a bucket goes with its bucket") {
  hand_driven b(ten_buckets());
  b.pass(1s - 1ns);
  b.successes(1);
  b.pass(9s);
  CHECK(b.counts().over_time.calls == 1);
  b.pass(1ns);
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: buckets leave the window one by one") {
  hand_driven b(ten_buckets());
  for (int i = 0; i < 10; ++i) {
    b.successes(1);
    b.pass(1s);
  }
  for (std::uint64_t left = 9; left > 0; --left) {
    CHECK(b.counts().over_time.calls == left);
    b.pass(1s);
  }
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: failures that have left the window do not trip it") {
  auto options = ten_buckets();
  options.over_time.failure_rate = 0.5;
  options.over_time.minimum_calls = 4;
  hand_driven b(options);
  b.failures(3);
  b.pass(10s);
  b.failures(1);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: successes that have left the window do not hold it closed") {
  auto options = ten_buckets();
  options.over_time.failure_rate = 0.5;
  options.over_time.minimum_calls = 4;
  hand_driven b(options);
  b.successes(100);
  b.pass(10s);
  b.failures(4);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a window of one bucket begins anew at multiples of its length") {
  auto options = ten_buckets();
  options.over_time.buckets = 1;
  hand_driven b(options);
  b.pass(9s);
  b.successes(1);
  b.pass(1s - 1ns);
  CHECK(b.counts().over_time.calls == 1);
  b.pass(1ns);
  CHECK(b.counts().over_time.calls == 0);
}

TEST_CASE("circuit_breaker: the window outlives a pause of any length") {
  hand_driven b(ten_buckets());
  for (const duration pause : {duration(10s), duration(2560s), duration(24h), duration(24h * 3650)}) {
    b.successes(3);
    b.pass(pause);
    CHECK(b.counts().over_time.calls == 0);
    b.failures(2);
    CHECK(b.counts().over_time == core::window_counts{.calls = 2, .bad = 2});
    b.pass(10s);
  }
}

TEST_CASE("circuit_breaker: a report from a thread whose clock reading is a little old is counted now") {
  hand_driven b(ten_buckets());
  b.successes(1);
  auto p = b.breaker.try_acquire(b.now - 3s);
  p.success(b.now - 2s);
  CHECK(b.counts().over_time.calls == 2);
}

TEST_CASE("circuit_breaker: a call counts when it ends, not when it begins") {
  hand_driven b(ten_buckets());
  auto p = b.acquire();
  b.pass(1h);
  CHECK(b.counts().over_time.calls == 0);
  p.failure(b.now);
  CHECK(b.counts().over_time.calls == 1);
}
