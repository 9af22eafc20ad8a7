// SPDX-License-Identifier: Apache-2.0

// The table: levels of service, gates and a brownout.

#include "seawall/degradation.hpp"

#include <memory>
#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/brownout.hpp"
#include "seawall/fallback.hpp"
#include "seawall/feature_gate.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

using result = absl::StatusOr<int>;

seawall::degradation& ladder_of(stage& s, std::uint32_t level) {
  const auto& kept = s.keep(
      std::make_shared<seawall::degradation>(seawall::degradation_options{.name = "shop", .hold = s(15ms)}));
  if (level != 0) kept->machine().bound(level, level, "", s.at(0ms));
  return *kept;
}

seawall::feature_gate& gate_of(stage& s, std::uint32_t level) {
  seawall::degradation& ladder = ladder_of(s, level);
  return *s.keep(std::make_shared<seawall::feature_gate>(ladder, seawall::feature_gate_options{.name = "g"}));
}

}  // namespace

TEST_CASE("degradation: what is served") {
  conform(
      {
          .name = "at the best level",
          .script = "ok after 10ms",
          .trace = R"(
              0s attempt 1
              10ms attempt 1: OK
              10ms = OK 42
              report: 1 attempt in 10ms)",
      },
      [](stage& s) {
        return seawall::compose(seawall::require_writable(ladder_of(s, 0)), seawall::degrade(gate_of(s, 0)));
      });
}

TEST_CASE("degradation: what is not") {
  conform(
      {
          .name = "a write while the level is read-only",
          .script = "ok",
          .trace = R"(
              0s rejected by degradation 'shop': degraded
              0s = FAILED_PRECONDITION by degradation 'shop': degraded
              report: 0 attempts in 0s, rejected by degradation: degraded)",
      },
      [](stage& s) { return seawall::compose(seawall::require_writable(ladder_of(s, 2))); });
  conform(
      {
          .name = "optional content, for which a fallback answers; a retry does not try again",
          .script = "ok",
          .trace = R"(
              0s rejected by feature_gate 'g': degraded
              0s fallback 'fallback'
              0s = OK 7
              report: 0 attempts in 0s, degraded by 'fallback')",
      },
      [](stage& s) {
        return seawall::compose(seawall::fallback(result(7)),
                                seawall::retry({.max_attempts = 3, .backoff = constant(s(30ms))}),
                                seawall::degrade(gate_of(s, 1)));
      });
}
