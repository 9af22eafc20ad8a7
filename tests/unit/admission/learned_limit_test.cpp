// SPDX-License-Identifier: Apache-2.0
// A line in front of a limit that is learned, and that others use as well.
#include <vector>

#include "seawall/adaptive_limit.hpp"
#include "seawall/admission.hpp"
#include "support/hand_driven_admission.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

adaptive_limit_options two_places() { return {.min_limit = 2, .max_limit = 2, .initial_limit = 2}; }

}  // namespace

TEST_CASE("admission with a learned limit: those who wait are let in when it rises") {
  adaptive_limit limit(two_places());
  auto o = room_for_one();
  o.limit = &limit;
  hand_driven_admission a(o);
  a.comes();
  a.comes();
  auto& third = a.comes();
  auto& fourth = a.comes();
  auto& fifth = a.comes();
  CHECK(third.waits());
  CHECK_FALSE(limit.reconfigure({.min_limit = 4, .max_limit = 10}));
  CHECK(third.poked());
  CHECK(fourth.poked());
  CHECK_FALSE(fifth.poked());
  a.let_all_look();
  third.look();
  fourth.look();
  CHECK(third.runs());
  CHECK(fourth.runs());
  CHECK(a.seen().limit == 4);
  CHECK(a.seen().in_flight == 4);
}

TEST_CASE("admission with a learned limit: it learns from those who were admitted, without their waiting") {
  adaptive_limit limit;
  auto o = room_for_one();
  o.limit = &limit;
  o.max_waiting = 1000;
  hand_driven_admission a(o);
  const auto before = a.seen().limit;
  for (int i = 0; i < 400; ++i) a.comes();
  // A dependency for which nothing is too much: 10 ms each, however many.
  for (int round = 0; round < 60; ++round) {
    a.pass(10ms);
    std::vector<hand_driven_admission::caller*> running;
    for (auto& c : a.callers) {
      if (c.runs()) running.push_back(&c);
    }
    for (auto* c : running) c->finish();
    a.let_all_look();
  }
  CHECK(limit.snapshot().windows > 0);
  CHECK(limit.snapshot().latency <= 11ms);
  CHECK(a.seen().limit > before);
}

TEST_CASE("admission with a learned limit: a place that somebody else gives back goes to those who wait") {
  adaptive_limit limit(two_places());
  auto o = room_for_one();
  o.limit = &limit;
  hand_driven_admission a(o);
  auto p = limit.try_acquire(a.now);
  auto q = limit.try_acquire(a.now);
  auto& first = a.comes();
  auto& second = a.comes();
  CHECK(first.waits());
  p.release();
  CHECK(first.poked());
  q.success(a.now);
  CHECK(second.poked());
}

TEST_CASE("admission with a learned limit: two lines before one limit hear of each other's places") {
  adaptive_limit limit({.min_limit = 1, .max_limit = 1, .initial_limit = 1});
  auto o = room_for_one();
  o.limit = &limit;
  hand_driven_admission a(o), b(o);
  auto& first = a.comes();
  auto& second = b.comes();
  CHECK(second.waits());
  first.finish();
  CHECK(second.poked());
  second.look();
  CHECK(second.runs());
}

TEST_CASE("admission with a learned limit: one line that does not want its place leaves it to the other") {
  adaptive_limit limit({.min_limit = 1, .max_limit = 1, .initial_limit = 1});
  auto o = room_for_one();
  o.limit = &limit;
  o.max_wait = 2ms;
  auto other = room_for_one();
  other.limit = &limit;
  // Both are asked in the order of their making.
  for (const bool first_made : {true, false}) {
    CAPTURE(first_made);
    hand_driven_admission x(first_made ? o : other), y(first_made ? other : o);
    auto& with = first_made ? x : y;
    auto& without = first_made ? y : x;
    auto& one = with.comes();
    auto& late = with.comes();
    auto& waits = without.comes();
    with.pass(5ms);
    without.pass(5ms);
    one.finish();  // comes too late for the one who was told to wait no longer, and has not looked yet
    CHECK(late.poked() == first_made);
    CHECK(waits.poked());
    waits.look();
    CHECK(waits.runs());
    late.look();
    CHECK(late.why() == reason::wait_timed_out);
    waits.finish();
  }
}

TEST_CASE("admission with a learned limit: places that are reserved are not for the others") {
  adaptive_limit limit({.min_limit = 4, .max_limit = 4, .initial_limit = 4, .reserved_share = 0.5});
  auto o = room_for_one(queue_order::priority);
  o.limit = &limit;
  o.max_waiting = 10;
  hand_driven_admission a(o);
  CHECK(a.comes().runs());
  CHECK(a.comes().runs());
  auto& low = a.comes();
  CHECK(low.waits());
  CHECK(a.comes({.priority = 9}).runs());  // its turn is first
  CHECK(low.waits());
  CHECK(a.seen().in_flight == 3);
}
