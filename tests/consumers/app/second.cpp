// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "quotes.hpp"
#include "seawall/seawall.hpp"

absl::StatusOr<int> from_the_second_unit() {
  using namespace std::chrono_literals;
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 1s}), seawall::retry({.max_attempts = 2}));
  return pipeline.run(seawall::idempotent([]() -> absl::StatusOr<int> { return 7; }));
}
