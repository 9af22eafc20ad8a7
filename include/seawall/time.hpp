// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TIME_HPP
#define SEAWALL_TIME_HPP

// Lengths of time, points in time, clocks. Arithmetic saturates instead of overflowing, so that "never" and
// "for ever" are ordinary values and a hostile retry-after cannot wrap into the past. Wall-clock time is
// deliberately absent.

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

namespace seawall {

namespace detail {

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t int64_min = std::numeric_limits<std::int64_t>::min();

constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) [[likely]]
    return sum;
  return b > 0 ? int64_max : int64_min;
}

constexpr std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) [[likely]]
    return difference;
  return b < 0 ? int64_max : int64_min;
}

constexpr std::int64_t saturating_multiply(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t product = 0;
  if (!__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? int64_max : int64_min;
}

// Rounds towards zero. NaN becomes zero: no comparison with it is true, so a validation "at least" refuses
// it.
constexpr std::int64_t saturating_from_double(double value) noexcept {
  if (value >= 9223372036854775808.0) return int64_max;
  if (value <= -9223372036854775808.0) return int64_min;
  return value == value ? static_cast<std::int64_t>(value) : 0;
}

template <class Rep, class Period>
constexpr std::int64_t nanoseconds_of(const std::chrono::duration<Rep, Period>& d) noexcept {
  using scale = std::ratio_divide<Period, std::nano>;
  if constexpr (std::is_floating_point_v<Rep>) {
    const double factor = static_cast<double>(scale::num) / static_cast<double>(scale::den);
    return saturating_from_double(static_cast<double>(d.count()) * factor);
  } else {
    if constexpr (std::is_unsigned_v<Rep> && sizeof(Rep) >= sizeof(std::int64_t)) {
      if (d.count() > static_cast<Rep>(int64_max)) return int64_max / scale::den;
    }
    return saturating_multiply(static_cast<std::int64_t>(d.count()), scale::num) / scale::den;
  }
}

}  // namespace detail

/// A type such as `absl::Duration`: its nanoseconds are found by argument-dependent look-up, without its
/// header.
template <class T>
concept foreign_duration = requires(const T& d) {
  { ToInt64Nanoseconds(d) } -> std::convertible_to<std::int64_t>;
};

/// A length of time in nanoseconds, signed, saturating at about +-292 years.
///
/// Converts implicitly from every `std::chrono::duration` (rounded towards zero) and from `absl::Duration`.
/// Cost: one 64-bit integer.
class duration {
 public:
  constexpr duration() = default;

  template <class Rep, class Period>
  constexpr duration(const std::chrono::duration<Rep, Period>& d) noexcept : ns_(detail::nanoseconds_of(d)) {}

  template <foreign_duration D>
  duration(const D& d) noexcept : ns_(ToInt64Nanoseconds(d)) {}

  static constexpr duration from_ns(std::int64_t ns) noexcept {
    duration d;
    d.ns_ = ns;
    return d;
  }
  static constexpr duration zero() noexcept { return {}; }
  static constexpr duration infinite() noexcept { return from_ns(detail::int64_max); }

  constexpr std::int64_t ns() const noexcept { return ns_; }
  constexpr double seconds() const noexcept { return static_cast<double>(ns_) * 1e-9; }
  constexpr std::chrono::nanoseconds to_chrono() const noexcept { return std::chrono::nanoseconds(ns_); }

  friend constexpr auto operator<=>(duration, duration) = default;
  friend constexpr duration operator+(duration a, duration b) noexcept {
    return from_ns(detail::saturating_add(a.ns_, b.ns_));
  }
  friend constexpr duration operator-(duration a, duration b) noexcept {
    return from_ns(detail::saturating_subtract(a.ns_, b.ns_));
  }
  friend constexpr duration operator*(duration a, std::int64_t factor) noexcept {
    return from_ns(detail::saturating_multiply(a.ns_, factor));
  }
  /// The divisor must not be zero.
  friend constexpr duration operator/(duration a, std::int64_t divisor) noexcept {
    return divisor == -1 ? from_ns(detail::saturating_subtract(0, a.ns_)) : from_ns(a.ns_ / divisor);
  }
  constexpr duration& operator+=(duration other) noexcept { return *this = *this + other; }
  constexpr duration& operator-=(duration other) noexcept { return *this = *this - other; }

 private:
  std::int64_t ns_ = 0;
};

/// A point on a monotonic clock, in nanoseconds since an epoch of that clock's own. Saturating; `never()` is
/// the last.
class instant {
 public:
  constexpr instant() = default;

  static constexpr instant from_ns(std::int64_t ns) noexcept {
    instant i;
    i.ns_ = ns;
    return i;
  }
  static constexpr instant never() noexcept { return from_ns(detail::int64_max); }

  constexpr std::int64_t ns() const noexcept { return ns_; }

  /// The same point for `std::condition_variable::wait_until` and its like, if the instant is one of
  /// `steady_clock`.
  constexpr std::chrono::steady_clock::time_point to_chrono() const noexcept {
    return std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::nanoseconds(ns_)));
  }
  static constexpr instant from_chrono(std::chrono::steady_clock::time_point t) noexcept {
    return from_ns(detail::nanoseconds_of(t.time_since_epoch()));
  }

  friend constexpr auto operator<=>(instant, instant) = default;
  /// `never()` plus or minus anything is `never()`.
  friend constexpr instant operator+(instant i, duration d) noexcept {
    return i == never() ? i : from_ns(detail::saturating_add(i.ns_, d.ns()));
  }
  friend constexpr instant operator-(instant i, duration d) noexcept {
    return i == never() ? i : from_ns(detail::saturating_subtract(i.ns_, d.ns()));
  }
  /// The distance; `infinite()` from any instant to `never()`.
  friend constexpr duration operator-(instant a, instant b) noexcept {
    if (a == never() && b != never()) return duration::infinite();
    return duration::from_ns(detail::saturating_subtract(a.ns_, b.ns_));
  }

 private:
  std::int64_t ns_ = 0;
};

/// Something that tells the time: a stateless type such as `steady_clock` or an object such as a virtual
/// clock.
template <class C>
concept clock = requires(C& c) {
  { c.now() } -> std::same_as<instant>;
};

/// The system's monotonic clock at full resolution.
///
/// Cost: one `clock_gettime(CLOCK_MONOTONIC)` without a system call; docs/performance.md compares it with a
/// coarse clock and with the processor's counter, and says why neither is shipped.
struct steady_clock {
  static instant now() noexcept { return instant::from_chrono(std::chrono::steady_clock::now()); }
};

}  // namespace seawall

#endif  // SEAWALL_TIME_HPP
