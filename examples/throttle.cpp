// SPDX-License-Identifier: Apache-2.0

//   callers --> [ throttle ] --> search, which accepts 100 requests a second
//
//   1000 a second want it. Refusing costs the server as well: without the throttle it refuses 900 a second; with K = 2 it sees
//   200 and refuses 100. What matters more has a larger K, and is rejected last.
//
// Two minutes of virtual time, then the demand goes back to normal, and nothing is rejected any more.

#include "seawall/throttle.hpp"

#include <chrono>
#include <cstdint>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::random_source random(1);
  seawall::adaptive_throttle quota(
      {.name = "search", .multiplier = 2, .priorities = {{.at_least = 1, .multiplier = 20}}, .window = 30s});
  const auto search = seawall::compose(seawall::throttle(quota));

  // Accepts so many requests in each second.
  std::uint64_t seen = 0, accepted = 0, second = 0, room = 100;
  const auto server = [&] {
    ++seen;
    if (const auto now = static_cast<std::uint64_t>(clock.elapsed().seconds()); now != second) {
      second = now;
      room = 100;
    }
    if (room == 0) return absl::ResourceExhaustedError("busy");
    --room;
    ++accepted;
    return absl::OkStatus();
  };

  std::uint64_t important_rejected = 0, rejected = 0;
  const auto demand = [&](int per_second, int seconds) {
    seen = accepted = important_rejected = rejected = 0;
    for (int i = 0; i < per_second * seconds; ++i) {
      clock.advance(seawall::duration(1s) / per_second);
      const bool important = i % 20 == 0;  // one in twenty
      const absl::Status s =
          seawall::testing::run(clock, search, {.priority = important ? 1 : 0, .random = &random}, server);
      if (seawall::rejection_of(s)) ++(important ? important_rejected : rejected);
    }
    const auto now = quota.snapshot(clock.now());
    fmt::print(
        "{:>4}/s: the server saw {} and accepted {}; {} rejected here, {} important ones; probability now {:.2f}\n",
        per_second, seen, accepted, rejected, important_rejected, now.rejection_probability);
  };

  demand(1000, 120);
  const bool spared = seen < 3 * accepted && important_rejected == 0 && accepted > 11'000;
  demand(80, 60);
  demand(80, 30);
  return spared && rejected == 0 && accepted == 80 * 30 ? 0 : 1;
}
