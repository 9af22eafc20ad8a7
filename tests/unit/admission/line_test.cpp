// SPDX-License-Identifier: Apache-2.0
// Calls that wait for a place: who is next, and what ends their wait.
#include "seawall/admission.hpp"
#include "support/hand_driven_admission.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("admission: a place that is given back goes to the one who waits, who is woken for it") {
  hand_driven_admission a(room_for_one());
  auto& first = a.comes();
  auto& second = a.comes();
  CHECK(first.runs());
  CHECK(second.waits());
  CHECK(a.seen().waiting == 1);
  first.finish();
  CHECK(second.poked());
  CHECK(a.seen().waiting == 0);
  CHECK(a.seen().in_flight == 1);
  second.look();
  CHECK(second.runs());
  second.finish();
  CHECK(a.seen().in_flight == 0);
  CHECK(a.seen().admitted_late == 1);
}

TEST_CASE(
    "admission: a newcomer does not overtake the one to whom a place was handed and who has not looked yet") {
  hand_driven_admission a(room_for_one());
  auto& first = a.comes();
  auto& second = a.comes();
  first.finish();
  CHECK(a.comes().waits());
  CHECK_FALSE(a.admission.try_acquire(a.now));
  second.look();
  CHECK(second.runs());
}

TEST_CASE("admission: who may not wait is refused while others do, though a place be free for him") {
  hand_driven_admission a(room_for_one());
  a.comes();
  a.comes();
  CHECK_FALSE(a.admission.try_acquire(a.now));
  CHECK(a.seen().refused == 1);
}

TEST_CASE("admission: what happens to one too many is what the options say") {
  struct row {
    queue_full when_full;
    int waiting, newcomer;  // priorities; two wait
    reason first, second, third;
  };
  const row rows[] = {
      {queue_full::reject, 0, 9, reason::none, reason::none, reason::queue_full},
      {queue_full::drop_oldest, 0, 0, reason::queue_full, reason::none, reason::none},
      {queue_full::drop_newest, 0, 0, reason::none, reason::queue_full, reason::none},
      {queue_full::drop_lowest, 0, 1, reason::none, reason::queue_full, reason::none},
      {queue_full::drop_lowest, 0, 0, reason::none, reason::none, reason::queue_full},
  };
  for (const row& r : rows) {
    CAPTURE(static_cast<int>(r.when_full));
    auto o = room_for_one();
    o.max_waiting = 2;
    o.when_full = r.when_full;
    hand_driven_admission a(o);
    a.comes();
    auto& first = a.comes({.priority = r.waiting});
    auto& second = a.comes({.priority = r.waiting});
    auto& third = a.comes({.priority = r.newcomer});
    a.let_all_look();
    CHECK(first.why() == r.first);
    CHECK(second.why() == r.second);
    CHECK(third.why() == r.third);
    CHECK(a.seen().waiting == 2);
    CHECK(a.seen().evicted + a.seen().refused == 1);
  }
}

TEST_CASE("admission: nobody makes room for one whose time is over") {
  auto o = room_for_one();
  o.max_waiting = 1;
  o.when_full = queue_full::drop_oldest;
  o.expire = false;
  hand_driven_admission a(o);
  a.comes();
  auto& waits = a.comes();
  CHECK(a.comes({.deadline = a.now}).why() == reason::deadline_exceeded);
  CHECK_FALSE(waits.poked());
  CHECK(a.seen().waiting == 1);
  CHECK(a.seen().evicted == 0);
}

TEST_CASE("admission: the orders") {
  SUBCASE("first come") {
    hand_driven_admission a(room_for_one(queue_order::fifo));
    for (int i = 0; i < 4; ++i) a.comes();
    CHECK(a.run_all() == "0123");
  }
  SUBCASE("last come") {
    hand_driven_admission a(room_for_one(queue_order::lifo));
    for (int i = 0; i < 4; ++i) a.comes();
    CHECK(a.run_all() == "0321");
  }
  SUBCASE("adaptive: first come, until the oldest has used half of its time") {
    hand_driven_admission a(room_for_one(queue_order::adaptive_lifo));
    for (int i = 0; i < 4; ++i) a.comes({.deadline = a.now + 2s});
    SUBCASE("not yet") {
      a.pass(1s - 1ns);
      CHECK(a.run_all() == "0123");
    }
    SUBCASE("now") {
      a.pass(1s);
      CHECK(a.run_all() == "0321");
    }
  }
  SUBCASE("by priority, where waiting counts") {
    auto o = room_for_one(queue_order::priority);
    o.aging = 1s;
    hand_driven_admission a(o);
    a.comes();
    a.comes({.priority = 0});
    a.pass(2s);
    a.comes({.priority = 1});
    a.comes({.priority = 3});
    CHECK(a.run_all() == "0312");
  }
  SUBCASE("the most urgent") {
    hand_driven_admission a(room_for_one(queue_order::earliest_deadline));
    a.comes();
    a.comes();
    a.comes({.deadline = a.now + 5s});
    a.comes({.deadline = a.now + 3s});
    CHECK(a.run_all() == "0321");
  }
  SUBCASE("the keys take turns") {
    auto o = room_for_one(queue_order::fair);
    o.max_waiting = 10;
    hand_driven_admission a(o);
    a.comes({.key = "greedy"});
    for (int i = 0; i < 3; ++i) a.comes({.key = "greedy"});
    a.comes({.key = "modest"});
    CHECK(a.run_all() == "01423");
  }
}

TEST_CASE("admission: a wait ends after max_wait, met by equality") {
  hand_driven_admission a(room_for_one());
  a.comes();
  auto& second = a.comes();
  CHECK(second.frame->wake_at() == a.now + 10s);
  a.pass(10s - 1ns);
  second.look();
  CHECK(second.waits());
  a.pass(1ns);
  second.look();
  CHECK(second.why() == reason::wait_timed_out);
  CHECK(a.seen().waiting == 0);
  CHECK(a.seen().timed_out == 1);
}

TEST_CASE("admission: a call that cannot meet its deadline any more goes, at that moment, and by itself") {
  auto o = room_for_one();
  o.service_time = 100ms;
  hand_driven_admission a(o);
  a.comes();
  auto& second = a.comes({.deadline = a.now + 1s});
  CHECK(second.frame->wake_at() == a.now + 900ms);
  a.pass(900ms - 1ns);
  second.look();
  CHECK(second.waits());
  a.pass(1ns);
  second.look();
  CHECK(second.why() == reason::wait_timed_out);
  CHECK(a.seen().expired == 1);
  CHECK(a.seen().waiting == 0);
}

TEST_CASE("admission: a deadline that has passed is named, not the wait") {
  hand_driven_admission a(room_for_one());
  a.comes();
  auto& second = a.comes({.deadline = a.now + 3s});
  a.pass(3s);
  second.look();
  CHECK(second.why() == reason::deadline_exceeded);
}

TEST_CASE(
    "admission: a call without hope is not let in though there is a place, unless nobody asked for that") {
  auto o = room_for_one();
  o.service_time = 100ms;
  SUBCASE("expire") {
    hand_driven_admission a(o);
    CHECK(a.comes({.deadline = a.now + 100ms}).why() == reason::wait_timed_out);
    CHECK_FALSE(a.admission.try_acquire(a.now, {.deadline = a.now + 100ms}));
    CHECK(a.seen().refused == 2);
    CHECK(a.comes({.deadline = a.now + 101ms}).runs());
  }
  SUBCASE("not") {
    o.expire = false;
    hand_driven_admission a(o);
    CHECK(a.comes({.deadline = a.now + 100ms}).runs());
  }
}

TEST_CASE("admission: CoDel sends away what has waited for long in a standing line, and only then") {
  auto o = room_for_one();
  o.max_waiting = 100;
  o.codel = {.on = true, .target = 5ms, .interval = 100ms};
  hand_driven_admission a(o);
  a.comes();
  for (int i = 0; i < 20; ++i) a.comes();
  // One of 20 ms after the other: the least wait of an interval is far above the target.
  int sent_away = 0;
  for (int i = 0; i < 20; ++i) {
    a.pass(20ms);
    for (auto& c : a.callers) {
      if (c.runs()) {
        c.finish();
        break;
      }
    }
    a.let_all_look();
  }
  for (auto& c : a.callers) sent_away += c.why() == reason::wait_timed_out ? 1 : 0;
  CHECK(sent_away > 10);
  CHECK(a.seen().dropped_by_codel == static_cast<std::uint64_t>(sent_away));
  CHECK(a.seen().in_flight <= 1);
}

TEST_CASE(
    "admission: two limits of the same kind do not meet: what waits in one line is nothing to the other") {
  hand_driven_admission a(room_for_one()), b(room_for_one());
  a.comes();
  auto& waits = a.comes();
  b.comes().finish();
  CHECK_FALSE(waits.poked());
  CHECK(b.seen().waiting == 0);
}
