// SPDX-License-Identifier: Apache-2.0
// Threads that acquire, settle, drop, look and reconfigure at once: never more in flight than the limit, and nothing left.

#include <atomic>
#include <chrono>
#include <cstdint>

#include "property/support.hpp"
#include "seawall/adaptive_limit.hpp"
#include <doctest/doctest.h>

using namespace property;
using seawall::adaptive_limit;

TEST_CASE("adaptive_limit: never more calls in flight than the limit, however many threads ask") {
  adaptive_limit limit({.min_limit = 3, .max_limit = 3, .initial_limit = 3});
  std::atomic<int> inside{0}, most{0};
  const std::uint64_t calls = 100'000 / slowdown;
  in_threads(4, [&](unsigned) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      auto p = limit.try_acquire(instant::from_ns(static_cast<std::int64_t>(i) + 1));
      if (!p) continue;
      const int now = inside.fetch_add(1) + 1;
      for (int seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      inside.fetch_sub(1);
      if (i % 7 != 0) p.success(instant::from_ns(static_cast<std::int64_t>(i) + 1'000));
    }
  });
  CHECK(most.load() <= 3);
  CHECK(limit.snapshot().in_flight == 0);
}

TEST_CASE("adaptive_limit: learning, looking and reconfiguring from several threads") {
  for (const seawall::limit_algorithm& a :
       {seawall::limit_algorithm{seawall::knee_limit{}}, seawall::limit_algorithm{seawall::aimd_limit{}},
        seawall::limit_algorithm{seawall::vegas_limit{}},
        seawall::limit_algorithm{seawall::gradient2_limit{}}}) {
    seawall::listening events([](const seawall::event::limit_changed& e) { CHECK(e.to >= 1); });
    adaptive_limit limit({.algorithm = a, .events = &events});
    const std::uint64_t calls = 30'000 / slowdown;
    in_threads(4, [&](unsigned thread) {
      for (std::uint64_t i = 1; i < calls; ++i) {
        auto p = limit.try_acquire(instant::from_ns(static_cast<std::int64_t>(i) * 1'000));
        if (p) p.success(instant::from_ns(static_cast<std::int64_t>(i) * 1'000 + 900));
        if (thread == 0 && i % 100 == 0) {
          CHECK_FALSE(limit.reconfigure(
              {.algorithm = a, .max_limit = 50 + static_cast<std::uint32_t>(i % 50), .events = &events}));
        }
        if (thread == 1 && i % 50 == 0) CHECK(limit.snapshot().limit >= 1);
      }
    });
    CHECK(limit.snapshot().in_flight == 0);
  }
}
