// SPDX-License-Identifier: Apache-2.0
// The frame: what it rejects, what it gives back, what it tells the limit.
#include <chrono>
#include <stdexcept>

#include "seawall/adaptive_limit.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

adaptive_limit_options one() { return {.name = "subject", .max_limit = 1, .initial_limit = 1}; }

}  // namespace

TEST_CASE(
    "adaptive_limit: a call beyond the limit is rejected on the spot, silently, and may be tried again") {
  adaptive_limit l(one());
  const auto calls = compose(limit_concurrency(l));
  const auto held = l.try_acquire();
  const absl::Status s = calls.run([] { return absl::OkStatus(); });
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(rejection_of(s));
  CHECK(rejection_of(s)->policy == "adaptive_limit");
  CHECK(rejection_of(s)->name == "subject");
  CHECK(rejection_of(s)->why == reason::limit_reached);

  seawall_test::hand_driven_call c(calls, instant());
  const resolution r = c.start(instant());
  CHECK(r.v.health == health::silent);
  CHECK(r.v.again == again::always);
}

TEST_CASE(
    "adaptive_limit: a place is given back by an answer, an exception, a caller who leaves, and a frame that dies") {
  adaptive_limit l(one());
  const auto calls = compose(limit_concurrency(l));
  CHECK(calls.run([] { return absl::OkStatus(); }).ok());
  CHECK(l.snapshot().in_flight == 0);
  CHECK_THROWS(calls.run([]() -> int { throw std::runtime_error("no"); }));
  CHECK(l.snapshot().in_flight == 0);
  {
    seawall_test::hand_driven_call c(calls, instant());
    c.start(instant());
    CHECK(l.snapshot().in_flight == 1);
    c.cancel();
    CHECK(l.snapshot().in_flight == 0);
  }
  {
    seawall_test::hand_driven_call c(calls, instant());
    c.start(instant());
    CHECK(l.snapshot().in_flight == 1);
  }
  CHECK(l.snapshot().in_flight == 0);
}

TEST_CASE("adaptive_limit: a place is given back when a layer further in rejects") {
  adaptive_limit l(one());
  const auto calls = compose(limit_concurrency(l), seawall_test::refusing_layer());
  CHECK_FALSE(calls.run([] { return absl::OkStatus(); }).ok());
  CHECK(l.snapshot().in_flight == 0);
  CHECK(l.snapshot().limit == 1);
}

TEST_CASE("adaptive_limit: the priority of a call decides which part of the limit it may use") {
  adaptive_limit l({.min_limit = 2, .max_limit = 2, .initial_limit = 2, .reserved_share = 0.5});
  const auto calls = compose(limit_concurrency(l));
  const auto held = l.try_acquire();
  CHECK_FALSE(calls.run([] { return absl::OkStatus(); }).ok());
  CHECK(calls.run({.priority = 1}, [] { return absl::OkStatus(); }).ok());
}
