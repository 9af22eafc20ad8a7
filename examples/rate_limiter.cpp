// SPDX-License-Identifier: Apache-2.0

//   caller --> [ deadline 1 s ] --> [ limit_rate 10 a second, waits up to 500 ms ] --> API that allows 10 a second
//
// A burst of calls is spread to the rate that the API allows: some go at once, some wait for the time they are given, and
// what would have to wait too long learns it at once, with the time at which to come back.

#include "seawall/rate_limiter.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::rate_limiter search({.name = "search", .permits = 10, .per = 1s, .burst = 2, .max_wait = 500ms});
  const auto pipeline = seawall::compose(seawall::deadline({.after = 1s}), seawall::limit_rate(search));

  int sent = 0;
  const auto query = [&] {
    ++sent;
    return absl::OkStatus();
  };
  bool in_time = true;
  for (int i = 0; i < 5; ++i) {
    const bool ok = seawall::testing::run(clock, pipeline, query).ok();
    fmt::print("query {}: {} at {}\n", i + 1, ok ? "sent" : "rejected", clock.elapsed());
    // Two at once, the others 100 ms apart.
    in_time = in_time && ok && clock.elapsed() == 100ms * (i < 2 ? 0 : i - 1);
  }

  // Others have reserved the next 500 ms: no place within the time that a call may wait.
  std::vector<seawall::rate_limiter::reservation> others;
  for (int i = 0; i < 5; ++i) others.push_back(search.reserve(clock.now()));
  const seawall::instant asked = clock.now();
  const absl::Status late = seawall::testing::run(clock, pipeline, query);
  fmt::print("one too many: {}\n", std::string(late.message()));
  const bool at_once = clock.now() == asked && seawall::retry_after_of(late) == 600ms;

  // One of them does not need it any more: its time goes to the next, and nobody else's time moves.
  const seawall::instant third = others[2].at(), last = others[4].at();
  others[2].give_back(clock.now());
  const bool passed_on =
      seawall::testing::run(clock, pipeline, query).ok() && clock.now() == third && others[4].at() == last;
  fmt::print("{} queries sent, the last one at {}\n", sent, clock.elapsed());
  return in_time && at_once && passed_on && sent == 6 ? 0 : 1;
}
