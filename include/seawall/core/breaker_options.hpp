// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BREAKER_OPTIONS_HPP
#define SEAWALL_CORE_BREAKER_OPTIONS_HPP

// What a circuit breaker can be told, and what it tells about itself.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "seawall/core/striped_window.hpp"
#include "seawall/event.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// What a breaker has counted, for a trip rule of one's own.
struct breaker_counts {
  core::window_counts over_time = {};   ///< in the time window
  core::window_counts last_calls = {};  ///< among the last calls; zero if `last_calls` is off
  std::uint32_t consecutive_failures = 0;
};

/// Options of a circuit breaker. A limit is met by equality. Whichever rule is met first trips.
struct circuit_breaker_options {
  /// For messages, events and metrics.
  std::string name = {};

  /// Failure rate over a sliding window of time, in buckets aligned to multiples of their width.
  struct time_window {
    double failure_rate = 0.5;                   ///< [1e-6, 1], or 0: this rule never trips
    duration length = std::chrono::seconds(10);  ///< at least 1 us a bucket
    std::uint32_t buckets = 10;                  ///< [1, 255]; fixed for the life of the breaker
    std::uint32_t minimum_calls = 20;            ///< at least 1: fewer calls in the window are not judged
  } over_time = {};

  /// Failure rate over the last N calls.
  struct last_calls_window {
    std::uint32_t calls = 0;          ///< N, at most 1'000'000; 0: off
    double failure_rate = 0.5;        ///< [1e-6, 1], or 0: this rule never trips
    std::uint32_t minimum_calls = 0;  ///< at most `calls`; 0: all of them
  } last_calls = {};

  /// Share of slow calls, over the windows above and with their minimum of calls.
  struct slow_calls {
    duration limit = duration::zero();  ///< a call is slow if it takes this long or longer; 0: off
    double rate = 1.0;                  ///< [1e-6, 1]
  } slow = {};

  /// N failures within a period, however many calls succeed.
  struct burst {
    std::uint32_t failures = 0;          ///< at most 100'000; 0: off
    duration within = duration::zero();  ///< positive if `failures` is not 0
  } failures_in_period = {};

  std::uint32_t consecutive_failures = 0;  ///< trips at so many in a row; 0: off

  /// A rule of one's own, asked after each failure or slow call, with the breaker's mutex held: it must
  /// neither call back nor throw.
  std::function<bool(const breaker_counts&)> trip_when = nullptr;

  /// How long it stays open: positive. Multiplied by `open_growth` (at least 1) for each trip since it last
  /// closed, then varied by up to +-`open_jitter` of itself ([0, 1]), never beyond `open_for_max` (0: the
  /// longer of open_for and 1 min). A dependency that asks for a longer pause gets it, up to the same
  /// maximum.
  duration open_for = std::chrono::seconds(10);
  double open_growth = 1.0;
  double open_jitter = 0.0;
  duration open_for_max = duration::zero();

  /// What an excess caller gets while the probes are under way.
  enum class excess : std::uint8_t { rejected, waits };

  /// Closes at `successes` of `of` finished probes; reopens as soon as that cannot be reached any more.
  struct half_open_rules {
    std::uint32_t max_probes = 1;               ///< at once; [1, 10'000]
    std::uint32_t successes = 1;                ///< [1, of]
    std::uint32_t of = 1;                       ///< [1, 1'000'000]
    duration lease = std::chrono::seconds(60);  ///< a probe silent for this long gives up its place; positive
    excess excess_calls = excess::rejected;
    std::uint32_t max_waiting = 64;  ///< callers that wait at most, the others are rejected
  } half_open = {};

  /// After closing, admits a share of the calls that grows linearly from `initial_share` to 1.
  struct ramp {
    duration length = duration::zero();  ///< 0: off
    double initial_share = 0.1;          ///< [0, 1]
  } recovery = {};

  rejection_detail rejections = rejection_detail::full;

  /// Told of every transition. Must outlive the breaker.
  listener* events = nullptr;
};

enum class breaker_state : std::uint8_t {
  closed,
  open,
  half_open,
  isolated,      ///< by hand: rejects until reset
  disabled,      ///< by hand: admits all, learns nothing
  metrics_only,  ///< by hand: admits all, counts, never trips
};

constexpr std::string_view to_string(breaker_state s) noexcept {
  switch (s) {
    case breaker_state::closed: return "closed";
    case breaker_state::open: return "open";
    case breaker_state::half_open: return "half_open";
    case breaker_state::isolated: return "isolated";
    case breaker_state::disabled: return "disabled";
    case breaker_state::metrics_only: return "metrics_only";
  }
  return "?";
}

/// A breaker as an observer sees it. The state is the one in force at the instant asked for, traffic or not.
struct breaker_snapshot {
  std::string name = {};
  breaker_state state = breaker_state::closed;
  duration time_left = {};      ///< until an open breaker lets probes through
  double admitted_share = 1.0;  ///< below 1 during the recovery ramp
  breaker_counts counts = {};   ///< of the present period
  std::string_view last_trip =
      {};  ///< why it tripped last: "failure rate", "probe failed"; empty if it never did
  breaker_counts at_last_trip = {};  ///< what had been counted then
  std::uint32_t trips = 0;           ///< since it last closed
  std::uint32_t probes = 0;          ///< under way
  std::uint32_t probes_succeeded = 0;
  std::uint32_t probes_failed = 0;
  std::size_t waiting = 0;        ///< callers that wait for the verdict of the probes
  std::uint64_t transitions = 0;  ///< in its life
};

/// What survives a restart of the process: not the windows, which would be stale.
struct breaker_memento {
  breaker_state state = breaker_state::closed;
  duration time_left = {};
  std::uint32_t trips = 0;

  friend bool operator==(const breaker_memento&, const breaker_memento&) = default;
};

}  // namespace seawall

#endif  // SEAWALL_CORE_BREAKER_OPTIONS_HPP
