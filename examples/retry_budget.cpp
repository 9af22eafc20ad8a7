// SPDX-License-Identifier: Apache-2.0

//   orders --> [ retry ]--+
//                         +-- budget: one repetition for five calls --> a database that is down
//   quotes --> [ retry ]--+
//
// In an outage, three attempts a call are three times the load at the worst moment. A budget that all pipelines share
// bounds the extra load to a fifth.

#include <chrono>
#include <cstdint>
#include <functional>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t calls = 1000;

// An outage of ten seconds. Returns how many attempts the database had to bear.
std::uint64_t attempts_with(seawall::retry_budget* budget) {
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<int> database(clock, "fail", 0);
  const seawall::backoff_options backoff = {.initial = 1ms, .max = 1ms};
  const auto orders =
      seawall::compose(seawall::retry({.name = "orders", .backoff = backoff, .budget = budget}));
  const auto quotes =
      seawall::compose(seawall::retry({.name = "quotes", .backoff = backoff, .budget = budget}));

  for (std::uint64_t i = 0; i < calls; ++i) {
    clock.advance_to(seawall::instant() + 10ms * i);
    const auto& pipeline = i % 2 == 0 ? orders : quotes;
    const auto result = seawall::testing::run(clock, pipeline, seawall::idempotent(std::ref(database)));
    if (i + 1 == calls) fmt::print("the last of {} calls: {}\n", calls, result.status().ToString());
  }
  if (budget != nullptr) fmt::print("{}\n", budget->snapshot(clock.now()));
  return database.calls();
}

}  // namespace

int main() {
  const std::uint64_t unbounded = attempts_with(nullptr);
  fmt::print("without a budget: {} attempts\n\n", unbounded);

  seawall::retry_budget budget({.name = "database", .ratio = 0.2});
  const std::uint64_t bounded = attempts_with(&budget);
  fmt::print("with a budget: {} attempts\n", bounded);

  // A fifth of the calls, and the floor: one repetition in each window of ten seconds.
  return unbounded == 3 * calls && bounded > calls && bounded <= calls + calls / 5 + 1 ? 0 : 1;
}
