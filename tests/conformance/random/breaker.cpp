// SPDX-License-Identifier: Apache-2.0
#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: retry, breaker for each key") {
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    traits.keyed = true;
    return [retries = o.retry(), b = o.breaker()](stage& s) {
      return seawall::compose(seawall::retry(retries), seawall::breaker(s.breakers(b)));
    };
  });
}

TEST_CASE("random: breaker, retry with a budget") {
  play_random_scenarios(20'000, [](random_options& o, random_traits&) {
    return [retries = o.retry(), b = o.breaker()](stage& s) {
      auto with_budget = retries;
      with_budget.budget = &s.budget({.ratio = 0.5, .floor_per_second = 0.0});
      return seawall::compose(seawall::breaker(s.breaker(b)), seawall::retry(with_budget));
    };
  });
}
