// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_THROTTLE_HPP
#define SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_THROTTLE_HPP

// An adaptive throttle in the hands of a test: time passes when the test says so, and the draws are known.

#include <chrono>
#include <cstdint>
#include <utility>

#include "seawall/random.hpp"
#include "seawall/throttle.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall_test {

using namespace std::chrono_literals;

/// A source whose next draw lies in [least, most).
inline seawall::random_source drawing(double least, double most) {
  for (std::uint64_t seed = 0;; ++seed) {
    seawall::random_source probe(seed);
    if (const double u = probe.unit(); u >= least && u < most) return seawall::random_source(seed);
  }
}

/// What a dependency says that is over its quota.
inline seawall::verdict over_quota() {
  return {.health = seawall::health::silent, .again = seawall::again::if_idempotent};
}

/// No floor, so that the draw alone decides.
inline seawall::throttle_options without_floor() { return {.name = "subject", .floor_per_second = 0}; }

struct hand_driven_throttle {
  explicit hand_driven_throttle(seawall::throttle_options o = without_floor()) : throttle(std::move(o)) {}

  void pass(seawall::duration d) { now = now + d; }
  /// Calls that were admitted before, and end now.
  void accepts(int n) { ends(n, seawall::verdict::ok()); }
  void refusals(int n) { ends(n, over_quota()); }
  void ends(int n, const seawall::verdict& v) {
    for (int i = 0; i < n; ++i) throttle.machine().settle(v, now);
  }
  /// A call that begins now, and draws from [least, most).
  bool admits(double least = 0.0, double most = 1.0, int priority = 0) {
    seawall::random_source source = drawing(least, most);
    return throttle.machine().try_acquire(now, priority, [&]() -> seawall::random_source& {
      ++draws;
      return source;
    });
  }
  seawall::throttle_snapshot seen() const { return throttle.snapshot(now); }

  seawall::adaptive_throttle throttle;
  seawall::instant now = seawall::instant::from_ns(3'600'000'000'000);
  int draws = 0;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_THROTTLE_HPP
