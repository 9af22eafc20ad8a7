// SPDX-License-Identifier: Apache-2.0
// Who may replace what, call by call, and what happens to answers that nobody takes.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "seawall/core/cache_machine.hpp"
#include "seawall/core/flight_group.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;
using core::cache_machine;
using core::hashed_key;
using arrival = cache_machine::arrival;
using kind = cache_machine::answer::kind;

namespace {

const hashed_key key("k");

struct machine : cache_machine {
  machine() : cache_machine("c", 1, {.ttl = 1min, .negative_ttl = 1min}, 10, 100, {}) {}

  fetch begins() { return join(key, instant(), nullptr).fetching; }
  /// 0: nothing.
  int serves() {
    const answer a = find(key, instant());
    return a.how == kind::none ? 0 : *static_cast<const int*>(a.what.get());
  }
};

arrival brought(int value, arrival::kind how = arrival::kind::good, std::size_t bytes = 1) {
  return {.how = how, .what = std::make_shared<const int>(value), .bytes = bytes, .ttl = 1min};
}

}  // namespace

TEST_CASE("cache never: the one who leads takes the place of what was asked for after it had begun") {
  machine m;
  const auto leads = m.begins(), alone = m.begins();
  REQUIRE(alone.number == 0);
  m.settle(key, alone, instant(), brought(2));
  m.settle(key, leads, instant(), brought(1));
  CHECK(m.serves() == 2);
}

TEST_CASE("cache never: a fetch under way takes the place of a refusal that was put") {
  machine m;
  const auto leads = m.begins();
  cache_machine::place waits;
  seawall_test::fake_waker waker;
  waits.waker = &waker;
  REQUIRE(m.join(key, instant(), &waits).how == kind::wait);
  m.put(key, instant(), brought(2, arrival::kind::negative));
  CHECK(waker.pokes == 1);
  const auto got = m.look(key, waits, instant());
  CHECK(got.how != kind::wait);
  m.settle(key, leads, instant(), brought(1));
  CHECK(m.serves() == 2);
}

TEST_CASE("cache never: a fetch under way brings back what something that has no room has replaced") {
  machine m;
  m.put(key, instant(), brought(1));
  m.invalidate(key);
  const auto leads = m.begins();
  m.put(key, instant(), brought(2, arrival::kind::good, 101));
  m.settle(key, leads, instant(), brought(1));
  CHECK(m.serves() == 0);
}

TEST_CASE("cache and coalesce never: what nobody takes is destroyed with the lock held") {
  seawall_test::fake_waker waker;
  std::size_t waiting = 99;
  const auto calls_back = [&](auto& shared) {
    return std::shared_ptr<const void>(&waiting, [&](const void*) { waiting = shared.counts().waiting; });
  };
  SUBCASE("cache") {
    machine m;
    const auto leads = m.begins();
    cache_machine::place waits;
    waits.waker = &waker;
    m.join(key, instant(), &waits);
    m.settle(key, leads, instant(), {.how = arrival::kind::shared, .what = calls_back(m)});
    m.leave(key, waits);
  }
  SUBCASE("coalesce") {
    core::flight_group g("g", 1, {});
    const auto leads = g.join(key, instant(), nullptr);
    core::flight_group::place waits;
    waits.waker = &waker;
    g.join(key, instant(), &waits);
    g.land(key, leads.number, {.how = core::landing::kind::answered, .what = calls_back(g)});
    g.leave(key, waits);
  }
  CHECK(waiting == 0);
}
