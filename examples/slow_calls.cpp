// SPDX-License-Identifier: Apache-2.0

//   caller --> [ breaker: half of the calls take 100 ms or longer ] --> search, which gets slow
//
// A dependency can be too slow to be of use without ever failing. The slow-call rule trips on time instead of errors.

#include <chrono>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

class printer : public seawall::listener {
 public:
  void on(const seawall::event::state_changed& e) noexcept override {
    fmt::print("{} at {}\n", e, e.at);
    slow = e.why == "slow-call rate";
  }

  bool slow = false;
};

}  // namespace

int main() {
  printer events;
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<int> search(clock, "ok x10 after 5ms, ok after 150ms", 7);

  seawall::circuit_breaker breaker({.name = "search",
                                    .over_time = {.length = 10s, .minimum_calls = 10},
                                    .slow = {.limit = 100ms, .rate = 0.5},
                                    .open_for = 5s,
                                    .events = &events});
  const auto pipeline = seawall::compose(seawall::breaker(breaker));

  int answered = 0;
  while (seawall::testing::run(clock, pipeline, search).ok()) ++answered;

  // Ten fast calls, then ten slow ones: with the tenth the share of slow calls is 10 of 20, and a limit is met by equality.
  const seawall::breaker_snapshot seen = breaker.snapshot(clock.now());
  fmt::print("{} calls, all of them answered; then: {}\n", answered, seen);
  return answered == 20 && events.slow && seen.state == seawall::breaker_state::open ? 0 : 1;
}
