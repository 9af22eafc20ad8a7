// SPDX-License-Identifier: Apache-2.0
#include "seawall/fallback.hpp"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: deadline, a chain of fallbacks of which one takes its time") {
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    const auto whole = o.deadline();
    traits = {.bounded = true, .whole = whole.after};
    return [=, takes = o.time(0, 40)](stage& s) {
      return seawall::compose(
          seawall::deadline(whole), seawall::fallback({.name = "last"}, substitute(s, 7)),
          seawall::fallback({.name = "slow"}, slow_substitute(s, takes, absl::InternalError("no"))));
    };
  });
}
