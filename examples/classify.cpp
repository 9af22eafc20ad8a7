// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry ] --> [ breaker ] --> [ classify ] --> database with optimistic transactions
//
// The default reading of a status code is for the dependency one knows nothing about. `classify` overrides it for one
// pipeline, where one knows better, and leaves the rest to the default.

#include <optional>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

namespace {

using page = absl::StatusOr<std::string>;

// This database says ABORTED when a transaction lost a race and was rolled back: it was not executed, and the database
// is well. And it has been seen answering "" while it starts.
std::optional<seawall::verdict> of_this_database(const page& p) {
  if (p.status().code() == absl::StatusCode::kAborted)
    return seawall::verdict{.health = seawall::health::healthy, .again = seawall::again::always};
  if (p.ok() && p->empty()) return seawall::verdict::transient();
  return std::nullopt;
}

}  // namespace

int main() {
  seawall::testing::virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "database", .consecutive_failures = 2});
  const auto by_default = seawall::compose(seawall::retry());
  const auto informed =
      seawall::compose(seawall::retry(), seawall::breaker(breaker), seawall::classify(of_this_database));

  // Two transactions lose the race, the third wins. Not idempotent: only an `again::always` is repeated.
  const auto transaction = seawall::non_idempotent([](const seawall::attempt& a) -> page {
    if (a.number() <= 2) return absl::AbortedError("lost the race");
    return "committed";
  });
  const page lost = seawall::testing::run(clock, by_default, transaction);
  const page won = seawall::testing::run(clock, informed, transaction);
  fmt::print("by default: {}\ninformed:   {}\n", lost.status().ToString(), *won);

  seawall::call_report report;
  const page read = seawall::testing::run(
      clock, informed, {.report = &report},
      seawall::idempotent([](const seawall::attempt& a) -> page { return a.number() == 1 ? "" : "row 1"; }));
  fmt::print("empty answer first: {} after {} attempts\n", *read, report.attempts);

  // What was aborted is no reason for the breaker to open.
  const bool healthy = breaker.snapshot(clock.now()).state == seawall::breaker_state::closed;
  return !lost.ok() && *won == "committed" && *read == "row 1" && report.attempts == 2 && healthy ? 0 : 1;
}
