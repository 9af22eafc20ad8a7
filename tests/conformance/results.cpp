// SPDX-License-Identifier: Apache-2.0

// The table: results of other kinds, and readings of one's own.

#include <exception>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/classify.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto bounded(stage& s) {
  return seawall::compose(seawall::retry({.max_attempts = 2, .backoff = constant(s(50ms))}),
                          seawall::attempt_timeout({.after = s(100ms)}));
}

}  // namespace

TEST_CASE("results: absl::Status") {
  conform<absl::Status>(
      {
          .name = "a status",
          .script = "fail after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2, until 160ms
              70ms attempt 2: OK
              70ms = OK 0
              report: 2 attempts in 70ms)",
      },
      bounded);
}

TEST_CASE("results: plain values and exceptions") {
  conform<int>(
      {
          .name = "what is thrown is a failure, and repeated",
          .script = "fail after 10ms, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2, until 160ms
              70ms attempt 2: OK
              70ms = OK 42
              report: 2 attempts in 70ms)",
      },
      bounded);
  conform<int>(
      {
          .name = "what was thrown last is thrown",
          .script = "fail after 10ms, internal after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 50ms
              60ms attempt 2, until 160ms
              70ms attempt 2: INTERNAL
              70ms gave up: max_attempts
              70ms threw INTERNAL
              report: 2 attempts in 70ms, gave up: max_attempts)",
      },
      bounded);
  conform<int>(
      {
          .name = "a rejection is thrown as one",
          .script = "hang",
          .callers = {{.stops = 30ms}},
          .trace = R"(
              0s attempt 1, until 100ms
              30ms rejected by caller: cancelled
              30ms attempt 1 given up
              30ms threw CANCELLED by caller: cancelled
              report: 1 attempt in 30ms, rejected by caller: cancelled)",
          .blocking = R"(
              0s attempt 1, until 100ms
              100ms attempt 1: DEADLINE_EXCEEDED
              100ms threw DEADLINE_EXCEEDED
              report: 1 attempt in 100ms)",
      },
      bounded);
  conform<void>(
      {
          .name = "nothing at all is a success",
          .script = "fail, ok after 10ms",
          .trace = R"(
              0s attempt 1, until 100ms
              0s attempt 1: UNAVAILABLE
              0s retry in 50ms
              50ms attempt 2, until 150ms
              60ms attempt 2: OK
              60ms = OK 0
              report: 2 attempts in 60ms)",
      },
      bounded);
  conform<int>(
      {
          .name = "a substitute for what was thrown",
          .script = "fail after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms fallback 'fallback'
              10ms = OK 3
              report: 1 attempt in 10ms, degraded by 'fallback')",
      },
      [](stage&) {
        return seawall::compose(
            seawall::fallback([](const std::exception_ptr& e) { return e != nullptr ? 3 : 0; }));
      });
}

TEST_CASE("results: a reading of one's own") {
  const auto make = [](stage& s) {
    return seawall::compose(
        seawall::retry({.backoff = constant(s(50ms))}),
        seawall::classify([](const absl::StatusOr<int>& r) -> std::optional<seawall::verdict> {
          if (absl::IsNotFound(r.status())) return seawall::verdict::transient();
          if (absl::IsUnavailable(r.status())) return seawall::verdict::permanent();
          return std::nullopt;
        }));
  };
  conform(
      {
          .name = "here NOT_FOUND is worth another attempt, and UNAVAILABLE is not",
          .script = "not_found after 10ms, fail after 10ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: NOT_FOUND
              10ms retry in 50ms
              60ms attempt 2
              70ms attempt 2: UNAVAILABLE
              70ms = UNAVAILABLE
              report: 2 attempts in 70ms)",
      },
      make);
  conform(
      {
          .name = "the rest is read as usual",
          .script = "internal after 10ms, ok",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: INTERNAL
              10ms retry in 50ms
              60ms attempt 2
              60ms attempt 2: OK
              60ms = OK 42
              report: 2 attempts in 60ms)",
      },
      make);
}
