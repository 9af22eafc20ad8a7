// SPDX-License-Identifier: Apache-2.0

// The table: a rate limiter that rejects, and one that lets calls wait. One permit each 100 ms; the first is taken at 0.

#include "seawall/rate_limiter.hpp"

#include <memory>
#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

seawall::rate_limiter& limiter(stage& s, duration max_wait, std::uint32_t max_waiting = 8) {
  auto& l = *s.keep(std::make_shared<seawall::rate_limiter>(
      seawall::rate_limiter_options{.name = "r",
                                    .permits = 1,
                                    .per = s(100ms),
                                    .max_wait = s(max_wait),
                                    .max_waiting = max_waiting,
                                    .pushback = {.pause_max = s(1s)}}));
  l.try_acquire(s.at(0ms));
  return l;
}
auto rejecting(stage& s) { return seawall::compose(seawall::limit_rate(limiter(s, 0ms))); }
auto waiting(stage& s) { return seawall::compose(seawall::limit_rate(limiter(s, 250ms))); }

}  // namespace

TEST_CASE("rate limiter that rejects") {
  conform(
      {
          .name = "says when there will be a permit",
          .script = "ok after 10ms",
          .callers = {{.at = 30ms}},
          .trace = R"(
              30ms rejected by rate_limiter 'r': limit_reached, 70ms left
              30ms = RESOURCE_EXHAUSTED by rate_limiter 'r': limit_reached
              report: 0 attempts in 0s, rejected by rate_limiter: limit_reached)",
      },
      rejecting);
  conform(
      {
          .name = "a retry around it waits exactly as told",
          .script = "ok after 10ms",
          .callers = {{.at = 30ms}},
          .trace = R"(
              30ms rejected by rate_limiter 'r': limit_reached, 70ms left
              30ms retry in 70ms, as asked
              100ms attempt 1
              110ms attempt 1: OK
              110ms = OK 42
              report: 1 attempt in 80ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.backoff = constant(s(5ms))}),
                                seawall::limit_rate(limiter(s, 0ms)));
      });
  conform(
      {
          .name = "each attempt of a retry takes a permit",
          .script = "fail after 10ms, ok after 10ms",
          .callers = {{.at = 150ms}},
          .trace = R"(
              150ms attempt 1
              160ms attempt 1: UNAVAILABLE
              160ms retry in 5ms
              165ms rejected by rate_limiter 'r': limit_reached, 85ms left
              165ms retry in 85ms, as asked
              250ms attempt 2
              260ms attempt 2: OK
              260ms = OK 42
              report: 2 attempts in 110ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.backoff = constant(s(5ms))}),
                                seawall::limit_rate(limiter(s, 0ms)));
      });
  conform(
      {
          .name = "pushback of an attempt pauses it for the next caller",
          .script = "unavailable after 10ms retry-after 500ms",
          .callers = {{.at = 100ms}, {.at = 300ms}},
          .trace = R"(
              100ms attempt 1
              110ms attempt 1: UNAVAILABLE
              110ms = UNAVAILABLE
              report: 1 attempt in 10ms
              300ms B: rejected by rate_limiter 'r': limit_reached, 310ms left
              300ms B: = RESOURCE_EXHAUSTED by rate_limiter 'r': limit_reached
              B: report: 0 attempts in 0s, rejected by rate_limiter: limit_reached)",
      },
      rejecting);
}

TEST_CASE("rate limiter with waiters") {
  conform(
      {
          .name = "an attempt starts at the time given",
          .script = "ok after 10ms",
          .callers = {{.at = 30ms}},
          .trace = R"(
              100ms attempt 1
              110ms attempt 1: OK
              110ms = OK 42
              report: 1 attempt in 80ms)",
      },
      waiting);
  conform(
      {
          .name = "three callers, one after the other; the fourth would wait too long and learns it at once",
          .script = "ok after 10ms",
          .callers = {{.at = 40ms}, {.at = 50ms}, {.at = 60ms}, {.at = 70ms}},
          .trace = R"(
              70ms D: rejected by rate_limiter 'r': wait_timed_out, 330ms left
              70ms D: = RESOURCE_EXHAUSTED by rate_limiter 'r': wait_timed_out
              D: report: 0 attempts in 0s, rejected by rate_limiter: wait_timed_out
              100ms attempt 1
              110ms attempt 1: OK
              110ms = OK 42
              report: 1 attempt in 70ms
              200ms B: attempt 1
              210ms B: attempt 1: OK
              210ms B: = OK 42
              B: report: 1 attempt in 160ms
              300ms C: attempt 1
              310ms C: attempt 1: OK
              310ms C: = OK 42
              C: report: 1 attempt in 250ms)",
          .blocking = "-",
      },
      waiting);
  conform(
      {
          .name = "no more wait than may",
          .script = "ok after 10ms",
          .callers = {{.at = 40ms}, {.at = 60ms}},
          .trace = R"(
              60ms B: rejected by rate_limiter 'r': queue_full, 140ms left
              60ms B: = RESOURCE_EXHAUSTED by rate_limiter 'r': queue_full
              B: report: 0 attempts in 0s, rejected by rate_limiter: queue_full
              100ms attempt 1
              110ms attempt 1: OK
              110ms = OK 42
              report: 1 attempt in 70ms)",
          .blocking = "-",
      },
      [](stage& s) { return seawall::compose(seawall::limit_rate(limiter(s, 250ms, 1))); });
  conform(
      {
          .name = "a deadline before the time makes it a certain denial: nobody waits for it",
          .script = "ok after 10ms",
          .callers = {{.at = 30ms}},
          .trace = R"(
              30ms rejected by rate_limiter 'r': wait_timed_out, 70ms left
              30ms = RESOURCE_EXHAUSTED by rate_limiter 'r': wait_timed_out
              report: 0 attempts in 0s, rejected by rate_limiter: wait_timed_out)",
      },
      [](stage& s) {
        return seawall::compose(seawall::deadline({.after = s(60ms)}),
                                seawall::limit_rate(limiter(s, 250ms)));
      });
  conform(
      {
          .name = "the caller's own deadline, too",
          .script = "ok after 10ms",
          .callers = {{.at = 30ms, .deadline = 90ms}},
          .trace = R"(
              30ms rejected by rate_limiter 'r': wait_timed_out, 70ms left
              30ms = RESOURCE_EXHAUSTED by rate_limiter 'r': wait_timed_out
              report: 0 attempts in 0s, rejected by rate_limiter: wait_timed_out)",
      },
      waiting);
  conform(
      {
          .name = "a waiter that goes gives its time to the next; those behind it keep theirs",
          .script = "ok after 10ms",
          .callers = {{.at = 20ms, .stops = 50ms}, {.at = 30ms}, {.at = 70ms}},
          .trace = R"(
              50ms rejected by caller: cancelled
              50ms = CANCELLED by caller: cancelled
              report: 0 attempts in 30ms, rejected by caller: cancelled
              100ms C: attempt 1
              110ms C: attempt 1: OK
              110ms C: = OK 42
              C: report: 1 attempt in 40ms
              200ms B: attempt 1
              210ms B: attempt 1: OK
              210ms B: = OK 42
              B: report: 1 attempt in 180ms)",
          .blocking = "-",
      },
      waiting);
  conform(
      {
          .name = "a waiter that goes, and a later caller who finds the limiter as if it had not been",
          .script = "ok after 10ms",
          .callers = {{.at = 20ms, .stops = 50ms}, {.at = 120ms}},
          .trace = R"(
              50ms rejected by caller: cancelled
              50ms = CANCELLED by caller: cancelled
              report: 0 attempts in 30ms, rejected by caller: cancelled
              120ms B: attempt 1
              130ms B: attempt 1: OK
              130ms B: = OK 42
              B: report: 1 attempt in 10ms)",
      },
      waiting);
}
