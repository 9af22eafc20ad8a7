// SPDX-License-Identifier: Apache-2.0

//   8 threads --> [ coalesce(key) ] --> [ attempt_timeout ] --> report server     takes 50 ms for a report
//
// Eight threads want the same report at the same moment. One of them fetches it, the others get a copy.

#include "seawall/coalesce.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;
using report = absl::StatusOr<std::string>;

int main() {
  seawall::coalescer<report> flights({.name = "reports", .lease = 10s});
  const auto reports = seawall::compose(seawall::coalesce(flights), seawall::attempt_timeout({.after = 5s}));

  std::atomic<int> fetched{0};
  const auto fetch = [&]() -> report {
    ++fetched;
    // The others have come before it is ready: what would otherwise have been eight requests.
    while (flights.snapshot().waiting < 7) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(50ms);
    return "revenue: 42";
  };

  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const report r = reports.run({.key = "revenue/2026-11"}, fetch);
      if (r.ok() && *r == "revenue: 42") ++answered;
    });
  }
  for (std::thread& t : threads) t.join();

  const seawall::coalesce_snapshot s = flights.snapshot();
  fmt::print("{} callers, {} answered, {} fetch\n", threads.size(), answered.load(), fetched.load());
  fmt::print("led {}, joined {}, shared {}, still under way {}\n", s.led, s.joined, s.shared, s.flying);
  return answered == 8 && fetched == 1 && s.shared == 7 && s.flying == 0 ? 0 : 1;
}
