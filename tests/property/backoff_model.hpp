// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BACKOFF_MODEL_HPP
#define SEAWALL_TESTS_PROPERTY_BACKOFF_MODEL_HPP

// Between which bounds a delay must lie, in arithmetic that neither rounds nor overflows where that is possible: whole
// multipliers are multiplied out in 128 bits, others in long double and with the room that its rounding needs.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "property/support.hpp"
#include "seawall/core/backoff.hpp"

namespace property {

__extension__ using int128 = __int128;

/// Both ends included, in nanoseconds.
struct delay_range {
  std::int64_t least = 0;
  std::int64_t most = 0;

  bool holds(duration d) const { return d.ns() >= least && d.ns() <= most; }
};

class backoff_model {
 public:
  explicit backoff_model(const seawall::backoff_options& o) : o_(o) {}

  /// After failed attempt n, from 1; `previous` is the delay before this one, zero if there was none.
  delay_range range(std::uint32_t n, duration previous) const {
    const delay_range d = nominal(n);
    const std::int64_t first = o_.initial.ns();
    switch (o_.jitter) {
      case seawall::jitter::none: return d;
      case seawall::jitter::full: return {0, d.most};
      case seawall::jitter::equal: return {d.least / 2, d.most};
      case seawall::jitter::decorrelated: return {first, capped(int128{std::max(first, previous.ns())} * 3)};
      case seawall::jitter::proportional: return proportional(d);
      case seawall::jitter::linear_window: return {0, capped(int128{first} * n)};
    }
    return {};
  }

  /// Of the shape, before jitter.
  delay_range nominal(std::uint32_t n) const {
    switch (o_.shape) {
      case seawall::backoff_shape::constant: return exactly(o_.initial.ns());
      case seawall::backoff_shape::linear: return exactly(int128{o_.initial.ns()} * n);
      case seawall::backoff_shape::exponential: return exponential(n);
      case seawall::backoff_shape::listed:
        return exactly(o_.delays[std::min<std::size_t>(n, o_.delays.size()) - 1].ns());
      case seawall::backoff_shape::custom: return exactly(o_.function(n).ns());
    }
    return {};
  }

 private:
  std::int64_t capped(int128 ns) const {
    return ns < 0 ? 0 : static_cast<std::int64_t>(std::min(ns, int128{o_.max.ns()}));
  }
  delay_range exactly(int128 ns) const { return {capped(ns), capped(ns)}; }

  delay_range exponential(std::uint32_t n) const {
    const auto whole = static_cast<std::int64_t>(o_.multiplier);
    if (static_cast<double>(whole) != o_.multiplier) return rounded_exponential(n);
    int128 ns = o_.initial.ns();
    for (std::uint32_t i = 1; i < n && ns != 0 && ns < o_.max.ns() && whole != 1; ++i) ns *= whole;
    return with_room(static_cast<long double>(capped(ns)));
  }
  delay_range rounded_exponential(std::uint32_t n) const {
    const long double factor = powl(static_cast<long double>(o_.multiplier), static_cast<long double>(n - 1));
    const auto max = static_cast<long double>(o_.max.ns());
    // Far beyond the maximum is as good as infinite, and can be calculated with.
    const long double ns = std::min(static_cast<long double>(o_.initial.ns()) * factor, max * 2);
    if (o_.initial == duration::zero()) return {0, 0};
    const long double room = 1 + ns * 0x1p-48L;
    const auto within = [&](long double t) { return capped(static_cast<int128>(std::clamp(t, 0.0L, max))); };
    return {within(ns - room), within(ns + room)};
  }
  /// Exact below 2^52; above, a double has no nanoseconds.
  delay_range with_room(long double ns) const {
    const long double room = ns < 0x1p52L ? 0 : ns * 0x1p-48L;
    return {static_cast<std::int64_t>(ns - room), capped(static_cast<int128>(ns + room))};
  }

  delay_range proportional(const delay_range& d) const {
    const auto share = static_cast<long double>(o_.share);
    const auto least = static_cast<long double>(d.least) * (1 - share);
    const auto most = static_cast<long double>(d.most) * (1 + share);
    const long double room = 1 + most * 0x1p-48L;
    return {static_cast<std::int64_t>(std::max(least - room, 0.0L)),
            capped(static_cast<int128>(most + room))};
  }

  const seawall::backoff_options& o_;
};

/// A source whose first draw is `wanted`: SplitMix64 is a bijection, here is its inverse. The ends of a wide range would
/// never be drawn otherwise.
inline seawall::random_source loaded_source(std::uint64_t wanted) {
  const auto unshift = [](std::uint64_t z, unsigned by) {
    std::uint64_t out = z;
    for (unsigned shift = by; shift < 64; shift += by) out = z ^ out >> by;
    return out;
  };
  const auto inverse = [](std::uint64_t odd) {
    std::uint64_t x = odd;
    for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
  };
  std::uint64_t z = unshift(wanted, 31) * inverse(0x94d049bb133111ebU);
  z = unshift(z, 27) * inverse(0xbf58476d1ce4e5b9U);
  return seawall::random_source(unshift(z, 30) - 0x9e3779b97f4a7c15U);
}

/// Any size from 0 to 2^63 - 1, small ones and powers of two as likely as large ones.
inline std::int64_t any_size(dice& d) {
  const std::uint64_t bits = d.below(64);
  const std::uint64_t top = bits == 63 ? UINT64_MAX >> 1U : std::uint64_t{1} << bits;
  switch (d.below(4)) {
    case 0: return static_cast<std::int64_t>(top);
    case 1: return static_cast<std::int64_t>(top - 1);
    default: return static_cast<std::int64_t>(d.next() % (top + (top == UINT64_MAX >> 1U ? 0 : 1)));
  }
}

inline seawall::backoff_options random_backoff(dice& d) {
  using seawall::backoff_shape;
  seawall::backoff_options o;
  o.shape = d.pick({backoff_shape::constant, backoff_shape::linear, backoff_shape::exponential,
                    backoff_shape::listed, backoff_shape::custom});
  o.max = duration::from_ns(any_size(d));
  o.initial = std::min(o.max, duration::from_ns(any_size(d)));
  o.multiplier = d.pick({1.0, 1.0, 1.5, 1.0001, 2.0, 2.0, 3.0, 10.0, 1000.0});
  o.jitter = static_cast<seawall::jitter>(d.below(6));
  o.share = d.pick({0.0, 0.1, 0.2, 0.5, 1.0});
  for (std::uint64_t i = d.between(1, 4); i != 0; --i) o.delays.push_back(duration::from_ns(any_size(d)));
  o.function = [base = any_size(d)](std::uint32_t n) { return duration::from_ns(base / n - 5); };
  return o;
}

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BACKOFF_MODEL_HPP
