// SPDX-License-Identifier: Apache-2.0
// The rate limiter under threads: what must hold in every interleaving. Time is virtual and goes on while they run.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/rate_limiter.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::rate_algorithm;
using seawall::rate_limiter;
using seawall::rate_limiter_options;

constexpr unsigned threads = 4;
constexpr instant begin = instant::from_ns(1'000'000);

/// All threads ask all the time; each step of a thread moves the clock. Returns how many permits were granted.
std::uint64_t granted_to_threads(rate_limiter& limiter, std::uint64_t steps,
                                 std::atomic<std::int64_t>& clock) {
  std::atomic<std::uint64_t> granted{0};
  starting_gun gun(threads);
  in_threads(threads, [&](unsigned thread) {
    dice d(seed() + thread);
    gun.wait();
    std::uint64_t mine = 0;
    for (std::uint64_t i = 0; i < steps; ++i) {
      const instant now = instant::from_ns(clock.fetch_add(d.between<std::int64_t>(0, 20)));
      const std::uint32_t n = d.chance(90) ? 1 : 3;
      if (auto p = limiter.try_acquire(now, n)) mine += n;
    }
    granted += mine;
  });
  return granted;
}

void check_total(rate_limiter_options o, std::uint64_t in_advance) {
  rate_limiter limiter(o);
  std::atomic<std::int64_t> clock{begin.ns()};
  const std::uint64_t granted = granted_to_threads(limiter, 50'000 / slowdown, clock);
  const auto passed = static_cast<std::uint64_t>(clock - begin.ns());
  const std::uint64_t earned = passed * o.permits / static_cast<std::uint64_t>(o.per.ns());
  CHECK(granted <= o.depth() + earned + in_advance);
  // They ask for far more than there is: nearly all of it is granted.
  CHECK(granted + in_advance + 3 >= earned * 7 / 8);
}

TEST_CASE("rate_limiter under threads: gcra grants what the burst and the time give, no more and no less") {
  check_total({.permits = 10, .per = std::chrono::microseconds(1), .burst = 30}, 0);
}

TEST_CASE("rate_limiter under threads: leases exceed it by what stripes hold in advance, and by no more") {
  const std::uint64_t in_advance = std::uint64_t{seawall::core::default_stripes()} * 7;
  check_total({.permits = 10, .per = std::chrono::microseconds(1), .burst = 30, .lease = 8}, in_advance);
}

TEST_CASE("rate_limiter under threads: windows and logs count everybody") {
  for (const auto a :
       {rate_algorithm::fixed_window, rate_algorithm::sliding_counter, rate_algorithm::sliding_log}) {
    CAPTURE(to_string(a));
    // A window that has just begun counts whole.
    check_total({.algorithm = a, .permits = 50, .per = std::chrono::microseconds(5)}, 50);
  }
}

// Reservations that are used, given back and passed on, while the rate changes: waiters keep their times and are counted.
TEST_CASE(
    "rate_limiter under threads: nobody is forgotten while reservations come back and the rate changes") {
  rate_limiter_options o{.permits = 10, .per = std::chrono::microseconds(1), .burst = 5};
  o.max_wait = std::chrono::microseconds(3);
  o.max_waiting = 16;
  o.pushback = {
      .pause_max = std::chrono::microseconds(1), .slow_to = 0.5, .recovery = std::chrono::milliseconds(1)};
  o.warm_up = {.length = std::chrono::milliseconds(2)};
  rate_limiter limiter(o);
  std::atomic<std::int64_t> clock{begin.ns()};
  std::atomic<unsigned> moved{0}, too_late{0};
  starting_gun gun(threads);
  in_threads(threads, [&](unsigned thread) {
    dice d(seed() + thread);
    std::vector<std::pair<rate_limiter::reservation, instant>> mine;
    gun.wait();
    for (std::uint64_t i = 0; i < 20'000 / slowdown; ++i) {
      const instant now = instant::from_ns(clock.fetch_add(d.between<std::int64_t>(0, 100)));
      if (d.chance(1)) limiter.machine().pushed_back(now, duration::from_ns(500));
      if (d.chance(1) && thread == 0) limiter.reconfigure(o, now);
      if (d.chance(1) && d.chance(5)) clock += 5'000'000;
      if (auto r = limiter.reserve(now, d.between(1U, 3U))) {
        too_late += r.at() - now > o.max_wait;
        const instant at = r.at();
        mine.emplace_back(std::move(r), at);
      }
      if (mine.size() < 4) continue;
      auto& [r, at] = d.pick_from(mine);
      moved += r.at() != at;
      if (d.chance(50)) r.use();
      std::swap(mine.back(), mine[d.below(mine.size())]);
      mine.pop_back();
    }
  });
  CHECK(moved == 0);
  CHECK(too_late == 0);
  const auto s = limiter.snapshot(instant::from_ns(clock + 1'000'000'000));
  CHECK(s.waiting == 0);
  CHECK(s.available >= 1);
}

}  // namespace
