// SPDX-License-Identifier: Apache-2.0
// The stand-alone face: permits, weights, and a limit that changes.
#include <utility>
#include <vector>

#include "seawall/bulkhead.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("bulkhead: a permit gives back what it holds once: dropped, released, moved from, assigned over") {
  hand_driven_bulkhead b({.max_concurrent = 2});
  {
    auto a = b.acquire();
    REQUIRE(a);
    CHECK(a.weight() == 1);
    auto moved = std::move(a);
    CHECK_FALSE(a);
    CHECK(a.weight() == 0);
    CHECK(b.seen().in_use == 1);
    moved.release();
    moved.release();
    CHECK(b.seen().in_use == 0);
    moved = b.acquire();
    moved = b.acquire();
    CHECK(b.seen().in_use == 1);
    auto& itself = moved;
    moved = std::move(itself);
    CHECK(b.seen().in_use == 1);
  }
  CHECK(b.seen().in_use == 0);
  CHECK_FALSE(bulkhead::permit());
}

TEST_CASE("bulkhead: a bulkhead that was moved leaves its permits and layers valid") {
  hand_driven_bulkhead b({.max_concurrent = 1});
  auto held = b.acquire();
  bulkhead moved = std::move(b.bulkhead);
  CHECK_FALSE(moved.try_acquire(b.now));
  held.release();
  CHECK_FALSE(hand_driven_call(b.pipe, b.now).start(b.now));
}

TEST_CASE("bulkhead: weights add up to the limit, and not one more") {
  hand_driven_bulkhead b({.max_concurrent = 10});
  auto four = b.acquire(4);
  auto six = b.acquire(6);
  CHECK(four);
  CHECK(six);
  CHECK_FALSE(b.acquire(1));
  CHECK(b.acquire(0));
  four.release();
  CHECK_FALSE(b.acquire(5));
  CHECK(b.acquire(4));
  six.release();
  CHECK(b.acquire(10));
  CHECK_FALSE(b.acquire(11));
}

TEST_CASE("bulkhead: the last permit is found wherever it lies, for every limit and number of stripes") {
  for (std::uint32_t limit = 1; limit <= 70; ++limit) {
    for (const unsigned stripes : {1U, 2U, 8U, 32U}) {
      bulkhead b({.max_concurrent = limit}, stripes, "");
      std::vector<bulkhead::permit> held;
      for (std::uint32_t i = 0; i < limit; ++i) {
        held.push_back(b.try_acquire(instant()));
        REQUIRE(held.back());
      }
      REQUIRE_FALSE(b.try_acquire(instant()));
      REQUIRE(b.snapshot(instant()).in_use == limit);
      held.clear();
      REQUIRE(b.snapshot(instant()).in_use == 0);
      REQUIRE(b.try_acquire(instant(), limit));
    }
  }
}

TEST_CASE("bulkhead: permits are spread and gathered any number of times, and none is lost") {
  bulkhead b({.max_concurrent = 64}, 8, "");
  for (int round = 0; round < 5; ++round) {
    auto all = b.try_acquire(instant(), 64);
    REQUIRE(all);
    REQUIRE_FALSE(b.try_acquire(instant()));
    all.release();
    // So many that they are spread again.
    for (int i = 0; i < 3000; ++i) REQUIRE(b.try_acquire(instant()));
    REQUIRE(b.snapshot(instant()).in_use == 0);
  }
}

TEST_CASE("bulkhead: a smaller limit takes no permit away, and gives none until enough have come back") {
  hand_driven_bulkhead b({.max_concurrent = 20});
  std::vector<bulkhead::permit> held;
  for (int i = 0; i < 20; ++i) held.push_back(b.acquire());
  REQUIRE_FALSE(b.bulkhead.reconfigure({.max_concurrent = 5}));
  CHECK(b.seen().in_use == 20);
  CHECK(b.seen().max_concurrent == 5);
  while (held.size() > 5) {
    CHECK_FALSE(b.acquire());
    held.pop_back();
  }
  CHECK_FALSE(b.acquire());
  held.pop_back();
  CHECK(b.acquire());
  held.clear();
  CHECK(b.acquire(5));
  CHECK_FALSE(b.acquire(6));
}

TEST_CASE("bulkhead: a greater limit wakes those who wait, as many as it lets in") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  auto& second = b.comes();
  auto& third = b.comes();
  auto o = room_for_one();
  o.max_concurrent = 2;
  REQUIRE_FALSE(b.bulkhead.reconfigure(o));
  b.let_all_look();
  CHECK(second.runs());
  CHECK(third.waits());
}

TEST_CASE(
    "bulkhead: one who waits for more permits than a smaller limit has is rejected, and holds nobody up") {
  auto o = room_for_one();
  o.max_concurrent = 4;
  o.weight_of = [](const call& c) noexcept { return static_cast<std::uint32_t>(c.priority()); };
  hand_driven_bulkhead b(o);
  auto& first = b.comes({.priority = 4});
  auto& heavy = b.comes({.priority = 3});
  auto& light = b.comes({.priority = 2});
  o.max_concurrent = 2;
  REQUIRE_FALSE(b.bulkhead.reconfigure(o));
  CHECK(heavy.poked());
  heavy.look();
  CHECK(heavy.why() == reason::limit_reached);
  first.finish();
  b.let_all_look();
  CHECK(light.runs());
}

TEST_CASE(
    "bulkhead: a call that needs more permits than there are is rejected at once, and does not wait for ever") {
  auto o = room_for_one();
  o.weight_of = [](const call& c) noexcept { return static_cast<std::uint32_t>(c.priority()); };
  hand_driven_bulkhead b(o);
  CHECK(b.comes({.priority = 2}).why() == reason::limit_reached);
  CHECK(b.comes({.priority = 1}).runs());
}

TEST_CASE("bulkhead: bad options change nothing") {
  hand_driven_bulkhead b({.max_concurrent = 3, .partitions = {{"a", 1}}});
  const auto refused = [&](bulkhead_options o, const char* text) {
    const auto error = b.bulkhead.reconfigure(std::move(o));
    REQUIRE(error);
    CHECK(error->text("bulkhead") == text);
    CHECK(b.seen().max_concurrent == 3);
  };
  refused({.max_concurrent = 0}, "bulkhead: max_concurrent is 0; must be at least 1 and at most 1000000000");
  refused({.max_concurrent = 9}, "bulkhead: partitions is 0; cannot be changed in number: 1");
  refused({.max_concurrent = 9, .partitions = {{"b", 1}}},
          "bulkhead: partitions[0].name is 'b'; cannot be changed: 'a'");
  CHECK_FALSE(b.bulkhead.reconfigure({.max_concurrent = 9, .partitions = {{"a", 2}}}));
  CHECK(b.seen().partitions[0].guaranteed == 2);
}
