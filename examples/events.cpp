// SPDX-License-Identifier: Apache-2.0

//   caller --> [ fallback ] --> [ retry ] --> [ breaker ] --> quotes server
//                   |               |              |
//                   +------- events: a log --------+
//
// Policies tell listeners what they do: pipelines of rejections, retries, give-ups and substitutes; shared state, such as a
// breaker, of its transitions. Nothing on the path of a success tells anything.

#include <chrono>
#include <concepts>
#include <functional>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

int main() {
  int retries = 0;
  int transitions = 0;
  // One function object for every kind of event; format.hpp has words for each.
  seawall::listening log([&]<class Event>(const Event& e) {
    fmt::print("{:>8}  {}\n", e.at, e);
    if constexpr (std::same_as<Event, seawall::event::retry_scheduled>) ++retries;
    if constexpr (std::same_as<Event, seawall::event::state_changed>) ++transitions;
  });

  seawall::circuit_breaker breaker(
      {.name = "quotes", .consecutive_failures = 3, .open_for = 2s, .events = &log});
  const auto pipeline =
      seawall::compose(seawall::fallback({.name = "last quote"}, 1.08),
                       seawall::retry({.name = "quotes", .pushback_max = 1s}), seawall::breaker(breaker))
          .listen(log);

  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, "ok, fail x3, ok", 1.0842);
  seawall::random_source random(1);
  const auto call = [&] {
    fmt::print("call at {}\n", clock.elapsed());
    const auto quote =
        seawall::testing::run(clock, pipeline, {.random = &random}, seawall::idempotent(std::ref(server)));
    return quote.value_or(0);
  };

  const bool quiet = call() == 1.0842 && retries == 0 && transitions == 0;
  const bool substituted = call() == 1.08 && retries == 2 && transitions == 1;
  const bool rejected = call() == 1.08;
  clock.advance(2s);
  const bool recovered = call() == 1.0842 && transitions == 3;
  return quiet && substituted && rejected && recovered ? 0 : 1;
}
