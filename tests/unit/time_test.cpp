// SPDX-License-Identifier: Apache-2.0
#include "seawall/time.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#include "absl/time/time.h"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t min = std::numeric_limits<std::int64_t>::min();

constexpr duration ns(std::int64_t n) { return duration::from_ns(n); }
constexpr instant at(std::int64_t n) { return instant::from_ns(n); }

template <class Rep, class Period>
constexpr std::int64_t converted(Rep count) {
  return duration(std::chrono::duration<Rep, Period>(count)).ns();
}

}  // namespace

// What follows is checked while compiling: the arithmetic is constexpr, and undefined behaviour would not compile.

TEST_CASE("duration: converts from every unit of chrono") {
  static_assert(duration(7ns).ns() == 7);
  static_assert(duration(7us).ns() == 7'000);
  static_assert(duration(7ms).ns() == 7'000'000);
  static_assert(duration(7s).ns() == 7'000'000'000);
  static_assert(duration(7min).ns() == 420'000'000'000);
  static_assert(duration(7h).ns() == 25'200'000'000'000);
  static_assert(duration(std::chrono::days(7)).ns() == 604'800'000'000'000);
  static_assert(duration(-7s).ns() == -7'000'000'000);
  static_assert(converted<int, std::ratio<1, 3>>(3) == 1'000'000'000);
  static_assert(converted<int, std::ratio<1001, 30'000>>(30'000) == 1'001'000'000'000);
}

TEST_CASE("duration: what is finer than a nanosecond is rounded towards zero") {
  static_assert(converted<std::int64_t, std::pico>(1999) == 1);
  static_assert(converted<std::int64_t, std::pico>(-1999) == -1);
  static_assert(converted<double, std::nano>(1.9) == 1);
  static_assert(converted<double, std::nano>(-1.9) == -1);
}

TEST_CASE("duration: converts from floating-point units") {
  static_assert(duration(1.5s).ns() == 1'500'000'000);
  static_assert(duration(0.25h).ns() == 900'000'000'000);
  static_assert(converted<float, std::milli>(0.5F) == 500'000);
  static_assert(converted<long double, std::ratio<1>>(2.0L) == 2'000'000'000);
  static_assert(duration(std::chrono::duration<double>(1e-9)).ns() == 1);
}

TEST_CASE("duration: a conversion that does not fit saturates instead of wrapping") {
  static_assert(duration(std::chrono::hours::max()) == duration::infinite());
  static_assert(duration(std::chrono::hours::min()).ns() == min);
  static_assert(duration(std::chrono::seconds(9'223'372'036)).ns() == 9'223'372'036'000'000'000);
  static_assert(duration(std::chrono::seconds(9'223'372'037)) == duration::infinite());
  static_assert(duration(std::chrono::seconds(-9'223'372'037)).ns() == min);
  static_assert(duration(std::chrono::years(300)) == duration::infinite());
  // An overflow to infinity on the way is no constant expression.
  CHECK(converted<double, std::ratio<1>>(1e300) == max);
  CHECK(converted<double, std::ratio<1>>(-1e300) == min);
  static_assert(converted<double, std::ratio<1>>(std::numeric_limits<double>::infinity()) == max);
  static_assert(converted<double, std::ratio<1>>(-std::numeric_limits<double>::infinity()) == min);
  static_assert(converted<double, std::nano>(9223372036854775808.0) == max);
  static_assert(converted<double, std::nano>(-9223372036854775808.0) == min);
}

TEST_CASE("duration: not a number becomes zero, which no option accepts as a positive one") {
  CHECK(converted<double, std::ratio<1>>(std::numeric_limits<double>::quiet_NaN()) == 0);
}

TEST_CASE("duration: unsigned counts are not taken for negative ones") {
  static_assert(converted<std::uint64_t, std::nano>(std::numeric_limits<std::uint64_t>::max()) == max);
  static_assert(converted<std::uint64_t, std::ratio<1>>(std::numeric_limits<std::uint64_t>::max()) == max);
  static_assert(converted<std::uint64_t, std::nano>(std::uint64_t{1} << 63) == max);
  static_assert(converted<std::uint64_t, std::nano>(max) == max);
  static_assert(converted<std::uint32_t, std::milli>(4'000'000'000U) == 4'000'000'000'000'000);
  static_assert(converted<std::uint8_t, std::ratio<1>>(255) == 255'000'000'000);
}

TEST_CASE("duration: takes Abseil's durations, the infinite ones as well") {
  const duration two = absl::Seconds(2);
  CHECK(two == duration(2s));
  CHECK(duration(absl::Nanoseconds(-3)) == ns(-3));
  CHECK(duration(absl::InfiniteDuration()) == duration::infinite());
  CHECK(duration(-absl::InfiniteDuration()).ns() == min);
  CHECK(duration(absl::Hours(24 * 365 * 300)) == duration::infinite());
}

TEST_CASE("duration: takes nothing that is not a length of time") {
  static_assert(!std::is_convertible_v<int, duration>);
  static_assert(!std::is_convertible_v<double, duration>);
  static_assert(!std::is_convertible_v<instant, duration>);
  static_assert(std::is_convertible_v<std::chrono::milliseconds, duration>);
  static_assert(std::is_convertible_v<absl::Duration, duration>);
}

TEST_CASE("duration: sums and differences saturate at both ends") {
  static_assert(ns(2) + ns(3) == ns(5));
  static_assert(ns(max) + ns(1) == ns(max));
  static_assert(ns(min) + ns(-1) == ns(min));
  static_assert(ns(max) + ns(min) == ns(-1));
  static_assert(ns(2) - ns(3) == ns(-1));
  static_assert(ns(min) - ns(1) == ns(min));
  static_assert(ns(max) - ns(-1) == ns(max));
  static_assert(ns(0) - ns(min) == ns(max));
  static_assert(ns(-1) - ns(min) == ns(max));
}

TEST_CASE("duration: products saturate with the right sign") {
  static_assert(ns(2) * 3 == ns(6));
  static_assert(ns(max) * 2 == ns(max));
  static_assert(ns(max) * -2 == ns(min));
  static_assert(ns(min) * 2 == ns(min));
  static_assert(ns(min) * -1 == ns(max));
  static_assert(ns(max) * 0 == ns(0));
}

TEST_CASE("duration: the one quotient that overflows saturates") {
  static_assert(ns(7) / 2 == ns(3));
  static_assert(ns(-7) / 2 == ns(-3));
  static_assert(ns(min) / -1 == ns(max));
  static_assert(ns(5) / -1 == ns(-5));
}

TEST_CASE("duration: compound assignment is the sum and the difference") {
  duration d = 1s;
  d += 2s;
  CHECK(d == duration(3s));
  d -= 4s;
  CHECK(d == duration(-1s));
}

TEST_CASE("duration: is ordered, and leads back to chrono") {
  static_assert(duration(1s) < duration(1001ms));
  static_assert(duration::infinite() > duration(24h * 365));
  static_assert(duration(1500ms).to_chrono() == 1500ms);
  static_assert(duration(1500ms).seconds() == 1.5);
  static_assert(duration::zero() == duration());
}

TEST_CASE("instant: moves by durations and saturates") {
  static_assert(at(5) + ns(3) == at(8));
  static_assert(at(5) - ns(3) == at(2));
  static_assert(at(5) + duration::infinite() == instant::never());
  static_assert(at(-5) - ns(max) == at(min));
  static_assert(at(min) - ns(1) == at(min));
}

TEST_CASE("instant: never plus or minus anything is never") {
  static_assert(instant::never() + ns(1) == instant::never());
  static_assert(instant::never() + ns(-1) == instant::never());
  static_assert(instant::never() - ns(1) == instant::never());
  static_assert(instant::never() - duration::infinite() == instant::never());
  static_assert(instant::never() + ns(min) == instant::never());
}

TEST_CASE("instant: the distance to never is infinite, however far one is already") {
  static_assert(instant::never() - at(0) == duration::infinite());
  static_assert(instant::never() - at(1'000'000'000'000'000'000) == duration::infinite());
  static_assert(instant::never() - instant::never() == duration::zero());
}

TEST_CASE("instant: a distance that does not fit saturates") {
  static_assert(at(8) - at(5) == ns(3));
  static_assert(at(5) - at(8) == ns(-3));
  static_assert(at(max - 1) - at(min) == ns(max));
  static_assert(at(min) - at(max - 1) == ns(min));
}

TEST_CASE("instant: is ordered, and never is last") {
  static_assert(at(1) < at(2));
  static_assert(at(max - 1) < instant::never());
  static_assert(instant() == at(0));
}

TEST_CASE("instant: leads to chrono's steady clock and back") {
  const auto now = std::chrono::steady_clock::now();
  CHECK(instant::from_chrono(now).to_chrono() == now);
  CHECK(instant::never().to_chrono() == std::chrono::steady_clock::time_point::max());
}

TEST_CASE("steady_clock: is a clock, and does not go back") {
  static_assert(seawall::clock<steady_clock>);
  instant last = steady_clock::now();
  for (int i = 0; i < 1000; ++i) {
    const instant now = steady_clock::now();
    REQUIRE(now >= last);
    last = now;
  }
}
