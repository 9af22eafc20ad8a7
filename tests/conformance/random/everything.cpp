// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "absl/status/statusor.h"
#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/classify.hpp"
#include "seawall/deadline.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: fallback, deadline, retry, breaker, attempt_timeout, classify") {
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    const auto whole = o.deadline();
    traits = {.bounded = true, .whole = whole.after};
    return [=, retries = o.retry(), b = o.breaker(), each = o.attempt_timeout()](stage& s) {
      return seawall::compose(
          seawall::fallback({.name = "f"}, substitute(s, 7)), seawall::deadline(whole),
          seawall::retry(retries), seawall::breaker(s.breaker(b)), seawall::attempt_timeout(each),
          seawall::classify([](const absl::StatusOr<int>& r) -> std::optional<seawall::verdict> {
            if (absl::IsNotFound(r.status())) return seawall::verdict::not_executed();
            return std::nullopt;
          }));
    };
  });
}
