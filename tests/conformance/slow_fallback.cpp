// SPDX-License-Identifier: Apache-2.0

// The table: substitutes that take their time, and other pipelines as substitutes. Built at run time, a pipeline wants its
// substitutes at once: these rows are for static ones.

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/drivers/pool.hpp"
#include "conformance/scenario.hpp"
#include "seawall/deadline.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto slow(stage& s, duration substitute_takes) {
  return seawall::compose(seawall::deadline({.after = s(100ms)}),
                          seawall::fallback({.name = "f"}, slow_substitute(s, substitute_takes, 7)));
}

/// Fails twice, then answers 5.
struct replica {
  std::shared_ptr<int> calls = std::make_shared<int>(0);
  absl::StatusOr<int> operator()(const attempt&) const {
    if (++*calls <= 2) return absl::UnavailableError("replica");
    return 5;
  }
};

auto with_replica(stage& s, duration pause) {
  const auto& other =
      s.keep(seawall::compose(seawall::retry({.backoff = constant(s(pause))})).listen(s.hears()));
  return seawall::compose(seawall::deadline({.after = s(100ms)}),
                          seawall::fallback_to(other, seawall::idempotent(replica()), {.name = "replica"}));
}

}  // namespace

TEST_CASE("fallback: a substitute that takes its time") {
  conform_static(
      {
          .name = "is waited for",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE, until 100ms
              60ms = OK 7
              report: 1 attempt in 60ms, degraded by 'f')",
      },
      [](stage& s) { return slow(s, 50ms); });
  conform_static(
      {
          .name = "is given up at the deadline",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE, until 100ms
              100ms rejected by deadline: deadline_exceeded
              100ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 1 attempt in 100ms, rejected by deadline: deadline_exceeded)",
          // What comes late is delivered.
          .blocking = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE, until 100ms
              210ms = OK 7
              report: 1 attempt in 210ms, degraded by 'f')",
      },
      [](stage& s) { return slow(s, 200ms); });
  conform_static(
      {
          .name = "is given up by a caller that goes",
          .script = "fail after 10ms",
          .callers = {{.stops = 30ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE, until 100ms
              30ms rejected by caller: cancelled
              30ms = CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'f'
              10ms substitute for UNAVAILABLE, until 100ms
              60ms = OK 7
              report: 1 attempt in 60ms, degraded by 'f')",
      },
      [](stage& s) { return slow(s, 50ms); });
}

TEST_CASE("fallback: another pipeline") {
  conform_static(
      {
          .name = "with retries of its own",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'replica'
              10ms retry in 20ms
              30ms retry in 20ms
              50ms = OK 5
              report: 1 attempt in 50ms, degraded by 'replica')",
      },
      [](stage& s) { return with_replica(s, 20ms); });
  conform_static(
      {
          .name = "keeps to what is left of the deadline",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'replica'
              10ms retry in 60ms
              70ms gave up: deadline
              70ms = UNAVAILABLE
              report: 1 attempt in 70ms)",
      },
      [](stage& s) { return with_replica(s, 60ms); });
  conform_static(
      {
          .name = "ends with the caller, in its pause",
          .script = "fail after 10ms",
          .callers = {{.stops = 20ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'replica'
              10ms retry in 30ms
              20ms rejected by caller: cancelled
              20ms = CANCELLED by caller: cancelled
              report: 1 attempt in 20ms, rejected by caller: cancelled
              20ms rejected by caller: cancelled)",
          // The outer call does not reject: its substitute has ended by itself.
          .blocking = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'replica'
              10ms retry in 30ms
              20ms rejected by caller: cancelled
              20ms = CANCELLED by caller: cancelled
              report: 1 attempt in 20ms)",
          // On threads, the inner call may end when all is taken down.
          .only_virtual = true,
      },
      [](stage& s) { return with_replica(s, 30ms); });
}
