// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BREAKER_HPP
#define SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BREAKER_HPP

// A circuit breaker in the hands of a test: time passes when the test says so, and every call is spelled out.

#include <chrono>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/circuit_breaker.hpp"

namespace seawall {

// So that a failed CHECK prints words. Found by argument-dependent look-up.
inline std::ostream& operator<<(std::ostream& out, breaker_state s) { return out << to_string(s); }
inline std::ostream& operator<<(std::ostream& out, duration d) { return out << d.ns() << "ns"; }
inline std::ostream& operator<<(std::ostream& out, instant i) { return out << "at " << i.ns() << "ns"; }

}  // namespace seawall

namespace seawall_test {

using namespace std::chrono_literals;

/// Trips at the second failure in a row and for no other reason; 10 s open; the rest as by default.
inline seawall::circuit_breaker_options trips_at_two() {
  return {.name = "subject", .over_time = {.failure_rate = 0}, .consecutive_failures = 2, .open_for = 10s};
}

struct hand_driven {
  explicit hand_driven(seawall::circuit_breaker_options options) : breaker(std::move(options)) {}

  using permit = seawall::circuit_breaker::permit;

  permit acquire() { return breaker.try_acquire(now); }
  /// The permit is dropped at once, which says nothing.
  bool admits() { return static_cast<bool>(acquire()); }
  void pass(seawall::duration d) { now = now + d; }

  /// Calls that are over in no time; those that are not admitted don't happen.
  void successes(int n) {
    for (int i = 0; i < n; ++i) acquire().success(now);
  }
  void failures(int n) {
    for (int i = 0; i < n; ++i) acquire().failure(now);
  }
  /// A success that takes `d`.
  void success_after(seawall::duration d) {
    auto p = acquire();
    pass(d);
    p.success(now);
  }
  std::vector<permit> acquire_many(int n) {
    std::vector<permit> all;
    for (int i = 0; i < n; ++i) {
      if (auto p = acquire()) all.push_back(std::move(p));
    }
    return all;
  }

  seawall::breaker_state state() const { return breaker.snapshot(now).state; }
  seawall::breaker_snapshot seen() const { return breaker.snapshot(now); }
  seawall::breaker_counts counts() const { return seen().counts; }

  void open() { breaker.force_open(now); }
  /// To the first moment at which probes are let through.
  void wait_until_half_open() { pass(seen().time_left); }
  void half_open() {
    open();
    wait_until_half_open();
  }

  seawall::circuit_breaker breaker;
  /// Not zero: an instant that is forgotten somewhere shows.
  seawall::instant now = seawall::instant() + 1h;
};

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_HAND_DRIVEN_BREAKER_HPP
