// SPDX-License-Identifier: Apache-2.0
#include "seawall/any_pipeline.hpp"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: layers built at run time") {
  using R = absl::StatusOr<int>;
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    const bool falls_back = o.chance(50), retries = o.chance(70), breaks = o.chance(60), each = o.chance(60),
               hedges = o.chance(20);
    const auto whole = o.deadline();
    traits = {.bounded = true, .whole = whole.after, .overlaps = hedges};
    property::trace("fallback ", falls_back, ", retry ", retries, ", hedge ", hedges, ", breaker ", breaks,
                    ", timeout ", each);
    return
        [=, retry = o.retry(), hedge = o.hedge(), b = o.breaker(), timeout = o.attempt_timeout()](stage& s) {
          seawall::pipeline_config<R> config;
          if (falls_back) config.layers.push_back(seawall::fallback_config<R>{{.name = "f"}, R(7)});
          config.layers.push_back(whole);
          if (retries) config.layers.push_back(retry);
          if (hedges) config.layers.push_back(hedge);
          if (breaks) config.layers.push_back(&s.breaker(b));
          if (each) config.layers.push_back(timeout);
          return *seawall::any_pipeline<R>::from(std::move(config));
        };
  });
}
