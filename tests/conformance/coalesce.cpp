// SPDX-License-Identifier: Apache-2.0

// The table: calls that share one execution. The blocking driver plays one caller after the other: its share of the table is
// small, and tests/stress/shared_answers_stress.cpp has it on threads.

#include "seawall/coalesce.hpp"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

using flights = seawall::coalescer<absl::StatusOr<int>>;

auto with(stage& s, seawall::coalesce_options o) {
  o.name = "f";
  return seawall::compose(seawall::coalesce(*s.keep(std::make_shared<flights>(std::move(o)))));
}
auto alone(stage& s) { return with(s, {}); }

}  // namespace

TEST_CASE("coalesce: in every driver") {
  conform(
      {
          .name = "one after the other, each does its own work",
          .script = "ok after 10ms",
          .callers = {{}, {.at = 20ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms
              20ms B: attempt 1
              30ms B: attempt 1: OK
              30ms B: = OK 42
              B: report: 1 attempt in 10ms)",
      },
      alone);
  conform(
      {
          .name = "at once, one does the work and both have the answer",
          .script = "ok after 30ms",
          .callers = {{.key = "x"}, {.at = 10ms, .key = "x"}},
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
          .name = "with other keys, nobody waits",
          .script = "ok after 40ms, ok after 20ms",
          .callers = {{.key = "x"}, {.at = 10ms, .key = "y"}},
          .trace = R"(
              0s attempt 1
              10ms B: attempt 1
              30ms B: attempt 1: OK
              30ms B: = OK 42
              B: report: 1 attempt in 20ms
              40ms attempt 1: OK
              40ms = OK 42
              report: 1 attempt in 40ms)",
          .blocking = "-",
      },
      alone);
  conform(
      {
          .name = "a failure is shared",
          .script = "fail after 30ms",
          .callers = {{}, {.at = 10ms}},
          .trace = R"(
              0s attempt 1
              30ms attempt 1: UNAVAILABLE
              30ms = UNAVAILABLE
              report: 1 attempt in 30ms
              30ms B: = UNAVAILABLE
              B: report: 0 attempts in 20ms)",
          .blocking = "-",
          .only_virtual = true,
      },
      alone);
  conform(
      {
          .name = "or the next one tries",
          .script = "fail after 30ms, ok after 10ms",
          .callers = {{}, {.at = 10ms}},
          .trace = R"(
              0s attempt 1
              30ms attempt 1: UNAVAILABLE
              30ms = UNAVAILABLE
              report: 1 attempt in 30ms
              30ms B: attempt 1
              40ms B: attempt 1: OK
              40ms B: = OK 42
              B: report: 1 attempt in 30ms)",
          .blocking = "-",
          .only_virtual = true,
      },
      [](stage& s) { return with(s, {.on_failure = seawall::leader_failure::next_tries}); });
  conform(
      {
          .name = "one who waits goes: the others do not notice",
          .script = "ok after 60ms",
          .callers = {{}, {.at = 10ms, .stops = 30ms}},
          .trace = R"(
              0s attempt 1
              30ms B: rejected by caller: cancelled
              30ms B: = CANCELLED by caller: cancelled
              B: report: 0 attempts in 20ms, rejected by caller: cancelled
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
          .blocking = "-",
      },
      alone);
  conform(
      {
          .name = "one who waits has no more time",
          .script = "ok after 60ms",
          .callers = {{}, {.at = 10ms, .deadline = 30ms}},
          .trace = R"(
              0s attempt 1
              30ms B: rejected by deadline: deadline_exceeded
              30ms B: = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              B: report: 0 attempts in 20ms, rejected by deadline: deadline_exceeded
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
          .blocking = "-",
      },
      alone);
  conform(
      {
          .name = "the one who does the work goes: the next one does it",
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
          .name = "the one who does the work hangs: after the lease, another one does it",
          .script = "hang, ok after 10ms",
          .callers = {{.stops = 90ms}, {.at = 10ms}},
          .trace = R"(
              0s attempt 1
              50ms B: attempt 1
              60ms B: attempt 1: OK
              60ms B: = OK 42
              B: report: 1 attempt in 50ms
              90ms rejected by caller: cancelled
              90ms attempt 1 given up
              90ms = CANCELLED by caller: cancelled
              report: 1 attempt in 90ms, rejected by caller: cancelled)",
          .blocking = "-",
      },
      [](stage& s) { return with(s, {.lease = s(50ms)}); });
}
