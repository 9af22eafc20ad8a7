// SPDX-License-Identifier: Apache-2.0

//   caller --> [ deadline ] --> [ fallback_to ] --> [ retry ] --> [ breaker ] --> primary, down
//                                      |
//                                      +----------> [ attempt_timeout ] --> replica
//
// The substitute is another pipeline with its own policies. It inherits what is left of the deadline.

#include <chrono>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

namespace {

using row = absl::StatusOr<std::string>;

}  // namespace

int main() {
  seawall::duration replica_had;
  const auto replica = seawall::compose(seawall::attempt_timeout({.after = 10s}));
  const auto read_replica = [&replica_had](const seawall::attempt& a) -> row {
    replica_had = a.time_left();
    return "balance 100 (from the replica)";
  };

  seawall::circuit_breaker breaker(
      {.name = "primary", .consecutive_failures = 4, .open_for = 1h, .open_for_max = 1h});
  const auto primary = seawall::compose(seawall::deadline({.after = 500ms}),                               //
                                        seawall::fallback_to(replica, read_replica, {.name = "replica"}),  //
                                        seawall::retry({.max_attempts = 2, .backoff = {.initial = 1ms}}),  //
                                        seawall::breaker(breaker));

  int asked = 0;
  const auto read_primary = [&asked]() -> row {
    ++asked;
    return absl::UnavailableError("connection refused");
  };

  bool all_from_replica = true;
  for (int i = 1; i <= 4; ++i) {
    seawall::call_report report;
    const row r = primary.run({.report = &report}, seawall::idempotent(read_primary));
    fmt::print("{}: {}; attempts at the primary: {}, breaker {}\n", i, *r, report.attempts,
               breaker.snapshot().state);
    all_from_replica = all_from_replica && r.ok() && report.degraded && report.degraded_by == "replica";
  }
  fmt::print("time left for the replica: {} of the caller's 500ms, not the 10s of its own\n", replica_had);

  // The breaker opened with the fourth attempt; from then on the replica is asked at once.
  return all_from_replica && asked == 4 && replica_had <= 500ms && replica_had > 0s ? 0 : 1;
}
