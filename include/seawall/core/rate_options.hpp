// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_RATE_OPTIONS_HPP
#define SEAWALL_CORE_RATE_OPTIONS_HPP

// What a rate limiter can be told, and what it tells about itself.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

class quota_source;

/// How permits are counted. All but the first are for parity with a dependency that counts like this.
enum class rate_algorithm : std::uint8_t {
  gcra,             ///< as a token bucket that holds `burst` and is refilled continuously
  fixed_window,     ///< `permits` in each window, aligned to multiples of `per`: twice as many around an edge
  sliding_counter,  ///< `permits` in any window, the one before taken as spread evenly
  sliding_log,      ///< `permits` in any window, exactly; 16 bytes for each permit
};

constexpr std::string_view to_string(rate_algorithm a) noexcept {
  switch (a) {
    case rate_algorithm::gcra: return "gcra";
    case rate_algorithm::fixed_window: return "fixed_window";
    case rate_algorithm::sliding_counter: return "sliding_counter";
    case rate_algorithm::sliding_log: return "sliding_log";
  }
  return "?";
}

/// Options of a rate limiter. A limit is met by equality.
struct rate_limiter_options {
  /// For messages, events and metrics.
  std::string name = {};

  rate_algorithm algorithm = rate_algorithm::gcra;  ///< fixed for the life of the limiter

  /// The rate: so many permits in so much time. `per` is at least 1 ns for each permit and at most 366 days.
  std::uint32_t permits = 100;  ///< [1, 1e9]; with sliding_log at most 1'000'000
  duration per = std::chrono::seconds(1);
  /// What may come at once after a quiet time; 1 paces. 0: as many as `permits`. With other algorithms than
  /// gcra it is that. It must be earned again within 10 years.
  std::uint32_t burst = 0;

  /// How long a call may wait for permits, [0, 24 h]; 0: excess calls are rejected at once.
  duration max_wait = duration::zero();
  std::uint32_t max_waiting = 64;  ///< calls that wait at most, the others are rejected; at most 1'000'000

  /// Permits that one stripe (processor) takes at a time, [1, 1000] and at most `burst`; 1: none in advance.
  /// Fixed for life. With more, threads seldom meet, and within any time as many permits as `burst`, the rate
  /// and what all stripes can hold in advance are granted at most; see `core::rate_leases`. Only with gcra.
  std::uint32_t lease = 1;

  /// After nothing was asked for during `length`, starts with `initial_share` of the rate and without a
  /// burst, and grows linearly to the whole rate within `length`. Only with gcra.
  struct cold_start {
    duration length = duration::zero();  ///< [0, 24 h]; 0: off
    double initial_share = 1.0 / 3;      ///< [0.01, 1]
  } warm_up = {};

  /// What follows when the dependency pushes back: an attempt ends with a retry-after, or RESOURCE_EXHAUSTED.
  struct pushback_rules {
    /// Nothing is granted for the time it asks for, at most this, [0, 24 h], and then without a burst. 0:
    /// off.
    duration pause_max = duration::zero();
    /// The rate is multiplied by this, [0.01, 1], at most once in `recovery` / 16. 1: off. Only with gcra.
    double slow_to = 1.0;
    double least_share = 0.1;                      ///< of the rate, that it is lowered to at most; [0.01, 1]
    duration recovery = std::chrono::seconds(10);  ///< in which it grows back linearly; [1 ms, 24 h]
  } pushback = {};

  /// Permits come from there and not from a count of its own; see quota.hpp. Must outlive the limiter. Fixed
  /// for life.
  quota_source* quota = nullptr;

  rejection_detail rejections = rejection_detail::full;

  /// Told when the rate changes by itself. Must outlive the limiter.
  listener* events = nullptr;

  std::uint32_t depth() const noexcept {
    return burst == 0 || algorithm != rate_algorithm::gcra ? permits : burst;
  }
  bool slows() const noexcept { return pushback.slow_to < 1.0; }
  bool warms_up() const noexcept { return warm_up.length > duration::zero(); }
  /// The smallest share of the rate that it may be lowered to.
  double smallest_share() const noexcept {
    const double warm = warms_up() ? warm_up.initial_share : 1.0;
    return slows() ? std::min(warm, pushback.least_share) : warm;
  }
};

/// A rate limiter as an observer sees it.
struct rate_limiter_snapshot {
  std::string name = {};
  double rate_per_second = 0;  ///< in force, lowered or not; of a shared quota: as configured
  double share = 1.0;          ///< of the configured rate; below 1 while warming up or after pushback
  std::uint64_t available =
      0;  ///< permits that would be granted now, those in leases left out; of a quota: not known, 0
  std::uint64_t leased = 0;     ///< permits that stripes hold in advance
  duration next_in = {};        ///< until a permit would be granted
  std::size_t waiting = 0;      ///< reservations whose holders have not acted yet
  std::uint64_t pushbacks = 0;  ///< heeded, in its life
};

}  // namespace seawall

#endif  // SEAWALL_CORE_RATE_OPTIONS_HPP
