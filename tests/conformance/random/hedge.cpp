// SPDX-License-Identifier: Apache-2.0
#include "seawall/hedge.hpp"

#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: deadline, retry, hedge, breaker, attempt_timeout") {
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    const auto whole = o.deadline();
    traits = {.bounded = true, .whole = whole.after};
    return
        [=, retries = o.retry(), hedges = o.hedge(), b = o.breaker(), each = o.attempt_timeout()](stage& s) {
          return seawall::compose(seawall::deadline(whole), seawall::retry(retries), seawall::hedge(hedges),
                                  seawall::breaker(s.breaker(b)), seawall::attempt_timeout(each));
        };
  });
}
