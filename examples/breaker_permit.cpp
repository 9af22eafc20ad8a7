// SPDX-License-Identifier: Apache-2.0

//   your own loop:  permit = breaker.try_acquire()  -->  the work  -->  permit.success() / permit.failure()
//
// A breaker without a pipeline, for code that cannot hand its work over as an operation. A permit that is dropped without
// a word says nothing about the dependency and gives its place back.

#include <chrono>
#include <utility>

#include "seawall/circuit_breaker.hpp"
#include "seawall/format.hpp"

using namespace std::chrono_literals;

int main() {
  // Every function takes the time, or reads the clock if it is not given.
  seawall::instant now;
  seawall::circuit_breaker disk({.name = "disk", .consecutive_failures = 3, .open_for = 2s});

  for (int i = 0; i < 3; ++i) {
    auto permit = disk.try_acquire(now);
    if (!permit) return 1;
    permit.failure(now);
  }

  auto refused = disk.try_acquire(now);
  fmt::print("refused: {}, try again in {}\n", refused.why(), refused.retry_after().value_or(0s));
  const bool open = !refused && refused.why() == seawall::reason::open && refused.retry_after() == 2s;

  now = now + 2s;
  bool place_given_back = false;
  {
    auto probe = disk.try_acquire(now);
    auto second = disk.try_acquire(now);
    fmt::print("probe: {}, second caller: {}\n", static_cast<bool>(probe), second.why());
    place_given_back = probe && !second && second.why() == seawall::reason::half_open;
    // `probe` dies here: an early return, an exception, a caller that lost interest.
  }

  auto probe = disk.try_acquire(now);
  fmt::print("next probe: {}\n", static_cast<bool>(probe));
  place_given_back = place_given_back && probe;

  // Permits can be moved to where the answer arrives.
  auto elsewhere = std::move(probe);
  elsewhere.success(now);
  fmt::print("{}\n", disk.snapshot(now));
  const bool closed = disk.snapshot(now).state == seawall::breaker_state::closed;
  return open && place_given_back && closed ? 0 : 1;
}
