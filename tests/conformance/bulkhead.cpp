// SPDX-License-Identifier: Apache-2.0

// The table: a bulkhead that is full. Who else is inside entered before the call, or is the caller before.

#include "seawall/bulkhead.hpp"

#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

// Room for one, and nobody may wait.
seawall::bulkhead_options one_inside() { return {.name = "b", .max_concurrent = 1}; }

seawall::bulkhead_options one_waits(stage& s) {
  return {.name = "b", .max_concurrent = 1, .max_waiting = 1, .max_wait = s(100ms)};
}

auto with(seawall::bulkhead& b) { return seawall::compose(seawall::limit_concurrency(b)); }

}  // namespace

TEST_CASE("bulkhead: full, and nobody may wait") {
  conform(
      {
          .name = "rejects at once",
          .script = "ok",
          .callers = {{.at = 30ms}},
          .trace = R"(
              30ms rejected by bulkhead 'b': limit_reached
              30ms = RESOURCE_EXHAUSTED by bulkhead 'b': limit_reached
              report: 0 attempts in 0s, rejected by bulkhead: limit_reached)",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_inside());
        s.occupy(b);
        return with(b);
      });
  conform(
      {
          .name = "until the one inside has ended",
          .script = "ok after 60ms, ok after 10ms",
          .callers = {{}, {.at = 30ms}, {.at = 90ms}},
          .trace = R"(
              0s attempt 1
              30ms B: rejected by bulkhead 'b': limit_reached
              30ms B: = RESOURCE_EXHAUSTED by bulkhead 'b': limit_reached
              B: report: 0 attempts in 0s, rejected by bulkhead: limit_reached
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms
              90ms C: attempt 1
              100ms C: attempt 1: OK
              100ms C: = OK 42
              C: report: 1 attempt in 10ms)",
          .blocking = "-",
      },
      [](stage& s) { return with(s.bulkhead(one_inside())); });
  conform(
      {
          .name = "a caller that goes gives the place back",
          .script = "hang, ok after 10ms",
          .callers = {{.stops = 40ms}, {.at = 60ms}},
          .trace = R"(
              0s attempt 1
              40ms rejected by caller: cancelled
              40ms attempt 1 given up
              40ms = CANCELLED by caller: cancelled
              report: 1 attempt in 40ms, rejected by caller: cancelled
              60ms B: attempt 1
              70ms B: attempt 1: OK
              70ms B: = OK 42
              B: report: 1 attempt in 10ms)",
          .blocking = "-",
      },
      [](stage& s) { return with(s.bulkhead(one_inside())); });
  conform(
      {
          .name = "one that fails does, too",
          .script = "fail after 10ms, ok after 10ms",
          .callers = {{}, {.at = 30ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms
              30ms B: attempt 1
              40ms B: attempt 1: OK
              40ms B: = OK 42
              B: report: 1 attempt in 10ms)",
          .blocking = "-",
      },
      [](stage& s) { return with(s.bulkhead(one_inside())); });
}

TEST_CASE("bulkhead: full, and one may wait") {
  conform(
      {
          .name = "waits, and gets the place",
          .script = "ok after 60ms, ok after 10ms",
          .callers = {{}, {.at = 30ms}},
          .trace = R"(
              0s attempt 1
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms
              60ms B: attempt 1
              70ms B: attempt 1: OK
              70ms B: = OK 42
              B: report: 1 attempt in 40ms)",
          .blocking = "-",
          // On threads, who is told first is anybody's guess.
          .only_virtual = true,
      },
      [](stage& s) { return with(s.bulkhead(one_waits(s))); });
  conform(
      {
          .name = "a second one that would wait is rejected",
          .script = "ok",
          .callers = {{.at = 10ms, .stops = 60ms}, {.at = 30ms}},
          .trace = R"(
              30ms B: rejected by bulkhead 'b': queue_full
              30ms B: = RESOURCE_EXHAUSTED by bulkhead 'b': queue_full
              B: report: 0 attempts in 0s, rejected by bulkhead: queue_full
              60ms rejected by caller: cancelled
              60ms = CANCELLED by caller: cancelled
              report: 0 attempts in 50ms, rejected by caller: cancelled)",
          .blocking = "-",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_waits(s));
        s.occupy(b);
        return with(b);
      });
  conform(
      {
          .name = "waits for as long as it may",
          .script = "ok",
          .callers = {{.at = 30ms}},
          .trace = R"(
              130ms rejected by bulkhead 'b': wait_timed_out
              130ms = RESOURCE_EXHAUSTED by bulkhead 'b': wait_timed_out
              report: 0 attempts in 100ms, rejected by bulkhead: wait_timed_out)",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_waits(s));
        s.occupy(b);
        return with(b);
      });
  conform(
      {
          .name = "a caller that goes while it waits",
          .script = "ok",
          .callers = {{.at = 30ms, .stops = 70ms}},
          .trace = R"(
              70ms rejected by caller: cancelled
              70ms = CANCELLED by caller: cancelled
              report: 0 attempts in 40ms, rejected by caller: cancelled)",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_waits(s));
        s.occupy(b);
        return with(b);
      });
  conform(
      {
          .name = "the caller's deadline passes while it waits",
          .script = "ok",
          .callers = {{.at = 30ms, .deadline = 80ms}},
          .trace = R"(
              80ms rejected by deadline: deadline_exceeded
              80ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 0 attempts in 50ms, rejected by deadline: deadline_exceeded)",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_waits(s));
        s.occupy(b);
        return with(b);
      });
  conform(
      {
          .name = "of two that wait the more important goes first",
          .script = "ok after 60ms, ok after 10ms, ok after 10ms",
          .callers = {{}, {.at = 10ms, .priority = 1}, {.at = 20ms, .priority = 2}},
          .trace = R"(
              0s attempt 1
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms
              60ms C: attempt 1, priority 2
              70ms C: attempt 1: OK
              70ms C: = OK 42
              C: report: 1 attempt in 50ms
              70ms B: attempt 1, priority 1
              80ms B: attempt 1: OK
              80ms B: = OK 42
              B: report: 1 attempt in 70ms)",
          .blocking = "-",
          .only_virtual = true,
      },
      [](stage& s) {
        auto o = one_waits(s);
        o.max_waiting = 2;
        o.order = seawall::wait_order::by_priority;
        return with(s.bulkhead(o));
      });
}

TEST_CASE("bulkhead: with other layers") {
  conform(
      {
          .name = "a retry outside comes again, and holds nothing in its pauses",
          .script = "ok after 80ms, ok after 10ms",
          .callers = {{}, {.at = 10ms}},
          .trace = R"(
              0s attempt 1
              10ms B: rejected by bulkhead 'b': limit_reached
              10ms B: retry in 50ms
              60ms B: rejected by bulkhead 'b': limit_reached
              60ms B: retry in 50ms
              80ms attempt 1: OK
              80ms = OK 42
              report: 1 attempt in 80ms
              110ms B: attempt 1
              120ms B: attempt 1: OK
              120ms B: = OK 42
              B: report: 1 attempt in 110ms)",
          .blocking = "-",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.max_attempts = 3, .backoff = constant(s(50ms))}),
                                seawall::limit_concurrency(s.bulkhead(one_inside())));
      });
  conform(
      {
          .name = "each attempt of a retry takes the place and gives it back",
          .script = "fail after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2
              70ms attempt 2: OK
              70ms = OK 42
              report: 2 attempts in 70ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.max_attempts = 3, .backoff = constant(s(50ms))}),
                                seawall::limit_concurrency(s.bulkhead(one_inside())));
      });
  conform(
      {
          .name = "a time-out outside ends the wait",
          .script = "ok",
          .trace = R"(
              40ms rejected by attempt_timeout: timed_out
              40ms = DEADLINE_EXCEEDED by attempt_timeout: timed_out
              report: 0 attempts in 40ms, rejected by attempt_timeout: timed_out)",
      },
      [](stage& s) {
        auto& b = s.bulkhead(one_waits(s));
        s.occupy(b);
        return seawall::compose(seawall::attempt_timeout({.after = s(40ms)}), seawall::limit_concurrency(b));
      });
}

TEST_CASE("bulkhead: one for each key") {
  conform(
      {
          .name = "a full one does not refuse the others",
          .script = "ok after 60ms, ok after 10ms",
          .callers = {{.key = "x"}, {.at = 20ms, .key = "x"}, {.at = 30ms, .key = "y"}},
          .trace = R"(
              0s attempt 1
              20ms B: rejected by bulkhead 'b': limit_reached
              20ms B: = RESOURCE_EXHAUSTED by bulkhead 'b': limit_reached
              B: report: 0 attempts in 0s, rejected by bulkhead: limit_reached
              30ms C: attempt 1
              40ms C: attempt 1: OK
              40ms C: = OK 42
              C: report: 1 attempt in 10ms
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
          .blocking = "-",
      },
      [](stage& s) { return seawall::compose(seawall::limit_concurrency(s.bulkheads(one_inside()))); });
}
