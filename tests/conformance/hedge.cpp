// SPDX-License-Identifier: Apache-2.0

// The table: attempts that overlap. The blocking driver has none: a static pipeline with a hedge does not compile there, and one
// that was built at run time says so.

#include "seawall/hedge.hpp"

#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto hedged(stage& s, seawall::hedge_options o = {}, duration whole = 200ms) {
  o.after = s(30ms);
  return seawall::compose(seawall::deadline({.after = s(whole)}), seawall::hedge(std::move(o)),
                          seawall::attempt_timeout({.after = s(100ms)}));
}
auto usual(stage& s) { return hedged(s); }

}  // namespace

TEST_CASE("hedge") {
  conform(
      {
          .name = "an answer before the delay: no hedge",
          .script = "ok after 20ms",
          .trace = R"(
              0s attempt 1, until 100ms
              20ms attempt 1: OK
              20ms = OK 42
              report: 1 attempt in 20ms)",
          .blocking = R"(
              0s rejected by run: wrong_driver
              0s = FAILED_PRECONDITION by run: wrong_driver
              report: 0 attempts in 0s, rejected by run: wrong_driver)",
      },
      usual);
  conform(
      {
          .name = "the second attempt wins, and the first is given up",
          .script = "ok after 80ms, ok after 20ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              50ms attempt 2: OK
              50ms attempt 1 given up
              50ms = OK 42
              report: 2 attempts in 50ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "the first attempt wins after all",
          .script = "ok after 50ms, ok after 60ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              50ms attempt 1: OK
              50ms attempt 2 given up
              50ms = OK 42
              report: 2 attempts in 50ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "the winner does not wait for a loser that does not notice",
          .script = "not_found after 90ms, ok after 20ms",
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              50ms attempt 2: OK
              50ms = OK 42
              report: 2 attempts in 50ms
              90ms attempt 1: NOT_FOUND)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "a failure is followed by the next attempt at once",
          .script = "fail after 10ms, ok after 20ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms hedge, on failure
              10ms attempt 2, until 110ms
              30ms attempt 2: OK
              30ms = OK 42
              report: 2 attempts in 30ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "a transient error does not win over one that may still succeed",
          .script = "ok after 70ms, fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              40ms attempt 2: UNAVAILABLE
              70ms attempt 1: OK
              70ms = OK 42
              report: 2 attempts in 70ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "a permanent answer ends the call",
          .script = "ok after 70ms, not_found after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              40ms attempt 2: NOT_FOUND
              40ms attempt 1 given up
              40ms = NOT_FOUND
              report: 2 attempts in 40ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "every attempt fails: the failure that came last",
          .script = "internal after 50ms, fail after 40ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              50ms attempt 1: INTERNAL
              70ms attempt 2: UNAVAILABLE
              70ms = UNAVAILABLE
              report: 2 attempts in 70ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "the deadline ends them all",
          .script = "hang",
          .trace = R"(
              0s attempt 1, until 80ms
              30ms hedge, on delay
              30ms attempt 2, until 80ms
              80ms rejected by deadline: deadline_exceeded
              80ms attempt 1 given up
              80ms attempt 2 given up
              80ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 2 attempts in 80ms, rejected by deadline: deadline_exceeded)",
          .blocking = "-",
      },
      [](stage& s) { return hedged(s, {}, 80ms); });
  conform(
      {
          .name = "each has its own time limit",
          .script = "hang",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              60ms hedge, on delay
              60ms attempt 3, until 160ms
              90ms hedge, on delay
              90ms attempt 4, until 190ms
              100ms rejected by attempt_timeout: timed_out
              100ms attempt 1 given up
              130ms rejected by attempt_timeout: timed_out
              130ms attempt 2 given up
              160ms rejected by attempt_timeout: timed_out
              160ms attempt 3 given up
              190ms rejected by attempt_timeout: timed_out
              190ms attempt 4 given up
              190ms = DEADLINE_EXCEEDED by attempt_timeout: timed_out
              report: 4 attempts in 190ms, rejected by attempt_timeout: timed_out)",
          .blocking = "-",
      },
      [](stage& s) { return hedged(s, {.max_attempts = 4}); });
  conform(
      {
          .name = "a caller that goes leaves none behind",
          .script = "hang",
          .callers = {{.stops = 50ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              50ms rejected by caller: cancelled
              50ms attempt 1 given up
              50ms attempt 2 given up
              50ms = CANCELLED by caller: cancelled
              report: 2 attempts in 50ms, rejected by caller: cancelled)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "more attempts under way than there is room for in place",
          .script = "ok after 100ms, ok after 90ms, ok after 80ms, ok after 5ms",
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              30ms hedge, on delay
              30ms attempt 2, until 130ms
              60ms hedge, on delay
              60ms attempt 3, until 160ms
              90ms hedge, on delay
              90ms attempt 4, until 190ms
              95ms attempt 4: OK
              95ms = OK 42
              report: 4 attempts in 95ms
              100ms attempt 1: OK
              120ms attempt 2: OK
              140ms attempt 3: OK)",
          .blocking = "-",
      },
      [](stage& s) { return hedged(s, {.max_attempts = 4}); });
  conform<absl::StatusOr<int>, false>(
      {
          .name = "what is not idempotent is not hedged",
          .script = "ok after 80ms",
          .trace = R"(
              0s attempt 1, until 100ms
              80ms attempt 1: OK
              80ms = OK 42
              report: 1 attempt in 80ms)",
          .blocking = "-",
      },
      usual);
}

TEST_CASE("retry around a hedge") {
  conform(
      {
          .name = "begins anew when all attempts of a hedge have failed",
          .script = "fail after 50ms, internal after 10ms, fail after 60ms, ok after 10ms",
          .trace = R"(
              0s attempt 1
              30ms hedge, on delay
              30ms attempt 2
              40ms attempt 2: INTERNAL
              50ms attempt 1: UNAVAILABLE
              50ms retry in 20ms
              70ms attempt 3
              100ms hedge, on delay
              100ms attempt 4
              110ms attempt 4: OK
              110ms attempt 3 given up
              110ms = OK 42
              report: 4 attempts in 110ms)",
          .blocking = "-",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.backoff = constant(s(20ms))}),
                                seawall::hedge({.after = s(30ms)}));
      });
}
