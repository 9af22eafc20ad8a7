// SPDX-License-Identifier: Apache-2.0

//   caller --> [ breaker ] --> quotes server
//
//   closed --5 failures in a row--> open --10 s--> half-open --a good probe--> closed
//
// A breaker trips, rejects without calling, lets one probe through when its open time is over, and closes. The server
// follows a script, and time is virtual: the program does not wait.

#include <chrono>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;
using seawall::breaker_state;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, "fail x5, ok", 1.0842);

  seawall::circuit_breaker quotes({.name = "quotes", .consecutive_failures = 5, .open_for = 10s});
  const auto pipeline = seawall::compose(seawall::breaker(quotes));

  const auto call = [&] {
    const absl::StatusOr<double> quote = seawall::testing::run(clock, pipeline, server);
    const std::string text = quote.ok() ? fmt::format("{}", *quote) : std::string(quote.status().message());
    fmt::print("{:>4}  {:<9}  {}\n", clock.elapsed(), quotes.snapshot(clock.now()).state, text);
    clock.advance(1s);
    return quote;
  };

  bool failed = true;
  for (int i = 0; i < 5; ++i) failed = failed && !call().ok();
  const bool tripped = failed && quotes.snapshot(clock.now()).state == breaker_state::open;

  // The server would answer by now, but nobody asks it.
  const auto rejected = seawall::rejection_of(call().status());
  const bool refused =
      rejected && rejected->why == seawall::reason::open && rejected->retry_after && server.calls() == 5;

  // Time alone leads to half-open; it needs no traffic to be seen.
  clock.advance(*rejected->retry_after);
  const bool half_open = quotes.snapshot(clock.now()).state == breaker_state::half_open;

  const bool recovered = call().ok() && quotes.snapshot(clock.now()).state == breaker_state::closed;
  return tripped && refused && half_open && recovered && server.calls() == 6 ? 0 : 1;
}
