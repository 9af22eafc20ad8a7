// SPDX-License-Identifier: Apache-2.0

// The table: calls inside the attempts of others. Lines of both, as attempts of the inner one are the only ones to be seen.

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto outer(stage& s) {
  return seawall::compose(seawall::retry({.max_attempts = 2, .backoff = constant(s(50ms))}),
                          seawall::attempt_timeout({.after = s(200ms)}));
}
auto inner(stage& s, seawall::when_nested nested, duration each) {
  return seawall::compose(seawall::retry({.max_attempts = 2, .backoff = constant(s(30ms)), .nested = nested}),
                          seawall::attempt_timeout({.after = s(each)}));
}

}  // namespace

TEST_CASE("nested calls") {
  conform_nested(
      {
          .name = "the inner one leaves its retries to the outer one",
          .script = "fail after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms gave up: nested
              10ms retry in 50ms
              60ms attempt 1, until 160ms
              70ms attempt 1: OK
              70ms = OK 42
              report: 2 attempts in 70ms)",
      },
      outer, [](stage& s) { return inner(s, seawall::when_nested::yield, 100ms); });
  conform_nested(
      {
          .name = "unless it is told to retry all the same",
          .script = "fail after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 30ms
              40ms attempt 2, until 140ms
              50ms attempt 2: OK
              50ms = OK 42
              report: 1 attempt in 50ms)",
      },
      outer, [](stage& s) { return inner(s, seawall::when_nested::retry, 100ms); });
  conform_nested(
      {
          .name = "the earliest deadline wins",
          .script = "hang, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 200ms
              200ms rejected by attempt_timeout: timed_out
              200ms retry in 50ms
              200ms rejected by caller: cancelled
              200ms attempt 1 given up
              250ms attempt 1, until 450ms
              260ms attempt 1: OK
              260ms = OK 42
              report: 2 attempts in 260ms)",
          .blocking = R"(
              0s attempt 1, until 200ms
              200ms attempt 1: DEADLINE_EXCEEDED
              200ms gave up: nested
              200ms retry in 50ms
              250ms attempt 1, until 450ms
              260ms attempt 1: OK
              260ms = OK 42
              report: 2 attempts in 260ms)",
      },
      outer, [](stage& s) { return inner(s, seawall::when_nested::yield, 1s); });
  conform_nested(
      {
          .name = "the inner pause ends with the outer caller",
          .script = "fail after 10ms",
          .callers = {{.stops = 30ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 30ms
              30ms rejected by caller: cancelled
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled
              30ms rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 30ms
              30ms rejected by caller: cancelled
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms)",
      },
      outer, [](stage& s) { return inner(s, seawall::when_nested::retry, 100ms); });
  conform_nested(
      {
          .name = "priority is inherited",
          .script = "ok after 10ms",
          .callers = {{.priority = 3}},
          .trace = R"(
              0s attempt 1, until 100ms, priority 3
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms)",
      },
      outer, [](stage& s) { return inner(s, seawall::when_nested::yield, 100ms); });
}
