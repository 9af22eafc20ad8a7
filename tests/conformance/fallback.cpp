// SPDX-License-Identifier: Apache-2.0

// The table: substitutes.

#include "seawall/fallback.hpp"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto by_function(stage& s, seawall::fallback_options o = {.name = "f"}) {
  return seawall::compose(seawall::fallback(std::move(o), substitute(s, 7)),
                          seawall::deadline({.after = s(100ms)}));
}

}  // namespace

TEST_CASE("fallback: a function") {
  conform(
      {
          .name = "is not asked after a success",
          .script = "ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms)",
      },
      [](stage& s) { return by_function(s); });
  conform(
      {
          .name = "answers in place of a failure, and the report says so",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE
              10ms = OK 7
              report: 1 attempt in 10ms, degraded by 'f')",
      },
      [](stage& s) { return by_function(s); });
  conform(
      {
          .name = "lets an answer pass that says no",
          .script = "not_found after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: NOT_FOUND
              10ms = NOT_FOUND
              report: 1 attempt in 10ms)",
      },
      [](stage& s) { return by_function(s); });
  conform(
      {
          .name = "unless it is for every failure",
          .script = "not_found after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: NOT_FOUND
              10ms fallback 'every'
              10ms substitute for NOT_FOUND
              10ms = OK 7
              report: 1 attempt in 10ms, degraded by 'every')",
      },
      [](stage& s) {
        return by_function(s, {.name = "every", .handles = seawall::fallback_for::every_failure});
      });
  conform(
      {
          .name = "answers in place of a rejection; a deadline inside does not bound it",
          .script = "hang",
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by deadline: deadline_exceeded
              100ms fallback 'f'
              100ms attempt 1 given up
              100ms substitute for DEADLINE_EXCEEDED
              100ms = OK 7
              report: 1 attempt in 100ms, degraded by 'f')",
          .blocking = R"(
              0s attempt 1, until 100ms
              100ms attempt 1: DEADLINE_EXCEEDED
              100ms fallback 'f'
              100ms substitute for DEADLINE_EXCEEDED
              100ms = OK 7
              report: 1 attempt in 100ms, degraded by 'f')",
      },
      [](stage& s) { return by_function(s); });
  conform(
      {
          .name = "is not asked for a caller that has gone",
          .script = "fail after 30ms",
          .callers = {{.stops = 20ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              20ms rejected by caller: cancelled
              20ms attempt 1 given up
              20ms = CANCELLED by caller: cancelled
              report: 1 attempt in 20ms, rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              30ms attempt 1: UNAVAILABLE
              30ms = UNAVAILABLE
              report: 1 attempt in 30ms)",
      },
      [](stage& s) { return by_function(s); });
}

TEST_CASE("fallback: a value, a chain") {
  conform(
      {
          .name = "a value",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'fallback'
              10ms = OK 9
              report: 1 attempt in 10ms, degraded by 'fallback')",
      },
      [](stage&) { return seawall::compose(seawall::fallback(9)); });
  conform(
      {
          .name = "in place of a rejection without an attempt",
          .script = "ok",
          .callers = {{.at = 20ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              20ms rejected by circuit_breaker 'b': open, 80ms left
              20ms fallback 'first'
              20ms substitute for UNAVAILABLE
              20ms fallback 'second'
              20ms substitute for INTERNAL
              20ms = OK 8
              report: 0 attempts in 0s, degraded by 'second')",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .open_for = s(100ms)});
        b.force_open(s.at(0ms));
        return seawall::compose(
            seawall::fallback({.name = "second"}, substitute(s, 8)),
            seawall::fallback({.name = "first"}, substitute(s, absl::InternalError("no"))),
            seawall::breaker(b));
      });
  conform(
      {
          .name = "a chain that fails to the end: the last failure counts",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'first'
              10ms substitute for UNAVAILABLE
              10ms fallback 'second'
              10ms substitute for NOT_FOUND
              10ms = INTERNAL
              report: 1 attempt in 10ms)",
      },
      [](stage& s) {
        return seawall::compose(
            seawall::fallback({.name = "second"}, substitute(s, absl::InternalError("no"))),
            seawall::fallback({.name = "first"}, substitute(s, absl::NotFoundError("no"))),
            seawall::breaker(s.breaker({.name = "b"})));
      });
}
