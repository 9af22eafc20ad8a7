// SPDX-License-Identifier: Apache-2.0

// The table: answers that are kept. The blocking driver plays one caller after the other.

#include "seawall/cache.hpp"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

using store = seawall::cache<absl::StatusOr<int>>;

// Fresh for 50 ms, then served for 50 ms more to those who need not refresh it, and for a second in place of failures.
store& usual(stage& s) {
  return *s.keep(
      std::make_shared<store>(seawall::cache_options<absl::StatusOr<int>>{.name = "c",
                                                                          .ttl = s(50ms),
                                                                          .stale_while_revalidate = s(50ms),
                                                                          .stale_if_error = s(1s),
                                                                          .lease = s(1s)}));
}
auto alone(stage& s) { return seawall::compose(seawall::cached(usual(s))); }

}  // namespace

TEST_CASE("cache: in every driver") {
  conform(
      {
          .name = "a fresh answer needs no attempt",
          .script = "ok after 10ms",
          .callers = {{}, {.at = 40ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              40ms B: = OK 42
              B: report: 0 attempts in 0s)",
      },
      alone);
  conform(
      {
          .name = "an answer that is too old is asked for again",
          .script = "ok after 10ms",
          .callers = {{}, {.at = 70ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              70ms B: attempt 1
              80ms B: attempt 1: OK
              80ms B: = OK 42
              B: report: 1 attempt in 10ms)",
      },
      alone);
  conform(
      {
          .name = "a stale answer stands in for a failure, after the retries",
          .script = "ok after 10ms, fail after 10ms, fail after 10ms",
          .callers = {{}, {.at = 150ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              150ms B: attempt 1
              160ms B: attempt 1: UNAVAILABLE
              160ms B: retry in 20ms
              180ms B: attempt 2
              190ms B: attempt 2: UNAVAILABLE
              190ms B: gave up: max_attempts
              190ms B: stale answer of 'c', 180ms old, in place of a failure
              190ms B: = OK 42
              B: report: 2 attempts in 40ms, degraded by 'c')",
      },
      [](stage& s) {
        return seawall::compose(seawall::cached(usual(s)),
                                seawall::retry({.max_attempts = 2, .backoff = constant(s(20ms))}));
      });
  conform(
      {
          .name = "while one refreshes, the others are served what there is",
          .script = "ok after 10ms, ok after 30ms",
          .callers = {{}, {.at = 70ms}, {.at = 80ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              70ms B: attempt 1
              80ms C: stale answer of 'c', 70ms old
              80ms C: = OK 42
              C: report: 0 attempts in 0s, degraded by 'c'
              100ms B: attempt 1: OK
              100ms B: = OK 42
              B: report: 1 attempt in 30ms)",
          .blocking = "-",
      },
      alone);
  conform(
      {
          .name = "where there is nothing to serve, they wait",
          .script = "ok after 30ms",
          .callers = {{}, {.at = 10ms}},
          .trace = R"(
              0s attempt 1
              30ms attempt 1: OK
              30ms = OK 42
              report: 1 attempt in 30ms
              30ms B: = OK 42
              B: report: 0 attempts in 20ms)",
          .blocking = "-",
          // On threads, who is told first is anybody's guess.
          .only_virtual = true,
      },
      alone);
  conform(
      {
          .name = "who fetches and goes hands on to the next who waits",
          .script = "hang, ok after 10ms",
          .callers = {{.stops = 30ms}, {.at = 10ms}, {.at = 20ms}},
          .trace = R"(
              0s attempt 1
              30ms rejected by caller: cancelled
              30ms attempt 1 given up
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled
              30ms B: attempt 1
              40ms B: attempt 1: OK
              40ms B: = OK 42
              B: report: 1 attempt in 30ms
              40ms C: = OK 42
              C: report: 0 attempts in 20ms)",
          .blocking = "-",
          .only_virtual = true,
      },
      alone);
  conform(
      {
          .name = "who waits and has no time left takes the stale answer",
          .script = "ok after 10ms, ok after 80ms",
          .callers = {{}, {.at = 150ms}, {.at = 160ms, .deadline = 190ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              150ms B: attempt 1
              190ms C: stale answer of 'c', 180ms old, in place of a failure
              190ms C: = OK 42
              C: report: 0 attempts in 30ms, degraded by 'c'
              230ms B: attempt 1: OK
              230ms B: = OK 42
              B: report: 1 attempt in 80ms)",
          .blocking = "-",
      },
      alone);
}
