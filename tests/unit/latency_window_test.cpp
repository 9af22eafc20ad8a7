// SPDX-License-Identifier: Apache-2.0
// Against a sorted list: tests/property/striped_histogram.cpp.
#include "seawall/latency_window.hpp"

#include <chrono>
#include <optional>

#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::latency_window;

constexpr instant at(duration d) { return instant() + d; }

bool about(std::optional<duration> got, duration wanted) {
  return got && std::abs(got->ns() - wanted.ns()) * 32 <= wanted.ns();
}

TEST_CASE("latency_window: an empty one has no quantile, and a snapshot of zeros") {
  const latency_window w({.name = "w"});
  CHECK_FALSE(w.quantile(0.5, instant()));
  CHECK(w.count(instant()) == 0);
  CHECK(w.snapshot(instant()).p999 == duration());
  CHECK(w.snapshot(instant()).name == "w");
}

TEST_CASE("latency_window: the quantile is the smallest duration that so many do not exceed") {
  latency_window w;
  for (int ms = 1; ms <= 100; ++ms) w.record(ms * 1ms, instant());
  CHECK(about(w.quantile(0, instant()), 1ms));
  CHECK(about(w.quantile(0.5, instant()), 50ms));
  CHECK(about(w.quantile(0.95, instant()), 95ms));
  CHECK(about(w.quantile(1, instant()), 100ms));
  const auto s = w.snapshot(instant());
  CHECK(s.count == 100);
  CHECK(about(s.p50, 50ms));
  CHECK(about(s.p90, 90ms));
  CHECK(about(s.p99, 99ms));
}

TEST_CASE("latency_window: what lies beyond the range is counted at its ends") {
  latency_window w({.shortest = 1ms, .longest = 1s});
  w.record(duration::from_ns(-1), instant());
  w.record(1ns, instant());
  w.record(1h, instant());
  CHECK(w.count(instant()) == 3);
  CHECK(*w.quantile(0.5, instant()) < duration(1ms));
  CHECK(*w.quantile(1, instant()) > duration(1s));
  CHECK(*w.quantile(1, instant()) < duration(1100ms));
}

TEST_CASE(
    "latency_window: a slice falls out of the window as a whole, when as many as there are have begun after it") {
  latency_window w({.window = 1s, .slices = 10});
  w.record(1ms, at(5ms));
  w.record(1ms, at(99ms));
  w.record(1ms, at(100ms));
  CHECK(w.count(at(999ms)) == 3);
  CHECK(w.count(at(1000ms)) == 1);
  CHECK(w.count(at(1100ms)) == 0);
}

TEST_CASE("latency_window: time that runs backwards does not bring back what has fallen out") {
  latency_window w({.window = 1s, .slices = 10});
  w.record(1ms, at(5ms));
  CHECK(w.count(at(2s)) == 0);
  CHECK(w.count(at(5ms)) == 0);
  w.record(1ms, at(5ms));
  CHECK(w.count(at(2900ms)) == 1);
}

TEST_CASE("latency_window: after a pause of any length nothing old is left") {
  latency_window w;
  w.record(1ms, instant::from_ns(seawall::detail::int64_min + 1));
  w.record(2ms, instant::from_ns(seawall::detail::int64_max - 1));
  CHECK(w.count(instant::from_ns(seawall::detail::int64_max - 1)) == 1);
}

TEST_CASE("latency_window: reconfigured, it keeps what it has, for as many slices as before") {
  latency_window w({.window = 1s, .slices = 10});
  w.record(1ms, at(50ms));
  w.record(1ms, at(150ms));
  REQUIRE_FALSE(w.reconfigure({.window = 10s, .slices = 10}));
  CHECK(w.count(at(150ms)) == 2);
  CHECK(w.count(at(8999ms)) == 2);
  CHECK(w.count(at(9s)) == 1);  // nine slices after that of the second one
  CHECK(w.count(at(10s)) == 0);
}

}  // namespace
