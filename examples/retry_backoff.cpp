// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry: up to 5 attempts, 100 ms doubling up to 500 ms, full jitter ] --> quotes server
//
// Every pause is drawn from [0, d], where d grows exponentially up to its cap. Clients that failed together do not come
// back together.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

const auto pipeline = seawall::compose(seawall::retry(
    {.max_attempts = 5, .backoff = {.initial = 100ms, .max = 500ms, .jitter = seawall::jitter::full}}));

// The pauses of one client, whose random numbers begin at `seed`.
std::vector<seawall::duration> pauses(std::uint64_t seed) {
  std::vector<seawall::duration> delays;
  seawall::listening events(
      [&delays](const seawall::event::retry_scheduled& e) { delays.push_back(e.delay); });
  seawall::random_source random(seed);
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, "fail x4, ok", 1.0842);

  const auto quote = seawall::testing::run(clock, pipeline, {.events = &events, .random = &random},
                                           seawall::idempotent(std::ref(server)));
  fmt::print("client {}: {} after {} attempts, pauses {}, {} in all\n", seed,
             quote.ok() ? "answered" : "failed", server.calls(), fmt::join(delays, " "), clock.elapsed());
  return quote.ok() ? delays : std::vector<seawall::duration>();
}

}  // namespace

int main() {
  const std::vector<seawall::duration> limits = {100ms, 200ms, 400ms, 500ms};
  fmt::print("limits of the pauses: {}\n", fmt::join(limits, " "));
  const auto first = pauses(1);
  const auto second = pauses(2);
  const auto within = [&limits](const std::vector<seawall::duration>& delays) {
    return std::equal(delays.begin(), delays.end(), limits.begin(), limits.end(), std::less_equal<>());
  };
  return within(first) && within(second) && first != second ? 0 : 1;
}
