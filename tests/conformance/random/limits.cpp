// SPDX-License-Identifier: Apache-2.0
#include "conformance/random.hpp"
#include "conformance/scenario.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

using namespace conformance;

TEST_CASE("random: deadline, retry, attempt_timeout") {
  play_random_scenarios(20'000, [](random_options& o, random_traits& traits) {
    const auto whole = o.deadline();
    traits = {.bounded = true, .whole = whole.after};
    return [=, retries = o.retry(), each = o.attempt_timeout()](stage&) {
      return seawall::compose(seawall::deadline(whole), seawall::retry(retries),
                              seawall::attempt_timeout(each));
    };
  });
}
