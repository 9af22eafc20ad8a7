// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_THROTTLE_OPTIONS_HPP
#define SEAWALL_CORE_THROTTLE_OPTIONS_HPP

// What an adaptive throttle can be told, and what it tells about itself.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// Which results say "the dependency did not accept the request".
enum class throttle_counts : std::uint8_t {
  /// Those that turn a request away: a quota or a limit (RESOURCE_EXHAUSTED), any failure that asks for a
  /// pause, a request that provably was not executed (no connection). Other failures are the circuit
  /// breaker's business.
  refusals,
  failures,  ///< those, and every failure that speaks against the dependency's health
};

/// Options of an adaptive throttle.
struct throttle_options {
  /// For messages, events and metrics.
  std::string name = {};

  /// K: how many requests for each that is accepted go out before any is rejected here; [1, 1e6]. The
  /// dependency sees K requests for each that it accepts: 2 lets it refuse as much as it accepts, and notices
  /// recovery fast; 1.1 spares it.
  double multiplier = 2.0;

  /// K for calls of at least this priority.
  struct priority_class {
    int at_least = 0;
    double multiplier = 2.0;  ///< [1, 1e6]
  };
  /// In ascending order, K never falling from `multiplier` on: what matters more is rejected later. At most
  /// 8.
  std::vector<priority_class> priorities = {};

  duration window = std::chrono::minutes(2);  ///< at least 1 us a bucket, at most 24 h
  std::uint32_t buckets = 12;                 ///< [1, 255]; fixed for the life of the throttle

  /// As many calls a second pass whatever the probability, so that recovery is noticed: [0, 1e6]; 0: none. A
  /// fleet multiplies it.
  double floor_per_second = 0.1;

  throttle_counts counts = throttle_counts::refusals;

  rejection_detail rejections = rejection_detail::full;

  /// Told when it begins and when it ceases to reject. Must outlive the throttle.
  listener* events = nullptr;
};

/// A throttle as an observer sees it. Counts are those in the window; calls in flight are not among them.
struct throttle_snapshot {
  std::string name = {};
  bool throttling = false;             ///< a call was rejected within the last bucket's width
  std::uint64_t requests = 0;          ///< that have ended, and those rejected here
  std::uint64_t accepts = 0;           ///< by the dependency
  std::uint64_t throttled = 0;         ///< rejected here
  double rejection_probability = 0.0;  ///< of a call of priority 0
  std::uint64_t transitions = 0;       ///< in its life
};

}  // namespace seawall

#endif  // SEAWALL_CORE_THROTTLE_OPTIONS_HPP
