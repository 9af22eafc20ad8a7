// SPDX-License-Identifier: Apache-2.0

//                                      +--> threads of "reports" (2, and 1 may wait) --> a dependency that hangs
//   callers --> [ attempt_timeout ] ---|
//                                      +--> threads of "quotes"  (2, and 1 may wait) --> one that answers
//
// Blocking client libraries take threads with them when they hang. A pool for each dependency is a bulkhead: however many
// callers want reports, no more than two threads are lost to them, the surplus is told so at once, and quotes go on.

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "seawall/exec/pool.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::pool_scheduler reports({.name = "reports", .threads = 2, .queue_max = 1});
  seawall::pool_scheduler quotes({.name = "quotes", .threads = 2, .queue_max = 1});
  const auto calls = seawall::compose(seawall::attempt_timeout({.after = 200ms}));

  // The driver hangs for as long as somebody waits for it.
  const auto report = [](const seawall::attempt& a) -> absl::StatusOr<std::string> {
    while (!a.stop_requested()) std::this_thread::sleep_for(1ms);
    return "too late";
  };
  const auto quote = [] { return absl::StatusOr<std::string>("1.0842"); };

  std::vector<absl::StatusOr<std::string>> wanted(6);
  std::vector<std::thread> callers;
  for (auto& result : wanted) callers.emplace_back([&] { result = calls.run_on(reports, report); });
  while (reports.snapshot().queued == 0) std::this_thread::yield();
  const absl::StatusOr<std::string> meanwhile = calls.run_on(quotes, quote);
  for (auto& caller : callers) caller.join();

  int timed_out = 0, refused = 0;
  for (const auto& result : wanted) {
    const auto why = seawall::rejection_of(result.status());
    timed_out += why && why->why == seawall::reason::timed_out ? 1 : 0;
    refused += why && why->why == seawall::reason::queue_full ? 1 : 0;
  }
  fmt::print("reports: {} timed out, {} refused at once\n", timed_out, refused);
  fmt::print("quotes, meanwhile: {}\n", meanwhile.value_or("none"));
  return timed_out == 3 && refused == 3 && meanwhile.ok() ? 0 : 1;
}
