// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BACKOFF_HPP
#define SEAWALL_CORE_BACKOFF_HPP

// How long to wait between attempts. The delay before jitter depends on the number of the attempt alone, so
// that nothing accumulates and nothing overflows.

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall {

enum class backoff_shape : std::uint8_t {
  constant,     ///< initial
  linear,       ///< initial * n
  exponential,  ///< initial * multiplier^(n-1)
  listed,       ///< the n-th of `delays`, the last one for ever
  custom,       ///< `function(n)`
};

/// With d the delay of the shape, already capped by `max`, and U uniform:
enum class jitter : std::uint8_t {
  none,   ///< d
  full,   ///< U(0, d): Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015
  equal,  ///< d/2 + U(0, d/2): ibid.
  decorrelated,  ///< U(initial, min(max, 3 * previous delay)): ibid., but capped before the draw, so that delays don't
                 ///< bunch at the cap; the shape is not used
  proportional,   ///< U(d * (1 - share), min(max, d * (1 + share)))
  linear_window,  ///< U(0, min(max, initial * n)): the shape is not used
};

/// Delays between attempts; n counts the failed attempts so far, from 1. No delay exceeds `max`.
struct backoff_options {
  backoff_shape shape = backoff_shape::exponential;
  duration initial = std::chrono::milliseconds(100);  ///< not negative, at most `max`
  duration max = std::chrono::seconds(10);            ///< not negative
  double multiplier = 2.0;                            ///< [1, 1000], for `exponential`
  seawall::jitter jitter = seawall::jitter::full;
  double share = 0.2;                 ///< [0, 1], for `proportional`
  std::vector<duration> delays = {};  ///< for `listed`: 1 to 10'000, none negative
  std::function<duration(std::uint32_t n)> function =
      nullptr;  ///< for `custom`; a negative answer counts as zero
};

namespace core {

/// One call's way through the schedule. Thread safety: none. Cost: 8 bytes; a draw only where there is
/// jitter.
class backoff_schedule {
 public:
  /// The delay after failed attempt `n`; `random()` returns a random_source&.
  template <class Random>
  duration next(const backoff_options& o, std::uint32_t n, Random&& random) {
    const duration delay = draw(o, n, random);
    previous_ = delay;
    return delay;
  }

  /// The delay of the shape before jitter.
  static duration nominal(const backoff_options& o, std::uint32_t n) {
    switch (o.shape) {
      case backoff_shape::constant: return capped(o, o.initial);
      case backoff_shape::linear: return capped(o, o.initial * n);
      case backoff_shape::exponential: return exponential(o, n);
      case backoff_shape::listed:
        return capped(o, o.delays[n <= o.delays.size() ? n - 1 : o.delays.size() - 1]);
      case backoff_shape::custom: return capped(o, o.function(n));
    }
    return duration::zero();
  }

 private:
  template <class Random>
  duration draw(const backoff_options& o, std::uint32_t n, Random&& random) const {
    switch (o.jitter) {
      case jitter::none: return nominal(o, n);
      case jitter::full: return between(duration::zero(), nominal(o, n), random());
      case jitter::equal: {
        const duration d = nominal(o, n);
        return between(d - d / 2, d, random());
      }
      case jitter::decorrelated: {
        const duration first = capped(o, o.initial);
        return between(first, capped(o, (previous_ > first ? previous_ : first) * 3), random());
      }
      case jitter::proportional: {
        const duration d = nominal(o, n);
        const duration spread = capped_at(d, scaled(d, o.share));  // rounding may exceed d
        return between(d - spread, capped(o, d + spread), random());
      }
      case jitter::linear_window: return between(duration::zero(), capped(o, o.initial * n), random());
    }
    return duration::zero();
  }

  static duration exponential(const backoff_options& o, std::uint32_t n) {
    const double ns =
        static_cast<double>(o.initial.ns()) * std::pow(o.multiplier, static_cast<double>(n - 1));
    // Not a number: zero times infinity.
    if (!(ns < static_cast<double>(o.max.ns())))
      return o.initial == duration::zero() ? duration::zero() : o.max;
    return duration::from_ns(static_cast<std::int64_t>(ns));
  }

  static duration scaled(duration d, double factor) {
    return duration::from_ns(seawall::detail::saturating_from_double(static_cast<double>(d.ns()) * factor));
  }
  static duration capped_at(duration cap, duration d) { return d < cap ? d : cap; }
  static duration capped(const backoff_options& o, duration d) {
    if (d > o.max) return o.max;
    return d < duration::zero() ? duration::zero() : d;
  }
  static duration between(duration least, duration most, random_source& random) {
    if (most <= least) return most;
    const auto width = static_cast<std::uint64_t>((most - least).ns());
    return least + duration::from_ns(static_cast<std::int64_t>(random.up_to(width)));
  }

  duration previous_;
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_BACKOFF_HPP
