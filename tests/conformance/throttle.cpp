// SPDX-License-Identifier: Apache-2.0

// The table: a throttle. The draws are those of the callers' seeds.

#include "seawall/throttle.hpp"

#include <memory>
#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

constexpr seawall::verdict quota{.health = seawall::health::silent, .again = seawall::again::if_idempotent};

// No floor: the draw alone decides. So many refusals lie behind it.
seawall::adaptive_throttle& throttle_of(stage& s, int refusals) {
  const auto& kept = s.keep(std::make_shared<seawall::adaptive_throttle>(
      seawall::throttle_options{.name = "t", .floor_per_second = 0}));
  for (int i = 0; i < refusals; ++i) kept->machine().settle(quota, s.at(0ms));
  return *kept;
}

}  // namespace

TEST_CASE("throttle: rejects by the draw, with the probability that refusals make") {
  conform(
      {
          .name = "a refusal, a rejection at one half, an attempt at two thirds",
          .script = "resource_exhausted after 10ms, ok after 10ms",
          .callers = {{}, {.at = 20ms, .seed = 3}, {.at = 40ms, .seed = 6}},  // draw 0.11 and 0.74
          .trace = R"(
              0s attempt 1
              10ms attempt 1: RESOURCE_EXHAUSTED
              10ms = RESOURCE_EXHAUSTED
              report: 1 attempt in 10ms
              20ms B: rejected by throttle 't': throttled
              20ms B: = RESOURCE_EXHAUSTED by throttle 't': throttled
              B: report: 0 attempts in 0s, rejected by throttle: throttled
              40ms C: attempt 1
              50ms C: attempt 1: OK
              50ms C: = OK 42
              C: report: 1 attempt in 10ms)",
      },
      [](stage& s) { return seawall::compose(seawall::throttle(throttle_of(s, 0))); });
}

TEST_CASE("throttle: what is in flight is neither accepted nor refused") {
  conform(
      {
          .name = "four begin before the first has ended, and none is rejected",
          .script = "resource_exhausted after 50ms",
          .callers = {{}, {.at = 10ms}, {.at = 20ms}, {.at = 30ms}},
          .trace = R"(
              0s attempt 1
              10ms B: attempt 1
              20ms C: attempt 1
              30ms D: attempt 1
              50ms attempt 1: RESOURCE_EXHAUSTED
              50ms = RESOURCE_EXHAUSTED
              report: 1 attempt in 50ms
              60ms B: attempt 1: RESOURCE_EXHAUSTED
              60ms B: = RESOURCE_EXHAUSTED
              B: report: 1 attempt in 50ms
              70ms C: attempt 1: RESOURCE_EXHAUSTED
              70ms C: = RESOURCE_EXHAUSTED
              C: report: 1 attempt in 50ms
              80ms D: attempt 1: RESOURCE_EXHAUSTED
              80ms D: = RESOURCE_EXHAUSTED
              D: report: 1 attempt in 50ms)",
          .blocking = "-",
      },
      [](stage& s) { return seawall::compose(seawall::throttle(throttle_of(s, 0))); });
}

TEST_CASE("throttle: a retry outside may try again, and asks the throttle again") {
  conform(
      {
          .name = "rejected as good as surely, three times",
          .script = "ok",
          .trace = R"(
              0s rejected by throttle 't': throttled
              0s retry in 30ms
              30ms rejected by throttle 't': throttled
              30ms retry in 30ms
              60ms rejected by throttle 't': throttled
              60ms gave up: max_attempts
              60ms = RESOURCE_EXHAUSTED by throttle 't': throttled
              report: 0 attempts in 60ms, gave up: max_attempts, rejected by throttle: throttled)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.max_attempts = 3, .backoff = constant(s(30ms))}),
                                seawall::throttle(throttle_of(s, 1'000'000)),
                                seawall::attempt_timeout({.after = s(100ms)}));
      });
}
