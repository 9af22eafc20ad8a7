// SPDX-License-Identifier: Apache-2.0

// The table: an adaptive limit that is held at one call, as a limit that moves needs hundreds.

#include "seawall/adaptive_limit.hpp"

#include <memory>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

auto one_at_a_time(stage& s) {
  const auto kept = s.keep(std::make_shared<seawall::adaptive_limit>(
      seawall::adaptive_limit_options{.name = "l", .max_limit = 1, .initial_limit = 1}));
  return seawall::compose(seawall::limit_concurrency(*kept));
}

}  // namespace

TEST_CASE("adaptive_limit: one at a time") {
  conform(
      {
          .name = "the second call is one too many, the third finds the place free",
          .script = "ok after 50ms",
          .callers = {{}, {.at = 10ms}, {.at = 80ms}},
          .trace = R"(
              0s attempt 1
              10ms B: rejected by adaptive_limit 'l': limit_reached
              10ms B: = RESOURCE_EXHAUSTED by adaptive_limit 'l': limit_reached
              B: report: 0 attempts in 0s, rejected by adaptive_limit: limit_reached
              50ms attempt 1: OK
              50ms = OK 42
              report: 1 attempt in 50ms
              80ms C: attempt 1
              130ms C: attempt 1: OK
              130ms C: = OK 42
              C: report: 1 attempt in 50ms)",
          .blocking = "-",
      },
      one_at_a_time);
}
