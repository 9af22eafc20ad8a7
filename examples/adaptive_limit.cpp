// SPDX-License-Identifier: Apache-2.0

//   requests --> [ adaptive limit: 4 -> ? ] --> handler, whose eight workers have a queue in front of them
//
// Nobody has told the limit that there are eight workers. It doubles until calls get slower, goes to the knee, and comes
// down when half of the workers are lost. In virtual time: rounds of as many calls as are admitted.

#include "seawall/adaptive_limit.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "fmt/format.h"

using namespace std::chrono_literals;

namespace {

seawall::instant now;

// Serves what the limit admits, and refuses the rest; a queue makes everybody wait.
void serve_for(seawall::duration length, seawall::adaptive_limit& limit, double workers) {
  for (const seawall::instant end = now + length; now < end;) {
    std::vector<seawall::adaptive_limit::permit> held;
    while (auto place = limit.try_acquire(now)) held.push_back(std::move(place));
    now = now +
          std::chrono::duration<double>(0.010 * std::max(1.0, static_cast<double>(held.size()) / workers));
    for (auto& place : held) place.success(now);
  }
  const auto seen = limit.snapshot();
  fmt::print("{:.0f} workers: limit {:.1f}, {:.1f} ms a call\n", workers, seen.settled_limit,
             seen.latency.seconds() * 1e3);
}

}  // namespace

int main() {
  seawall::adaptive_limit limit({.name = "checkout", .max_limit = 500});
  serve_for(30s, limit, 8);
  const double with_all = limit.snapshot().settled_limit;
  serve_for(30s, limit, 4);
  const double with_half = limit.snapshot().settled_limit;
  serve_for(30s, limit, 8);
  const double again = limit.snapshot().settled_limit;
  const auto near = [](double found, double workers) {
    return found >= 0.9 * workers && found <= 1.7 * workers;
  };
  return near(with_all, 8) && near(with_half, 4) && near(again, 8) ? 0 : 1;
}
