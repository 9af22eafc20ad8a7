// SPDX-License-Identifier: Apache-2.0
// Whose turn it is, and who must go when the list is full.
#include <string>
#include <vector>

#include "seawall/bulkhead.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

using said = call_options;

/// One runs, these wait; then one after the other finishes. Who runs, in this order ("a" is the first of `waiting`).
std::string served(hand_driven_bulkhead& b, const std::vector<said>& waiting, duration pause = 0s) {
  auto running = b.acquire();
  REQUIRE(running);
  std::vector<hand_driven_bulkhead::caller*> all;
  for (const said& s : waiting) {
    all.push_back(&b.comes(s));
    REQUIRE(all.back()->waits());
    b.pass(1ms);
  }
  b.pass(pause);
  running.release(b.now);
  std::string order;
  for (std::size_t turn = 0; turn < all.size(); ++turn) {
    b.let_all_look();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i]->runs()) continue;
      order += static_cast<char>('a' + i);
      all[i]->finish();
      break;
    }
  }
  CHECK(b.seen().in_use == 0);
  return order;
}

bulkhead_options room_for(wait_order order) {
  auto o = room_for_one(order);
  o.max_waiting = 5;
  return o;
}

}  // namespace

TEST_CASE("bulkhead: each order serves as it says") {
  const instant t = instant::from_ns(1'000'000'000'000);
  const std::vector<said> callers = {{.priority = 1, .deadline = t + 9s},
                                     {.priority = 5, .deadline = t + 7s},
                                     {.priority = 5, .deadline = t + 8s},
                                     {.priority = -1, .deadline = t + 3s}};
  struct row {
    wait_order order;
    const char* served;
  };
  for (const row& r :
       {row{wait_order::fifo, "abcd"}, row{wait_order::lifo, "dcba"}, row{wait_order::adaptive_lifo, "abcd"},
        row{wait_order::by_priority, "bcad"}, row{wait_order::by_deadline, "dbca"}}) {
    CAPTURE(to_string(r.order));
    hand_driven_bulkhead b(room_for(r.order));
    CHECK(served(b, callers) == r.served);
  }
}

TEST_CASE("bulkhead: adaptive LIFO serves the newest once the list has stood for long enough") {
  hand_driven_bulkhead b(room_for(wait_order::adaptive_lifo));
  CHECK(served(b, {{}, {}, {}}, 97ms) == "cba");
}

TEST_CASE("bulkhead: with aging, a long wait is worth more than a little importance") {
  auto o = room_for(wait_order::by_priority);
  o.aging = 1ms;
  hand_driven_bulkhead b(o);
  // They come one after the other, 1 ms apart: c is worth two more than a and came two later, and a was first.
  CHECK(served(b, {{.priority = 0}, {.priority = 0}, {.priority = 2}, {.priority = 9}}) == "dacb");
}

TEST_CASE("bulkhead: a full list rejects a newcomer, however important, unless it is told to displace") {
  hand_driven_bulkhead b(room_for_one(wait_order::by_priority));
  b.comes();
  b.comes({.priority = 1});
  b.comes({.priority = 2});
  CHECK(b.comes({.priority = 9}).why() == reason::queue_full);
}

TEST_CASE("bulkhead: of a full list, a newcomer displaces the least important of all, the newest of those") {
  auto o = room_for_one(wait_order::by_priority);
  o.max_waiting = 3;
  o.displaces = true;
  hand_driven_bulkhead b(o);
  b.comes();
  auto& important = b.comes({.priority = 2});
  auto& old = b.comes({.priority = 1});
  auto& newer = b.comes({.priority = 1});
  auto& newcomer = b.comes({.priority = 3});
  CHECK(newcomer.waits());
  CHECK(newer.poked());
  newer.look();
  CHECK(newer.why() == reason::queue_full);
  CHECK(b.seen().displaced == 1);
  CHECK(b.seen().waiting == 3);
  CHECK(old.waits());
  CHECK(important.waits());
  SUBCASE("but not one that is as important") {
    CHECK(b.comes({.priority = 1}).why() == reason::queue_full);
    CHECK(old.waits());
    CHECK(b.seen().displaced == 1);
  }
}

TEST_CASE(
    "bulkhead: displacing drops the oldest under LIFO, the latest deadline by deadline, nobody under FIFO") {
  struct row {
    wait_order order;
    bool displaces;
  };
  for (const row& r :
       {row{wait_order::lifo, true}, row{wait_order::by_deadline, true}, row{wait_order::fifo, false}}) {
    auto o = room_for_one(r.order);
    o.displaces = true;
    hand_driven_bulkhead b(o);
    b.comes();
    auto& oldest = b.comes({.deadline = b.now + 9s});
    b.comes({.deadline = b.now + 8s});
    auto& newcomer = b.comes({.deadline = b.now + 1s});
    oldest.look_if_poked();
    CHECK(newcomer.waits() == r.displaces);
    CHECK((oldest.why() == reason::queue_full) == r.displaces);
    CHECK(b.seen().waiting == 2);
  }
}

TEST_CASE("bulkhead: LIFO lets a newcomer have what is left before those who wait for more") {
  auto o = room_for_one(wait_order::lifo);
  o.max_concurrent = 3;
  o.weight_of = [](const call& c) noexcept { return static_cast<std::uint32_t>(c.priority()); };
  hand_driven_bulkhead b(o);
  b.comes({.priority = 2});
  CHECK(b.comes({.priority = 2}).waits());
  CHECK(b.comes({.priority = 1}).runs());
  SUBCASE("FIFO does not") {
    o.order = wait_order::fifo;
    hand_driven_bulkhead f(o);
    f.comes({.priority = 2});
    CHECK(f.comes({.priority = 2}).waits());
    CHECK(f.comes({.priority = 1}).waits());
    CHECK_FALSE(f.acquire());
  }
}

TEST_CASE("bulkhead: another order holds for those who wait already") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  b.comes({.priority = 1});
  auto& important = b.comes({.priority = 2});
  REQUIRE_FALSE(b.bulkhead.reconfigure(room_for_one(wait_order::by_priority)));
  first.finish();
  b.let_all_look();
  CHECK(important.runs());
}
