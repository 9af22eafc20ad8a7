// SPDX-License-Identifier: Apache-2.0
// Permits of a rate limiter, without a pipeline: how many, when, and what clocks may do.

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "seawall/rate_limiter.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::rate_algorithm;
using seawall::rate_limiter;
using seawall::rate_limiter_options;
using seawall::reason;

constexpr rate_algorithm all_algorithms[] = {rate_algorithm::gcra, rate_algorithm::fixed_window,
                                             rate_algorithm::sliding_counter, rate_algorithm::sliding_log};

/// Not zero: an instant that is forgotten somewhere shows. A multiple of every window used here.
constexpr instant start = instant::from_ns(3'600'000'000'000);

int granted_at(rate_limiter& l, instant now, int asked) {
  int granted = 0;
  for (int i = 0; i < asked; ++i) granted += static_cast<bool>(l.try_acquire(now));
  return granted;
}

TEST_CASE("rate_limiter: as many at once as the burst, then one for each interval") {
  rate_limiter l({.permits = 10, .per = 1s, .burst = 4});
  CHECK(granted_at(l, start, 100) == 4);
  CHECK(granted_at(l, start + 99ms, 100) == 0);
  CHECK(granted_at(l, start + 100ms, 100) == 1);
  CHECK(granted_at(l, start + 350ms, 100) == 2);
  CHECK(granted_at(l, start + 10s, 100) == 4);
}

TEST_CASE("rate_limiter: a burst of 1 paces") {
  rate_limiter l({.permits = 10, .per = 1s, .burst = 1});
  int granted = 0;
  for (int ms = 0; ms < 1000; ++ms) {
    const int now = granted_at(l, start + std::chrono::milliseconds(ms), 3);
    CHECK(now == (ms % 100 == 0 ? 1 : 0));
    granted += now;
  }
  CHECK(granted == 10);
}

// A token bucket that keeps whole tokens and takes every poll for a refill loses what is earned between two polls.
TEST_CASE("rate_limiter: nothing is lost when it is polled hard: 2000 of 2000, not 22") {
  rate_limiter l({.permits = 1000, .per = 1s, .burst = 1});
  int granted = 0;
  for (int i = 0; i < 2'000'000; ++i) granted += granted_at(l, start + std::chrono::microseconds(i), 1);
  CHECK(granted == 2000);
}

TEST_CASE("rate_limiter: three a second are three a second after hours, to the nanosecond") {
  for (const std::uint32_t permits : {3U, 7U, 11U, 997U}) {
    CAPTURE(permits);
    rate_limiter l({.permits = permits, .per = 1s, .burst = 1, .max_wait = 24h, .max_waiting = 80'000});
    std::vector<rate_limiter::reservation> all;
    bool exact = true;
    for (std::int64_t n = 0; n < 80'000; ++n) {
      all.push_back(l.reserve(start));
      const std::int64_t ns = (n * 1'000'000'000 + permits - 1) / permits;
      exact = exact && all.back() && all.back().at() == start + duration::from_ns(ns);
    }
    CHECK(exact);
  }
}

TEST_CASE("rate_limiter: a thousand million a second is a permit for each nanosecond") {
  rate_limiter l({.permits = 1'000'000'000, .per = 1s, .burst = 1});
  for (int ns = 0; ns < 1000; ++ns) CHECK(granted_at(l, start + duration::from_ns(ns), 2) == 1);
}

TEST_CASE("rate_limiter: a rate that is no whole number of ticks is never exceeded") {
  // A prime: its intervals would need 10^9 parts of a nanosecond.
  rate_limiter l({.permits = 999'999'937, .per = 1s, .burst = 100'000'000, .max_wait = 1s});
  l.reserve(start, 100'000'000).use();
  const auto earned = l.reserve(start, 100'000'000).at() - start;
  CHECK(earned >= duration(100'000'007ns));
  CHECK(earned <= duration(100'010'000ns));
}

TEST_CASE("rate_limiter: weighted permits, all or none; a refusal takes nothing") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 10, .per = 1s});
    CHECK(l.try_acquire(start, 7));
    CHECK_FALSE(l.try_acquire(start, 4));
    CHECK(l.try_acquire(start, 3));
    CHECK_FALSE(l.try_acquire(start, 1));
  }
}

TEST_CASE("rate_limiter: more than the burst is refused for good, and no time is promised") {
  for (const auto a : all_algorithms) {
    rate_limiter l({.algorithm = a, .permits = 10, .per = 1s, .max_wait = 1h});
    const auto p = l.try_acquire(start, 11);
    CHECK(p.why() == reason::limit_reached);
    CHECK_FALSE(p.retry_after());
    const auto r = l.reserve(start, 0xffffffff);
    CHECK_FALSE(r);
    CHECK_FALSE(r.retry_after());
  }
}

TEST_CASE("rate_limiter: a refusal says when; then it is granted, and not a nanosecond earlier") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 7, .per = 1s});
    CHECK(granted_at(l, start + 300ms, 100) == 7);
    const auto refused = l.try_acquire(start + 400ms, 2);
    REQUIRE(refused.retry_after());
    const instant then = start + 400ms + *refused.retry_after();
    CHECK_FALSE(l.try_acquire(then - 1ns, 2));
    CHECK(l.try_acquire(then, 2));
  }
}

TEST_CASE("rate_limiter: fixed windows are aligned, and let twice as many pass around an edge") {
  rate_limiter l({.algorithm = rate_algorithm::fixed_window, .permits = 5, .per = 1s});
  CHECK(granted_at(l, start + 999ms, 100) == 5);
  CHECK(granted_at(l, start + 1s, 100) == 5);
  CHECK(granted_at(l, start + 1999ms, 100) == 0);
}

TEST_CASE("rate_limiter: a sliding counter takes the window before as spread evenly") {
  rate_limiter l({.algorithm = rate_algorithm::sliding_counter, .permits = 10, .per = 1s});
  CHECK(granted_at(l, start + 999ms, 100) == 10);
  CHECK(granted_at(l, start + 1s, 100) == 0);
  CHECK(granted_at(l, start + 1500ms, 100) == 5);
}

TEST_CASE("rate_limiter: a sliding log forgets each permit after exactly its time") {
  rate_limiter l({.algorithm = rate_algorithm::sliding_log, .permits = 2, .per = 1s});
  CHECK(granted_at(l, start + 100ms, 1) == 1);
  CHECK(granted_at(l, start + 700ms, 100) == 1);
  CHECK(granted_at(l, start + 1100ms - 1ns, 100) == 0);
  CHECK(granted_at(l, start + 1100ms, 100) == 1);
  CHECK(granted_at(l, start + 1699ms, 100) == 0);
}

TEST_CASE("rate_limiter: a clock that steps back or far forwards admits no flood") {
  for (const auto a : all_algorithms) {
    for (const std::uint32_t permits : {10U, 997U}) {
      CAPTURE(to_string(a));
      rate_limiter l({.algorithm = a, .permits = permits, .per = 1s, .burst = 10});
      const int burst = a == rate_algorithm::gcra ? 10 : static_cast<int>(permits);
      CHECK(granted_at(l, start, 5000) == burst);
      // Suspended for a month, for a hundred years: as many as after any quiet time.
      CHECK(granted_at(l, start + 720h, 5000) == burst);
      CHECK(granted_at(l, start + 876'000h, 5000) == burst);
      // Back by an hour, by a hundred years, before its first instant, before zero: nothing that was not earned.
      for (const instant back : {start + 875'999h, start + 1h, start - 1h, instant(), instant() - 876'000h})
        CHECK(granted_at(l, back, 5000) == 0);
      CHECK(granted_at(l, start + 876'000h + 2s, 5000) == burst);
    }
  }
}

TEST_CASE("rate_limiter: a clock at its end, or at its beginning, neither floods nor hangs") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 10, .per = 1s});
    CHECK(granted_at(l, instant::from_ns(seawall::detail::int64_min / 2), 100) == 10);
    CHECK(granted_at(l, start, 100) == 10);
    CHECK(granted_at(l, instant::never(), 100) <= 10);
    CHECK(granted_at(l, start + 10s, 100) <= 10);
  }
}

TEST_CASE("rate_limiter: threads whose instants are a little out of order are served all the same") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 10, .per = 1s});
    CHECK(l.try_acquire(start + 10us));
    CHECK(l.try_acquire(start));
    CHECK(l.try_acquire(start + 5us));
  }
}

TEST_CASE("rate_limiter: a permit that was not used is given back if nobody was served since") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 2, .per = 1s});
    auto first = l.try_acquire(start);
    auto second = l.try_acquire(start);
    CHECK_FALSE(l.try_acquire(start));
    second.give_back(start);
    CHECK_FALSE(second);
    CHECK(l.try_acquire(start));
    // Others have been placed after it.
    first.give_back(start);
    CHECK_FALSE(l.try_acquire(start));
  }
}

TEST_CASE("rate_limiter: dropping a permit gives nothing back: it has been used, as far as one can know") {
  rate_limiter l({.permits = 1, .per = 1s});
  {
    const auto p = l.try_acquire(start);
    CHECK(p);
  }
  CHECK_FALSE(l.try_acquire(start));
}

TEST_CASE("rate_limiter: leases are taken in advance by each stripe, and no more than is there") {
  rate_limiter l({.permits = 100, .per = 1s, .burst = 20, .lease = 8}, 1, {});
  CHECK(l.try_acquire(start));
  CHECK(l.snapshot(start).leased == 7);
  CHECK(l.snapshot(start).available == 12);
  CHECK(granted_at(l, start, 100) == 19);
  CHECK(l.snapshot(start).leased == 0);
  // Scarce: one is earned, one is taken.
  CHECK(granted_at(l, start + 10ms, 100) == 1);
}

TEST_CASE("rate_limiter: leases that are not used expire, and cannot be hoarded over a quiet time") {
  rate_limiter l({.permits = 100, .per = 1s, .burst = 20, .lease = 8}, 1, {});
  CHECK(l.try_acquire(start));
  CHECK(l.snapshot(start + 639ms).leased == 7);
  // As long as 8 * 8 permits take to be earned.
  CHECK(l.snapshot(start + 641ms).leased == 0);
  CHECK(granted_at(l, start + 641ms, 100) == 20);
}

TEST_CASE("rate_limiter: a leased permit that is given back is there for the next") {
  rate_limiter l({.permits = 1, .per = 1h, .burst = 4, .lease = 4}, 1, {});
  auto p = l.try_acquire(start, 2);
  CHECK(l.snapshot(start).leased == 2);
  p.give_back(start);
  // As many as a lease holds.
  CHECK(l.snapshot(start).leased == 3);
}

TEST_CASE("rate_limiter: snapshot") {
  rate_limiter l({.name = "search", .permits = 10, .per = 1s, .burst = 4});
  auto s = l.snapshot(start);
  CHECK(s.name == "search");
  CHECK(s.rate_per_second == doctest::Approx(10));
  CHECK(s.available == 4);
  CHECK(granted_at(l, start, 4) == 4);
  s = l.snapshot(start + 30ms);
  CHECK(s.available == 0);
  CHECK(s.next_in == duration(70ms));
  l.reset(start + 30ms);
  CHECK(l.snapshot(start + 30ms).available == 4);
}

TEST_CASE("rate_limiter: idle when a fresh one would say the same") {
  for (const auto a : all_algorithms) {
    CAPTURE(to_string(a));
    rate_limiter l({.algorithm = a, .permits = 2, .per = 1s});
    CHECK(l.idle(start));
    CHECK(l.try_acquire(start + 900ms));
    CHECK_FALSE(l.idle(start + 950ms));
    CHECK(l.idle(start + 3s));
  }
}

}  // namespace
