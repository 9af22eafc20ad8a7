// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BREAKER_RULES_HPP
#define SEAWALL_CORE_BREAKER_RULES_HPP

// What a circuit breaker's options mean, as functions of what has been counted: when to trip, for how long,
// how much to admit while recovering. Nothing here has state.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "seawall/core/breaker_options.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall::core {

/// The states of the machine: those that an observer sees, and `recovering`, which an observer sees as
/// closed.
enum class breaker_mode : std::uint8_t {
  closed,
  open,
  half_open,
  isolated,
  disabled,
  metrics_only,
  recovering
};

constexpr breaker_state public_state(breaker_mode m) noexcept {
  return m == breaker_mode::recovering ? breaker_state::closed : static_cast<breaker_state>(m);
}
constexpr breaker_mode mode_for(breaker_state s) noexcept { return static_cast<breaker_mode>(s); }
static_assert(public_state(breaker_mode::metrics_only) == breaker_state::metrics_only &&
              mode_for(breaker_state::open) == breaker_mode::open);

/// part / whole >= rate. The last bits of a fraction do not decide: 3 of 10 calls meet a rate of 0.3, 2 of 3
/// one of 2.0 / 3.
inline bool reaches(std::uint64_t part, std::uint64_t whole, double rate) noexcept {
  constexpr double rounding = 1e-12;
  return static_cast<double>(part) >= rate * static_cast<double>(whole) * (1.0 - rounding);
}

/// Why a window with enough calls trips, or nothing.
inline std::string_view judge(const window_counts& w, std::uint64_t minimum_calls, double failure_rate,
                              const circuit_breaker_options::slow_calls& slow) noexcept {
  if (w.calls < minimum_calls) return {};
  if (failure_rate > 0 && reaches(w.bad, w.calls, failure_rate)) return "failure rate";
  if (slow.limit > duration::zero() && reaches(w.slow, w.calls, slow.rate)) return "slow-call rate";
  return {};
}

/// Why a breaker with these counts trips after a failure or a slow call, or nothing. The rule about failures
/// in a period needs their times, and is the caller's.
inline std::string_view judge(const circuit_breaker_options& o, const breaker_counts& c) {
  if (o.consecutive_failures != 0 && c.consecutive_failures >= o.consecutive_failures)
    return "consecutive failures";
  if (o.last_calls.calls != 0) {
    const std::uint32_t minimum =
        o.last_calls.minimum_calls != 0 ? o.last_calls.minimum_calls : o.last_calls.calls;
    const auto why = judge(c.last_calls, minimum, o.last_calls.failure_rate, o.slow);
    if (!why.empty()) return why;
  }
  const auto why = judge(c.over_time, o.over_time.minimum_calls, o.over_time.failure_rate, o.slow);
  if (!why.empty()) return why;
  return o.trip_when && o.trip_when(c) ? "rule of the user" : std::string_view();
}

/// `open_for_max`, or its default.
inline duration open_time_cap(const circuit_breaker_options& o) noexcept {
  if (o.open_for_max > duration::zero()) return o.open_for_max;
  const duration minute = std::chrono::minutes(1);
  return o.open_for > minute ? o.open_for : minute;
}

/// How long the `trips`-th trip in a row lasts: grown, varied by `draw` in [0, 1), lengthened by pushback,
/// capped.
inline duration open_time(const circuit_breaker_options& o, std::uint32_t trips, const verdict& v,
                          double draw) noexcept {
  const duration cap = open_time_cap(o);
  const double cap_ns = static_cast<double>(cap.ns());
  double ns = static_cast<double>(o.open_for.ns());
  if (o.open_growth > 1.0) ns *= std::pow(o.open_growth, trips - 1.0);
  if (!(ns < cap_ns)) ns = cap_ns;
  if (o.open_jitter > 0.0) {
    // The range is cut at the cap before the draw: times must not bunch there.
    const double least = ns * (1.0 - o.open_jitter), most = std::min(ns * (1.0 + o.open_jitter), cap_ns);
    ns = least + draw * (most - least);
  }
  duration length = duration::from_ns(seawall::detail::saturating_from_double(ns));
  if (v.has_pushback() && v.retry_after > length) length = v.retry_after;
  if (length > cap) length = cap;
  return length > duration::zero() ? length : duration::from_ns(1);
}

/// The share of calls admitted when `passed` of the recovery ramp is over.
inline double admitted_share(const circuit_breaker_options::ramp& ramp, duration passed) noexcept {
  if (passed >= ramp.length) return 1.0;
  return ramp.initial_share + (1.0 - ramp.initial_share) * (passed.seconds() / ramp.length.seconds());
}

}  // namespace seawall::core

#endif  // SEAWALL_CORE_BREAKER_RULES_HPP
