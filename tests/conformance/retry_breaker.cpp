// SPDX-License-Identifier: Apache-2.0

// The table: a retry around a breaker, and a breaker around a retry.

#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto around(stage& s, seawall::circuit_breaker& b, duration whole) {
  return seawall::compose(seawall::deadline({.after = s(whole)}),
                          seawall::retry({.max_attempts = 4, .backoff = constant(s(20ms))}),
                          seawall::breaker(b));
}

auto limited(stage& s) {
  auto& b = s.breaker({.name = "b",
                       .consecutive_failures = 1,
                       .open_for = s(50ms),
                       .half_open = {.excess_calls = seawall::circuit_breaker_options::excess::waits}});
  return seawall::compose(seawall::retry({.backoff = constant(s(200ms))}), seawall::breaker(b),
                          seawall::attempt_timeout({.after = s(20ms)}));
}

}  // namespace

TEST_CASE("retry around a breaker") {
  conform(
      {
          .name = "waits for as long as the breaker says, and closes it",
          .script = "fail x2 after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 400ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 20ms
              30ms attempt 2, until 400ms
              40ms attempt 2: UNAVAILABLE
              40ms breaker 'b' closed -> open
              40ms retry in 20ms
              60ms rejected by circuit_breaker 'b': open, 80ms left
              60ms retry in 80ms, as asked
              140ms breaker 'b' open -> half_open
              140ms attempt 3, until 400ms
              150ms attempt 3: OK
              150ms breaker 'b' half_open -> closed
              150ms = OK 42
              report: 3 attempts in 150ms)",
      },
      [](stage& s) {
        return around(s, s.breaker({.name = "b", .consecutive_failures = 2, .open_for = s(100ms)}), 400ms);
      });
  conform(
      {
          .name = "does not wait past the deadline, and returns the last real error",
          .script = "internal after 10ms, ok",
          .trace = R"(
              0s attempt 1, until 200ms
              10ms attempt 1: INTERNAL
              10ms breaker 'b' closed -> open
              10ms retry in 20ms
              30ms rejected by circuit_breaker 'b': open, 280ms left
              30ms gave up: deadline
              30ms = INTERNAL
              report: 1 attempt in 30ms, gave up: deadline)",
      },
      [](stage& s) {
        return around(s, s.breaker({.name = "b", .consecutive_failures = 1, .open_for = s(300ms)}), 200ms);
      });
  conform(
      {
          .name = "without a real error the rejection is what there is to tell",
          .script = "ok",
          .callers = {{.at = 20ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              20ms rejected by circuit_breaker 'b': open, 280ms left
              20ms gave up: deadline
              20ms = UNAVAILABLE by circuit_breaker 'b': open
              report: 0 attempts in 0s, gave up: deadline, rejected by circuit_breaker: open)",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .open_for = s(300ms)});
        b.force_open(s.at(0ms));
        return around(s, b, 200ms);
      });
  conform(
      {
          .name = "the probe that it waited for fails",
          .script = "fail after 10ms",
          .callers = {{.at = 20ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              20ms rejected by circuit_breaker 'b': open, 80ms left
              20ms retry in 80ms, as asked
              100ms breaker 'b' open -> half_open
              100ms attempt 1, until 170ms
              110ms attempt 1: UNAVAILABLE
              110ms breaker 'b' half_open -> open
              110ms retry in 20ms
              130ms rejected by circuit_breaker 'b': open, 80ms left
              130ms gave up: deadline
              130ms = UNAVAILABLE
              report: 1 attempt in 110ms, gave up: deadline)",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .open_for = s(100ms)});
        b.force_open(s.at(0ms));
        return around(s, b, 150ms);
      });
  conform(
      {
          .name = "the deadline ends a probe: its place is given back",
          .script = "hang",
          .callers = {{.at = 20ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              20ms rejected by circuit_breaker 'b': open, 80ms left
              20ms retry in 80ms, as asked
              100ms breaker 'b' open -> half_open
              100ms attempt 1, until 170ms
              170ms rejected by deadline: deadline_exceeded
              170ms attempt 1 given up
              170ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 1 attempt in 150ms, rejected by deadline: deadline_exceeded)",
          // What the operation answers by itself speaks against the dependency.
          .blocking = R"(
              0s breaker 'b' closed -> open
              20ms rejected by circuit_breaker 'b': open, 80ms left
              20ms retry in 80ms, as asked
              100ms breaker 'b' open -> half_open
              100ms attempt 1, until 170ms
              170ms attempt 1: DEADLINE_EXCEEDED
              170ms breaker 'b' half_open -> open
              170ms gave up: deadline
              170ms = DEADLINE_EXCEEDED
              report: 1 attempt in 150ms, gave up: deadline)",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .open_for = s(100ms)});
        b.force_open(s.at(0ms));
        return around(s, b, 150ms);
      });
}

TEST_CASE("retry around a breaker around a time limit") {
  // The time limit of the first attempt is long over when the second one waits for the verdict of somebody else's probe.
  conform(
      {
          .name = "a caller that waits for a verdict is not woken for an attempt that has ended",
          .script = "fail after 10ms, ok after 10ms",
          .callers = {{.at = 0ms}},
          .trace = R"(
              0s attempt 1, until 20ms
              10ms attempt 1: UNAVAILABLE
              10ms breaker 'b' closed -> open
              10ms retry in 200ms
              210ms breaker 'b' open -> half_open
              210ms attempt 2, until 230ms
              220ms attempt 2: OK
              220ms breaker 'b' half_open -> closed
              220ms = OK 42
              report: 2 attempts in 220ms)",
      },
      [](stage& s) { return limited(s); });
  conform(
      {
          .name = "both wait for the same breaker, and one for the other's probe",
          .script = "fail x2 after 10ms, ok after 15ms",
          .callers = {{.at = 0ms}, {.at = 5ms}},
          .trace = R"(
              0s attempt 1, until 20ms
              5ms B: attempt 1, until 25ms
              10ms attempt 1: UNAVAILABLE
              10ms breaker 'b' closed -> open
              10ms retry in 200ms
              15ms B: attempt 1: UNAVAILABLE
              15ms B: retry in 200ms
              210ms breaker 'b' open -> half_open
              210ms attempt 2, until 230ms
              225ms attempt 2: OK
              225ms breaker 'b' half_open -> closed
              225ms = OK 42
              report: 2 attempts in 225ms
              225ms B: attempt 2, until 245ms
              240ms B: attempt 2: OK
              240ms B: = OK 42
              B: report: 2 attempts in 235ms)",
          .blocking = "-",
          .only_virtual = true,
      },
      [](stage& s) { return limited(s); });
}

TEST_CASE("breaker around a retry") {
  conform(
      {
          .name = "counts calls, not attempts",
          .script = "fail x2 after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms retry in 20ms
              30ms attempt 2
              40ms attempt 2: UNAVAILABLE
              40ms retry in 20ms
              60ms attempt 3
              70ms attempt 3: OK
              70ms = OK 42
              report: 3 attempts in 70ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::breaker(s.breaker({.name = "b", .consecutive_failures = 1})),
                                seawall::retry({.backoff = constant(s(20ms))}));
      });
  conform(
      {
          .name = "a caller that goes in the pause of a probe: its place is given back",
          .script = "fail after 10ms, ok",
          .callers = {{.at = 120ms, .stops = 140ms}, {.at = 160ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              130ms attempt 1: UNAVAILABLE
              130ms retry in 20ms
              140ms rejected by caller: cancelled
              140ms = CANCELLED by caller: cancelled
              report: 1 attempt in 20ms, rejected by caller: cancelled
              160ms B: attempt 1
              160ms B: attempt 1: OK
              160ms breaker 'b' half_open -> closed
              160ms B: = OK 42
              B: report: 1 attempt in 0s)",
          .blocking = "-",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .open_for = s(100ms)});
        b.force_open(s.at(0ms));
        return seawall::compose(seawall::breaker(b), seawall::retry({.backoff = constant(s(20ms))}));
      });
}
