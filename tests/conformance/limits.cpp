// SPDX-License-Identifier: Apache-2.0

// The table: time limits, and callers that go. Where an attempt has to be ended, the blocking driver cannot: the operation
// ends it by itself, at the deadline that it was told, and its result counts.

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

// A second for the call, three attempts of at most 100 ms, and 50 ms between them.
auto bounded(stage& s, seawall::deadline_options whole = {}, seawall::retry_options retries = {}) {
  if (whole.after == duration(1s)) whole.after = s(1s);
  retries.backoff = constant(s(50ms));
  return seawall::compose(seawall::deadline(std::move(whole)), seawall::retry(std::move(retries)),
                          seawall::attempt_timeout({.after = s(100ms)}));
}
auto usual(stage& s) { return bounded(s); }

}  // namespace

TEST_CASE("limits: attempts") {
  conform(
      {
          .name = "an answer in time",
          .script = "ok after 60ms",
          .trace = R"(
              0s attempt 1, until 100ms
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
      },
      usual);
  conform(
      {
          .name = "an attempt that hangs is given up and repeated",
          .script = "hang, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              100ms attempt 1 given up
              150ms attempt 2, until 250ms
              160ms attempt 2: OK
              160ms = OK 42
              report: 2 attempts in 160ms)",
          .blocking = R"(
              0s attempt 1, until 100ms
              100ms attempt 1: DEADLINE_EXCEEDED
              100ms retry in 50ms
              150ms attempt 2, until 250ms
              160ms attempt 2: OK
              160ms = OK 42
              report: 2 attempts in 160ms)",
      },
      usual);
  conform(
      {
          .name = "all attempts hang",
          .script = "hang",
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              100ms attempt 1 given up
              150ms attempt 2, until 250ms
              250ms rejected by attempt_timeout: timed_out
              250ms gave up: max_attempts
              250ms attempt 2 given up
              250ms = DEADLINE_EXCEEDED by attempt_timeout: timed_out
              report: 2 attempts in 250ms, gave up: max_attempts, rejected by attempt_timeout: timed_out)",
          .blocking = R"(
              0s attempt 1, until 100ms
              100ms attempt 1: DEADLINE_EXCEEDED
              100ms retry in 50ms
              150ms attempt 2, until 250ms
              250ms attempt 2: DEADLINE_EXCEEDED
              250ms gave up: max_attempts
              250ms = DEADLINE_EXCEEDED
              report: 2 attempts in 250ms, gave up: max_attempts)",
      },
      [](stage& s) { return bounded(s, {}, {.max_attempts = 2}); });
  conform(
      {
          .name = "a late loser is not heard, nor mistaken for the attempt that took its place",
          .script = "internal after 170ms, ok after 60ms",
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              150ms attempt 2, until 250ms
              170ms attempt 1: INTERNAL
              210ms attempt 2: OK
              210ms = OK 42
              report: 2 attempts in 210ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "a late loser that succeeds is not heard either",
          .script = "ok after 170ms, not_found after 60ms",
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              150ms attempt 2, until 250ms
              170ms attempt 1: OK
              210ms attempt 2: NOT_FOUND
              210ms = NOT_FOUND
              report: 2 attempts in 210ms)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "a loser that answers after the call has ended",
          .script = "ok after 250ms, ok after 10ms",
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              150ms attempt 2, until 250ms
              160ms attempt 2: OK
              160ms = OK 42
              report: 2 attempts in 160ms
              250ms attempt 1: OK)",
          .blocking = "-",
      },
      usual);
}

TEST_CASE("limits: the whole call") {
  conform(
      {
          .name = "the deadline ends an attempt",
          .script = "fail after 10ms, hang",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2, until 120ms
              120ms rejected by deadline: deadline_exceeded
              120ms attempt 2 given up
              120ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 2 attempts in 120ms, rejected by deadline: deadline_exceeded)",
          .blocking = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2, until 120ms
              120ms attempt 2: DEADLINE_EXCEEDED
              120ms gave up: deadline
              120ms = DEADLINE_EXCEEDED
              report: 2 attempts in 120ms, gave up: deadline)",
      },
      [](stage& s) { return bounded(s, {.after = s(120ms)}); });
  conform(
      {
          .name = "no pause towards a moment at which the deadline has passed",
          .script = "fail after 30ms",
          .trace = R"(
              0s attempt 1, until 70ms
              30ms attempt 1: UNAVAILABLE
              30ms gave up: deadline
              30ms = UNAVAILABLE
              report: 1 attempt in 30ms, gave up: deadline)",
      },
      [](stage& s) { return bounded(s, {.after = s(70ms)}); });
  conform(
      {
          .name = "an attempt that would not have the time it needs is not started",
          .script = "fail after 30ms",
          .trace = R"(
              0s attempt 1, until 100ms
              30ms attempt 1: UNAVAILABLE
              30ms gave up: deadline
              30ms = UNAVAILABLE
              report: 1 attempt in 30ms, gave up: deadline)",
      },
      [](stage& s) { return bounded(s, {.after = s(120ms)}, {.attempt_needs = s(60ms)}); });
  conform(
      {
          .name = "the caller's deadline, if it is earlier",
          .script = "hang",
          .callers = {{.deadline = 60ms}},
          .trace = R"(
              0s attempt 1, until 60ms
              60ms rejected by deadline: deadline_exceeded
              60ms attempt 1 given up
              60ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 1 attempt in 60ms, rejected by deadline: deadline_exceeded)",
          .blocking = R"(
              0s attempt 1, until 60ms
              60ms attempt 1: DEADLINE_EXCEEDED
              60ms gave up: deadline
              60ms = DEADLINE_EXCEEDED
              report: 1 attempt in 60ms, gave up: deadline)",
      },
      usual);
  conform(
      {
          .name = "a deadline that had passed before the call",
          .script = "ok",
          .callers = {{.at = 50ms, .deadline = 20ms}},
          .trace = R"(
              50ms rejected by deadline: deadline_expired
              50ms = DEADLINE_EXCEEDED by deadline: deadline_expired
              report: 0 attempts in 0s, rejected by deadline: deadline_expired)",
      },
      usual);
  conform(
      {
          .name = "a deadline from a function of the call, which leaves none",
          .script = "ok",
          .callers = {{.priority = -1}},
          .trace = R"(
              0s rejected by deadline 'by priority': deadline_expired
              0s = DEADLINE_EXCEEDED by deadline 'by priority': deadline_expired
              report: 0 attempts in 0s, rejected by deadline: deadline_expired)",
      },
      [](stage& s) {
        return bounded(
            s, {.name = "by priority", .after = s(1s), .from = [d = s(80ms)](const seawall::call_view& c) {
                  return c.priority < 0 ? duration::zero() : d;
                }});
      });
  conform(
      {
          .name = "priority travels with the attempt, and the function of the call sees it",
          .script = "ok after 20ms",
          .callers = {{.priority = 5}},
          .trace = R"(
              0s attempt 1, until 80ms, priority 5
              20ms attempt 1: OK
              20ms = OK 42
              report: 1 attempt in 20ms)",
      },
      [](stage& s) {
        return bounded(s, {.after = s(1s), .from = [d = s(80ms)](const seawall::call_view& c) {
                             return c.priority < 0 ? duration::zero() : d;
                           }});
      });
}

TEST_CASE("limits: a caller that goes") {
  conform(
      {
          .name = "before the call",
          .script = "ok",
          .callers = {{.at = 50ms, .stops = 20ms}},
          .trace = R"(
              50ms rejected by caller: cancelled
              50ms = CANCELLED by caller: cancelled
              report: 0 attempts in 0s, rejected by caller: cancelled)",
      },
      usual);
  conform(
      {
          .name = "during an attempt",
          .script = "ok after 80ms",
          .callers = {{.stops = 30ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              30ms rejected by caller: cancelled
              30ms attempt 1 given up
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              80ms attempt 1: OK
              80ms = OK 42
              report: 1 attempt in 80ms)",
      },
      usual);
  conform(
      {
          .name = "during an attempt that fails: nothing is repeated",
          .script = "fail after 80ms, ok",
          .callers = {{.stops = 30ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              30ms rejected by caller: cancelled
              30ms attempt 1 given up
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              80ms attempt 1: UNAVAILABLE
              80ms = UNAVAILABLE
              report: 1 attempt in 80ms)",
      },
      usual);
  conform(
      {
          .name = "during an attempt that does not notice",
          .script = "ok after 80ms",
          .callers = {{.stops = 30ms}},
          .given_up = when_given_up::answers_late,
          .trace = R"(
              0s attempt 1, until 100ms
              30ms rejected by caller: cancelled
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled
              80ms attempt 1: OK)",
          .blocking = "-",
      },
      usual);
  conform(
      {
          .name = "during a pause: at once",
          .script = "fail after 10ms, ok",
          .callers = {{.stops = 40ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              40ms rejected by caller: cancelled
              40ms = CANCELLED by caller: cancelled
              report: 1 attempt in 40ms, rejected by caller: cancelled)",
      },
      usual);
  conform(
      {
          .name = "after the call: nothing happens",
          .script = "ok after 10ms",
          .callers = {{.stops = 40ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms)",
      },
      usual);
}
