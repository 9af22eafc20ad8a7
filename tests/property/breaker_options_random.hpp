// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BREAKER_OPTIONS_RANDOM_HPP
#define SEAWALL_TESTS_PROPERTY_BREAKER_OPTIONS_RANDOM_HPP

// Random valid options of a breaker, on a small grid so that equality happens.

#include <cstdint>

#include "property/support.hpp"
#include "seawall/core/breaker_options.hpp"

namespace property {

/// Bits: which rules may trip.
enum rules : unsigned {
  consecutive_rule = 1,
  time_rule = 2,
  last_rule = 4,
  slow_rule = 8,
  burst_rule = 16,
  user_rule = 32,
  all_rules = 63,
};

/// What a sequence is about.
struct breaker_theme {
  unsigned rules = all_rules;  // each is switched on half of the time, at least one
  bool exactly_one_rule = false;
  bool ramp = false;
  bool jitter = false;
  bool waiting = false;
  unsigned controls_percent = 2;
  unsigned reconfigure_percent = 0;
};

inline double random_rate(dice& d) {
  return d.pick({0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0, 1.0 / 3, 2.0 / 3, 1.0 / 6, 5.0 / 6, 1.0 / 7});
}

/// Trips at one of five residues: it notices any count that is wrong.
inline bool picky_rule(const seawall::breaker_counts& c) {
  return (c.over_time.calls * 7 + c.over_time.bad * 13 + c.over_time.slow * 3 + c.last_calls.calls * 11 +
          c.last_calls.bad * 17 + c.last_calls.slow * 19 + c.consecutive_failures * 23) %
             5 ==
         2;
}

inline unsigned choose_rules(dice& d, const breaker_theme& theme) {
  if (!theme.exactly_one_rule) {
    for (;;) {
      if (const unsigned chosen = static_cast<unsigned>(d.next()) & theme.rules; chosen != 0) return chosen;
    }
  }
  for (;;) {
    if (const unsigned chosen = 1U << d.below(6); (chosen & theme.rules) != 0) return chosen;
  }
}

inline void choose_windows(dice& d, seawall::circuit_breaker_options& o, unsigned chosen) {
  o.over_time.buckets = d.pick({1U, 2U, 3U, 4U, 10U});
  // Now and then not a multiple: the buckets' width is rounded down.
  o.over_time.length =
      units(d, 1, 4) * o.over_time.buckets + duration::from_ns(d.chance(20) ? d.between(0, 999) : 0);
  o.over_time.minimum_calls = d.between(1U, 8U);
  o.over_time.failure_rate = (chosen & time_rule) != 0 ? random_rate(d) : 0.0;
  if ((chosen & last_rule) != 0 || ((chosen & slow_rule) != 0 && d.chance(50))) {
    o.last_calls.calls = d.between(1U, 10U);
    o.last_calls.minimum_calls = d.between(0U, o.last_calls.calls);
    o.last_calls.failure_rate = (chosen & last_rule) != 0 ? random_rate(d) : 0.0;
  }
  if ((chosen & slow_rule) != 0) o.slow = {.limit = units(d, 1, 5), .rate = random_rate(d)};
  if ((chosen & burst_rule) != 0)
    o.failures_in_period = {.failures = d.between(1U, 5U), .within = units(d, 1, 10)};
  if ((chosen & consecutive_rule) != 0) o.consecutive_failures = d.between(1U, 4U);
  if ((chosen & user_rule) != 0) o.trip_when = picky_rule;
}

inline seawall::circuit_breaker_options random_options(dice& d, const breaker_theme& theme) {
  seawall::circuit_breaker_options o;
  choose_windows(d, o, choose_rules(d, theme));
  o.open_for = units(d, 1, 8);
  o.open_growth = d.pick({1.0, 1.5, 2.0, 3.0});
  o.open_jitter = theme.jitter ? d.pick({0.1, 0.5, 1.0}) : 0.0;
  o.open_for_max = d.chance(70) ? o.open_for + units(d, 0, 20) : duration::zero();
  auto& probes = o.half_open;
  probes.max_probes = d.between(1U, 4U);
  probes.of = d.between(1U, 5U);
  probes.successes = d.between(1U, probes.of);
  probes.lease = d.chance(75) ? units(d, 1, 6) : duration::infinite();
  if (theme.waiting) {
    probes.excess_calls = seawall::circuit_breaker_options::excess::waits;
    probes.max_waiting = d.between(0U, 3U);
  }
  if (theme.ramp) o.recovery = {.length = units(d, 1, 10), .initial_share = d.pick({0.0, 0.1, 0.5, 1.0})};
  return o;
}

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BREAKER_OPTIONS_RANDOM_HPP
