// SPDX-License-Identifier: Apache-2.0
// How the laws move, fed by hand. How good they are is a matter for tests/property/adaptive_limit.cpp.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "seawall/adaptive_limit.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

/// A server whose latency is a function of how many calls it is given at once: all places are taken, and end together.
struct rounds {
  explicit rounds(adaptive_limit_options o) : limit(std::move(o)) {}

  template <class Latency>
  void play(int count, Latency&& latency, const verdict& v = verdict::ok()) {
    for (int i = 0; i < count; ++i) {
      std::vector<adaptive_limit::permit> held;
      while (held.size() < most) {
        auto p = limit.try_acquire(now);
        if (!p) break;
        held.push_back(std::move(p));
      }
      now = now + duration::from_ns(static_cast<std::int64_t>(latency(held.size()) * 1e6));
      for (auto& p : held) p.settle(v, now);
    }
  }

  adaptive_limit limit;
  std::size_t most = SIZE_MAX;
  instant now = instant::from_ns(1);
};

/// `c` calls take 10 ms, more take longer: what a queue in front of `c` servers does.
auto servers(double c) {
  return [c](std::size_t n) { return 10 * std::max(1.0, static_cast<double>(n) / c); };
}

std::uint32_t limit_after(rounds& r) { return static_cast<std::uint32_t>(r.limit.snapshot().settled_limit); }

}  // namespace

TEST_CASE("adaptive_limit: never grows when the limit is not used") {
  for (const limit_algorithm& a : {limit_algorithm{knee_limit{}}, limit_algorithm{aimd_limit{}},
                                   limit_algorithm{vegas_limit{}}, limit_algorithm{gradient2_limit{}}}) {
    rounds r({.algorithm = a, .initial_limit = 20});
    r.most = 9;
    r.play(5'000, servers(1000));
    CHECK(limit_after(r) <= 20);
  }
}

TEST_CASE(
    "adaptive_limit: never grows when less than half of it is used, after it has found the knee either") {
  rounds r({});
  r.play(3'000, servers(20));
  const double found = r.limit.snapshot().settled_limit;
  r.most = static_cast<std::size_t>(found / 2) - 1;
  r.play(5'000, servers(1000));
  CHECK(r.limit.snapshot().settled_limit <= found);
  // A burst that fills it now and then is no use of it.
  for (int i = 0; i < 500; ++i) {
    r.most = SIZE_MAX;
    r.play(1, servers(1000));
    r.most = 2;
    r.play(60, servers(1000));
  }
  CHECK(r.limit.snapshot().settled_limit <= found);
}

TEST_CASE("adaptive_limit: doubles at the start until calls get slower, and finds the knee") {
  for (const double c : {1.0, 3.0, 10.0, 100.0, 1000.0}) {
    rounds r({});
    r.play(3'000, servers(c));
    const double found = r.limit.snapshot().settled_limit;
    CAPTURE(c);
    CHECK(found >= 0.95 * c);
    CHECK(found <= 1.5 * c + 2);
  }
}

TEST_CASE("adaptive_limit: never drifts in an overload that lasts") {
  rounds r({});
  r.play(3'000, servers(10));
  for (int i = 0; i < 50; ++i) {
    r.play(1'000, servers(10));
    CHECK(r.limit.snapshot().settled_limit <= 18);
    CHECK(r.limit.snapshot().settled_limit >= 9.5);
  }
}

TEST_CASE("adaptive_limit: never collapses to the floor when calls become longer by themselves") {
  rounds r({});
  r.play(3'000, servers(40));
  const auto longer = [](std::size_t n) { return 100 * std::max(1.0, static_cast<double>(n) / 40); };
  std::uint32_t lowest = 1000;
  for (int i = 0; i < 1'000; ++i) {
    r.play(1, longer);
    lowest = std::min(lowest, r.limit.snapshot().limit);
  }
  CHECK(lowest >= 10);
  CHECK(r.limit.snapshot().settled_limit >= 38);
}

TEST_CASE("adaptive_limit: never collapses by probing a server that is far from its limit") {
  rounds r({.max_limit = 50});
  r.play(500, servers(1000));
  std::uint32_t lowest = 1000;
  for (int i = 0; i < 2'000; ++i) {
    r.play(1, servers(1000));
    lowest = std::min(lowest, r.limit.snapshot().limit);
  }
  CHECK(lowest >= 37);
}

TEST_CASE("adaptive_limit: what the dependency refuses as too much lowers it, and other failures do not") {
  const verdict too_much{.health = health::silent, .again = again::if_idempotent};
  rounds r({.initial_limit = 40});
  r.most = 40;
  r.play(100, servers(1000), too_much);
  CHECK(r.limit.snapshot().limit < 10);
  const verdict says_nothing[] = {
      verdict::cancelled(), verdict::transient(),
      verdict{.health = health::silent, .again = again::always, .retry_after = 1s}};
  for (const verdict& v : says_nothing) {
    rounds unmoved({.initial_limit = 40});
    unmoved.most = 10;
    unmoved.play(100, servers(1000), v);
    CHECK(unmoved.limit.snapshot().limit == 40);
  }
}

TEST_CASE("adaptive_limit: hours without calls change nothing") {
  rounds r({});
  r.play(3'000, servers(10));
  const auto before = r.limit.snapshot();
  r.now = r.now + 24h;
  r.play(1, servers(10));
  CHECK(r.limit.snapshot().settled_limit == doctest::Approx(before.settled_limit).epsilon(0.3));
  r.play(1'000, servers(10));
  CHECK(r.limit.snapshot().settled_limit <= 18);
}

TEST_CASE("adaptive_limit: AIMD adds one for an answer, and takes a tenth for a failure or a slow call") {
  rounds r({.algorithm = aimd_limit{.slow = 1s}});
  r.play(1, servers(1000));
  CHECK(r.limit.snapshot().limit == 27);  // once it is 27, the thirteen that are left use less than half
  rounds failing({.algorithm = aimd_limit{}});
  failing.most = 1;
  failing.play(1, servers(1000), verdict::transient());
  CHECK(failing.limit.snapshot().limit == 18);
  rounds slow({.algorithm = aimd_limit{.slow = 1s}});
  slow.most = 1;
  slow.play(1, [](std::size_t) { return 1001.0; });
  CHECK(slow.limit.snapshot().limit == 18);
}

TEST_CASE("adaptive_limit: events tell of every move of the limit, outside the lock") {
  struct : listener {
    void on(const event::limit_changed& e) noexcept override {
      CHECK(e.policy == "adaptive_limit");
      CHECK(e.name == "subject");
      CHECK(e.from == last);
      CHECK(e.to == subject->snapshot().limit);  // would hang
      CHECK_FALSE(e.why.empty());
      last = e.to;
      ++count;
    }
    double last = 4;
    int count = 0;
    adaptive_limit* subject = nullptr;
  } events;
  rounds r({.name = "subject", .events = &events});
  events.subject = &r.limit;
  r.play(1'000, servers(10));
  CHECK(events.count > 3);
  CHECK(events.last == r.limit.snapshot().limit);
}

TEST_CASE("adaptive_limit: Vegas forgets the shortest latency after 15 to 30 times the limit of calls") {
  rounds r({.algorithm = vegas_limit{}, .min_limit = 20, .max_limit = 20});
  r.play(1, [](std::size_t) { return 1.0; });
  CHECK(r.limit.snapshot().baseline == duration(1ms));
  r.play(13, [](std::size_t) { return 10.0; });
  CHECK(r.limit.snapshot().baseline == duration(1ms));
  r.play(17, [](std::size_t) { return 10.0; });
  CHECK(r.limit.snapshot().baseline == duration(10ms));
}
