// SPDX-License-Identifier: Apache-2.0

// The table: faults on purpose. What is done to a call is a script; what the operation does behind it is another.

#include "seawall/chaos.hpp"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

using result = absl::StatusOr<int>;

seawall::chaos& chaos_of(stage& s, seawall::chaos_options o) {
  o.name = "c";
  o.enabled = true;
  return *s.keep(std::make_shared<seawall::chaos>(std::move(o)));
}
// One fault, its times those of the driver, and after that the real thing.
seawall::chaos& chaos_with(stage& s, std::string fault, duration after) {
  if (after != duration::zero()) fault += " after " + std::to_string(s(after).ns()) + "ns";
  return chaos_of(s, {.script = fault + ", ok"});
}

}  // namespace

TEST_CASE("chaos: a failure is repeated by the retry outside") {
  conform(
      {
          .name = "a failure at once, then the real answer",
          .script = "ok after 10ms",
          .trace = R"(
              0s rejected by chaos 'c': injected
              0s retry in 50ms
              50ms attempt 1, until 150ms
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.backoff = constant(s(50ms))}),
                                seawall::inject(chaos_with(s, "internal", 0ms)),
                                seawall::attempt_timeout({.after = s(100ms)}));
      });
  conform(
      {
          .name = "a failure that takes its time, and is the end",
          .script = "ok",
          .trace = R"(
              30ms rejected by chaos 'c': injected
              30ms = INTERNAL by chaos 'c': injected
              report: 0 attempts in 30ms, rejected by chaos: injected)",
      },
      [](stage& s) { return seawall::compose(seawall::inject(chaos_with(s, "internal", 30ms))); });
}

TEST_CASE("chaos: latency comes before the attempt, and is part of its time") {
  conform(
      {
          .name = "a delay that the time-out allows",
          .script = "ok after 10ms",
          .trace = R"(
              30ms attempt 1, until 100ms
              40ms attempt 1: OK
              40ms = OK 42
              report: 1 attempt in 40ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::attempt_timeout({.after = s(100ms)}),
                                seawall::inject(chaos_with(s, "ok", 30ms)));
      });
  conform(
      {
          .name = "a delay that it does not allow",
          .script = "ok after 10ms",
          .trace = R"(
              100ms rejected by attempt_timeout: timed_out
              100ms retry in 50ms
              150ms attempt 1, until 250ms
              160ms attempt 1: OK
              160ms = OK 42
              report: 1 attempt in 160ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::retry({.backoff = constant(s(50ms))}),
                                seawall::attempt_timeout({.after = s(100ms)}),
                                seawall::inject(chaos_with(s, "ok", 200ms)));
      });
}

TEST_CASE("chaos: a hang ends when somebody's patience does") {
  conform(
      {
          .name = "with the deadline of the call",
          .script = "ok",
          .trace = R"(
              80ms rejected by deadline: deadline_exceeded
              80ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 0 attempts in 80ms, rejected by deadline: deadline_exceeded)",
      },
      [](stage& s) {
        return seawall::compose(seawall::deadline({.after = s(80ms)}),
                                seawall::inject(chaos_with(s, "hang", 0ms)));
      });
  conform(
      {
          .name = "with the caller's deadline, and with the caller",
          .script = "ok",
          .callers = {{.deadline = 60ms}, {.at = 100ms, .stops = 130ms}},
          .trace = R"(
              60ms rejected by deadline: deadline_exceeded
              60ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 0 attempts in 60ms, rejected by deadline: deadline_exceeded
              130ms B: rejected by caller: cancelled
              130ms B: = CANCELLED by caller: cancelled
              B: report: 0 attempts in 30ms, rejected by caller: cancelled)",
      },
      [](stage& s) { return seawall::compose(seawall::inject(chaos_of(s, {.script = "hang"}))); });
  conform(
      {
          .name = "with its own bound",
          .script = "ok",
          .trace = R"(
              70ms rejected by chaos 'c': injected
              70ms = UNAVAILABLE by chaos 'c': injected
              report: 0 attempts in 70ms, rejected by chaos: injected)",
      },
      [](stage& s) {
        return seawall::compose(seawall::inject(chaos_of(s, {.script = "hang", .max_delay = s(70ms)})));
      });
}

TEST_CASE("chaos: a wrong result is the result") {
  conform(
      {
          .name = "after a while, and without an attempt",
          .script = "ok",
          .trace = R"(
              20ms = OK 7
              report: 0 attempts in 20ms)",
      },
      [](stage& s) { return seawall::compose(seawall::inject(chaos_with(s, "wrong", 20ms), 7)); });
  conform(
      {
          .name = "a wrong result that is a failure is repeated",
          .script = "ok after 10ms",
          .trace = R"(
              0s retry in 50ms
              50ms attempt 1
              60ms attempt 1: OK
              60ms = OK 42
              report: 1 attempt in 60ms)",
      },
      [](stage& s) {
        return seawall::compose(
            seawall::retry({.backoff = constant(s(50ms))}),
            seawall::inject(chaos_with(s, "wrong", 0ms), result(absl::InternalError("made up"))));
      });
}

TEST_CASE("chaos: outside a retry it hits the call") {
  conform(
      {
          .name = "no attempt is made, and none repeated",
          .script = "ok",
          .trace = R"(
              0s rejected by chaos 'c': injected
              0s = UNAVAILABLE by chaos 'c': injected
              report: 0 attempts in 0s, rejected by chaos: injected)",
      },
      [](stage& s) {
        return seawall::compose(seawall::inject(chaos_with(s, "fail", 0ms)),
                                seawall::retry({.backoff = constant(s(50ms))}));
      });
}
