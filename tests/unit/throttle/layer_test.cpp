// SPDX-License-Identifier: Apache-2.0
// The throttle as a layer of a pipeline.
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/text.hpp"
#include "support/frames.hpp"
#include "support/hand_driven_throttle.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

// So many refusals that one more call is rejected as good as certainly.
void spoil(adaptive_throttle& t, instant now) {
  for (int i = 0; i < 1'000'000; ++i) t.machine().settle(over_quota(), now);
}

}  // namespace

TEST_CASE("throttle: a rejection names the throttle and the reason, and the operation is not called") {
  testing::virtual_clock clock;
  adaptive_throttle t(without_floor());
  spoil(t, clock.now());
  bool called = false;
  const absl::Status s = testing::run(clock, compose(throttle(t)), [&] {
    called = true;
    return absl::OkStatus();
  });
  CHECK_FALSE(called);
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(std::string(detail::from_absl(s.message())) ==
        "throttle 'subject' holds the call back, as the dependency rejects too much");
  const auto r = rejection_of(s);
  REQUIRE(r);
  CHECK(r->policy == "throttle");
  CHECK(r->why == reason::throttled);
  CHECK_FALSE(r->retry_after.has_value());
  CHECK(classify(s).again == again::always);
  CHECK(classify(s).health == health::silent);
}

TEST_CASE("throttle: those who reject millions get the code alone") {
  testing::virtual_clock clock;
  auto o = without_floor();
  o.rejections = rejection_detail::code_only;
  adaptive_throttle t(o);
  spoil(t, clock.now());
  const absl::Status s = testing::run(clock, compose(throttle(t)), [] { return absl::OkStatus(); });
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(s.message().empty());
}

TEST_CASE("throttle: a rejection counts for no breaker outside, and a retry outside may repeat what is not") {
  testing::virtual_clock clock;
  adaptive_throttle t(without_floor());
  spoil(t, clock.now());
  circuit_breaker b({.consecutive_failures = 1});
  const auto p = compose(breaker(b), retry({.max_attempts = 3}), throttle(t));
  const auto before = t.snapshot(clock.now()).throttled;
  (void)testing::run(clock, p, non_idempotent([] { return absl::OkStatus(); }));
  CHECK(t.snapshot(clock.now()).throttled == before + 3);
  CHECK(b.snapshot(clock.now()).state == breaker_state::closed);
}

TEST_CASE("throttle: inside a retry it counts attempts, outside of it calls") {
  for (const bool inside : {true, false}) {
    testing::virtual_clock clock;
    adaptive_throttle t(without_floor());
    const retry_options twice{.max_attempts = 2};
    const auto refuses = idempotent([] { return absl::ResourceExhaustedError(""); });
    const auto accepted_once = idempotent([] { return absl::OkStatus(); });
    (void)testing::run(clock, compose(retry(twice), throttle(t)),
                       accepted_once);  // so that nothing is rejected
    if (inside) {
      (void)testing::run(clock, compose(retry(twice), throttle(t)), idempotent([](const attempt& a) {
                           return a.number() == 1 ? absl::ResourceExhaustedError("") : absl::OkStatus();
                         }));
    } else {
      (void)testing::run(clock, compose(throttle(t), retry(twice)), refuses);
    }
    CHECK(t.snapshot(clock.now()).requests == (inside ? 3 : 2));
    CHECK(t.snapshot(clock.now()).accepts == (inside ? 2 : 1));
  }
}

TEST_CASE("throttle: the priority of the call decides which K is its own") {
  testing::virtual_clock clock;
  auto o = without_floor();
  o.multiplier = 1;
  o.priorities = {{.at_least = 5, .multiplier = 1e6}};
  adaptive_throttle t(o);
  t.try_acquire(clock.now()).accepted(clock.now());
  for (int i = 0; i < 1000; ++i) t.machine().settle(over_quota(), clock.now());
  const auto p = compose(throttle(t));
  for (int i = 0; i < 100; ++i)
    CHECK(testing::run(clock, p, call_options{.priority = 5}, [] { return absl::OkStatus(); }).ok());
}

TEST_CASE("throttle: an attempt that is given up, or whose frame dies, is not counted") {
  adaptive_throttle t(without_floor());
  const auto p = compose(throttle(t));
  const instant now = instant::from_ns(1);
  {
    hand_driven_call call(p, now);
    call.start(now);
    call.cancel();
    // Started again, and counted once.
    call.call.take_launch();
    call.start(now);
    call.finish(now, verdict::ok());
  }
  {
    hand_driven_call call(p, now);
    call.start(now);
  }
  CHECK(t.snapshot(now).requests == 1);
}

TEST_CASE("throttle: a rejection by a layer further in is not counted") {
  adaptive_throttle t(without_floor());
  const auto p = compose(throttle(t), refusing_layer());
  const instant now = instant::from_ns(1);
  hand_driven_call call(p, now);
  CHECK(call.start(now));
  CHECK(t.snapshot(now).requests == 0);
}
