// SPDX-License-Identifier: Apache-2.0

// The table: what a retry repeats, when, and when it stops.

#include "seawall/retry.hpp"

#include <cstdint>
#include <utility>
#include <vector>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

using namespace conformance;
using seawall::backoff_shape;
using seawall::jitter;

namespace {

auto retrying(seawall::retry_options o) { return seawall::compose(seawall::retry(std::move(o))); }

auto retrying_with(jitter j) {
  return [j](stage&) {
    return retrying(
        {.max_attempts = 4,
         .backoff = {.shape = backoff_shape::constant, .initial = 100ms, .max = 300ms, .jitter = j}});
  };
}

}  // namespace

TEST_CASE("retry: what is repeated") {
  conform(
      {
          .name = "a success at once",
          .script = "ok after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(50ms))}); });
  conform(
      {
          .name = "an operation that answers before its start has returned",
          .script = "fail, ok",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 50ms
              50ms attempt 2
              50ms attempt 2: OK
              50ms = OK 42
              report: 2 attempts in 50ms)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(50ms))}); });
  conform(
      {
          .name = "no pause at all between attempts that take no time",
          .script = "fail x3, ok",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 0s
              0s attempt 2
              0s attempt 2: UNAVAILABLE
              0s retry in 0s
              0s attempt 3
              0s attempt 3: UNAVAILABLE
              0s retry in 0s
              0s attempt 4
              0s attempt 4: OK
              0s = OK 42
              report: 4 attempts in 0s)",
          .only_virtual = true,
      },
      [](stage&) { return retrying({.max_attempts = 4, .backoff = constant(0ms)}); });
  conform(
      {
          .name = "an error that repeating will not mend is not repeated",
          .script = "not_found after 10ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: NOT_FOUND
              10ms = NOT_FOUND
              report: 1 attempt in 10ms)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(50ms))}); });
  conform<absl::StatusOr<int>, false>(
      {
          .name = "what may have been executed is not repeated if it is not idempotent",
          .script = "fail after 10ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms gave up: not_repeatable
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms, gave up: not_repeatable)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(50ms))}); });
}

TEST_CASE("retry: shapes of the backoff") {
  conform(
      {
          .name = "constant; and gives up after max_attempts, with the last error",
          .script = "fail after 10ms, unknown after 10ms, internal after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2
              70ms attempt 2: UNKNOWN
              70ms retry in 50ms
              120ms attempt 3
              130ms attempt 3: INTERNAL
              130ms gave up: max_attempts
              130ms = INTERNAL
              report: 3 attempts in 130ms, gave up: max_attempts)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(50ms))}); });
  conform(
      {
          .name = "linear, up to its maximum",
          .script = "fail",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 20ms
              20ms attempt 2
              20ms attempt 2: UNAVAILABLE
              20ms retry in 40ms
              60ms attempt 3
              60ms attempt 3: UNAVAILABLE
              60ms retry in 50ms
              110ms attempt 4
              110ms attempt 4: UNAVAILABLE
              110ms gave up: max_attempts
              110ms = UNAVAILABLE
              report: 4 attempts in 110ms, gave up: max_attempts)",
      },
      [](stage& s) {
        return retrying({.max_attempts = 4,
                         .backoff = {.shape = backoff_shape::linear,
                                     .initial = s(20ms),
                                     .max = s(50ms),
                                     .jitter = jitter::none}});
      });
  conform(
      {
          .name = "exponential, up to its maximum",
          .script = "fail",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 10ms
              10ms attempt 2
              10ms attempt 2: UNAVAILABLE
              10ms retry in 30ms
              40ms attempt 3
              40ms attempt 3: UNAVAILABLE
              40ms retry in 80ms
              120ms attempt 4
              120ms attempt 4: UNAVAILABLE
              120ms gave up: max_attempts
              120ms = UNAVAILABLE
              report: 4 attempts in 120ms, gave up: max_attempts)",
      },
      [](stage& s) {
        return retrying(
            {.max_attempts = 4,
             .backoff = {.initial = s(10ms), .max = s(80ms), .multiplier = 3.0, .jitter = jitter::none}});
      });
  conform(
      {
          .name = "listed, the last one for ever",
          .script = "fail",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 30ms
              30ms attempt 2
              30ms attempt 2: UNAVAILABLE
              30ms retry in 10ms
              40ms attempt 3
              40ms attempt 3: UNAVAILABLE
              40ms retry in 10ms
              50ms attempt 4
              50ms attempt 4: UNAVAILABLE
              50ms gave up: max_attempts
              50ms = UNAVAILABLE
              report: 4 attempts in 50ms, gave up: max_attempts)",
      },
      [](stage& s) {
        return retrying(
            {.max_attempts = 4,
             .backoff = {
                 .shape = backoff_shape::listed, .jitter = jitter::none, .delays = {s(30ms), s(10ms)}}});
      });
  conform(
      {
          .name = "a function of the number of failures",
          .script = "fail x2, ok",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 7ms
              7ms attempt 2
              7ms attempt 2: UNAVAILABLE
              7ms retry in 14ms
              21ms attempt 3
              21ms attempt 3: OK
              21ms = OK 42
              report: 3 attempts in 21ms)",
          .only_virtual = true,
      },
      [](stage& s) {
        return retrying({.backoff = {.shape = backoff_shape::custom,
                                     .jitter = jitter::none,
                                     .function = [d = s(7ms)](std::uint32_t n) { return d * n; }}});
      });
}

TEST_CASE("retry: jitter, drawn from the caller's random source") {
  conform(
      {
          .name = "full: U(0, 100ms)",
          .script = "fail",
          .callers = {{.seed = 7}},
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 38.982ms
              38.982ms attempt 2
              38.982ms attempt 2: UNAVAILABLE
              38.982ms retry in 1.678ms
              40.661ms attempt 3
              40.661ms attempt 3: UNAVAILABLE
              40.661ms retry in 90.076ms
              130.737ms attempt 4
              130.737ms attempt 4: UNAVAILABLE
              130.737ms gave up: max_attempts
              130.737ms = UNAVAILABLE
              report: 4 attempts in 130.737ms, gave up: max_attempts)",
          .only_virtual = true,
      },
      retrying_with(jitter::full));
  conform(
      {
          .name = "equal: U(50ms, 100ms)",
          .script = "fail",
          .callers = {{.seed = 7}},
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 69.491ms
              69.491ms attempt 2
              69.491ms attempt 2: UNAVAILABLE
              69.491ms retry in 50.839ms
              120.33ms attempt 3
              120.33ms attempt 3: UNAVAILABLE
              120.33ms retry in 95.038ms
              215.368ms attempt 4
              215.368ms attempt 4: UNAVAILABLE
              215.368ms gave up: max_attempts
              215.368ms = UNAVAILABLE
              report: 4 attempts in 215.368ms, gave up: max_attempts)",
          .only_virtual = true,
      },
      retrying_with(jitter::equal));
  conform(
      {
          .name = "decorrelated: U(100ms, 3 times the last one)",
          .script = "fail",
          .callers = {{.seed = 7}},
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 177.965ms
              177.965ms attempt 2
              177.965ms attempt 2: UNAVAILABLE
              177.965ms retry in 103.357ms
              281.323ms attempt 3
              281.323ms attempt 3: UNAVAILABLE
              281.323ms retry in 280.152ms
              561.475ms attempt 4
              561.475ms attempt 4: UNAVAILABLE
              561.475ms gave up: max_attempts
              561.475ms = UNAVAILABLE
              report: 4 attempts in 561.475ms, gave up: max_attempts)",
          .only_virtual = true,
      },
      retrying_with(jitter::decorrelated));
  conform(
      {
          .name = "proportional: 100ms +- 20ms",
          .script = "fail",
          .callers = {{.seed = 7}},
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 95.593ms
              95.593ms attempt 2
              95.593ms attempt 2: UNAVAILABLE
              95.593ms retry in 80.671ms
              176.264ms attempt 3
              176.264ms attempt 3: UNAVAILABLE
              176.264ms retry in 116.03ms
              292.295ms attempt 4
              292.295ms attempt 4: UNAVAILABLE
              292.295ms gave up: max_attempts
              292.295ms = UNAVAILABLE
              report: 4 attempts in 292.295ms, gave up: max_attempts)",
          .only_virtual = true,
      },
      retrying_with(jitter::proportional));
  conform(
      {
          .name = "linear window: U(0, 100ms times the number of failures)",
          .script = "fail",
          .callers = {{.seed = 7}},
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 38.982ms
              38.982ms attempt 2
              38.982ms attempt 2: UNAVAILABLE
              38.982ms retry in 3.357ms
              42.34ms attempt 3
              42.34ms attempt 3: UNAVAILABLE
              42.34ms retry in 270.228ms
              312.568ms attempt 4
              312.568ms attempt 4: UNAVAILABLE
              312.568ms gave up: max_attempts
              312.568ms = UNAVAILABLE
              report: 4 attempts in 312.568ms, gave up: max_attempts)",
          .only_virtual = true,
      },
      retrying_with(jitter::linear_window));
}

TEST_CASE("retry: pushback, budget, total time") {
  conform(
      {
          .name = "pushback takes the place of one pause; the schedule goes on behind it",
          .script = "resource_exhausted retry-after 70ms, fail, ok",
          .trace = R"(
              0s attempt 1
              0s attempt 1: RESOURCE_EXHAUSTED
              0s retry in 70ms, as asked
              70ms attempt 2
              70ms attempt 2: UNAVAILABLE
              70ms retry in 20ms
              90ms attempt 3
              90ms attempt 3: OK
              90ms = OK 42
              report: 3 attempts in 90ms)",
      },
      [](stage& s) {
        return retrying({.backoff = {.initial = s(10ms), .max = s(80ms), .jitter = jitter::none}});
      });
  conform(
      {
          .name = "asked for a longer pause than allowed, it gives up",
          .script = "resource_exhausted after 10ms retry-after 200ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: RESOURCE_EXHAUSTED
              10ms gave up: pushback
              10ms = RESOURCE_EXHAUSTED
              report: 1 attempt in 10ms, gave up: pushback)",
      },
      [](stage& s) { return retrying({.backoff = constant(s(10ms)), .pushback_max = s(150ms)}); });
  conform(
      {
          .name = "a budget that is spent ends the call",
          .script = "fail after 10ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms gave up: budget
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms, gave up: budget)",
      },
      [](stage& s) {
        auto& budget = s.budget({.ratio = 0.0, .floor_per_second = 0.0});
        return retrying({.backoff = constant(s(10ms)), .budget = &budget});
      });
  conform(
      {
          .name = "a budget for one repetition",
          .script = "fail",
          .trace = R"(
              0s attempt 1
              0s attempt 1: UNAVAILABLE
              0s retry in 10ms
              10ms attempt 2
              10ms attempt 2: UNAVAILABLE
              10ms gave up: budget
              10ms = UNAVAILABLE
              report: 2 attempts in 10ms, gave up: budget)",
      },
      [](stage& s) {
        auto& budget = s.budget({.ratio = 1.0, .floor_per_second = 0.0});
        return retrying({.max_attempts = 5, .backoff = constant(s(10ms)), .budget = &budget});
      });
  conform(
      {
          .name = "no attempt starts after max_duration",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2
              70ms attempt 2: UNAVAILABLE
              70ms gave up: max_duration
              70ms = UNAVAILABLE
              report: 2 attempts in 70ms, gave up: max_duration)",
      },
      [](stage& s) {
        return retrying({.max_attempts = 9, .max_duration = s(90ms), .backoff = constant(s(50ms))});
      });
}
