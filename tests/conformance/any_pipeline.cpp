// SPDX-License-Identifier: Apache-2.0

// The table: a pipeline built from a configuration.

#include "seawall/any_pipeline.hpp"

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("any_pipeline: from a configuration") {
  conform_at_run_time(
      {
          .name = "all layers at once",
          .script = "fail after 10ms, hang",
          .trace = R"(
              0s attempt 1, until 50ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 20ms
              30ms attempt 2, until 80ms
              80ms rejected by attempt_timeout 'each': timed_out
              80ms breaker 'b' closed -> open
              80ms retry in 20ms
              80ms attempt 2 given up
              100ms rejected by circuit_breaker 'b': open, 980ms left
              100ms gave up: max_attempts
              100ms fallback 'f'
              100ms = OK 7
              report: 2 attempts in 100ms, degraded by 'f')",
          .blocking = R"(
              0s attempt 1, until 50ms
              10ms attempt 1: UNAVAILABLE
              10ms retry in 20ms
              30ms attempt 2, until 80ms
              80ms attempt 2: DEADLINE_EXCEEDED
              80ms breaker 'b' closed -> open
              80ms retry in 20ms
              100ms rejected by circuit_breaker 'b': open, 980ms left
              100ms gave up: max_attempts
              100ms fallback 'f'
              100ms = OK 7
              report: 2 attempts in 100ms, degraded by 'f')",
      },
      [](stage& s) {
        using R = absl::StatusOr<int>;
        auto& b = s.breaker({.name = "b", .consecutive_failures = 2, .open_for = s(1s)});
        return *seawall::any_pipeline<R>::from(
            {.name = "all",
             .layers = {seawall::fallback_config<R>{{.name = "f"}, R(7)},
                        seawall::deadline_options{.name = "whole", .after = s(200ms)},
                        seawall::retry_options{.backoff = constant(s(20ms))}, &b,
                        seawall::attempt_timeout_options{.name = "each", .after = s(50ms)}}});
      });
}
