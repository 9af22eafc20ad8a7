// SPDX-License-Identifier: Apache-2.0
// What an admission must never do: leak a place, starve those behind somebody who gives up, admit the late.
#include <stdexcept>

#include "seawall/admission.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "support/hand_driven_admission.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("admission, never: room for one, one waiter that timed out, idle: and it refuses for ever") {
  hand_driven_admission a(room_for_one());
  auto& first = a.comes();
  auto& second = a.comes();
  a.pass(10s);
  second.look();
  CHECK(second.why() == reason::wait_timed_out);
  first.finish();
  CHECK(a.comes().runs());
}

TEST_CASE(
    "admission, never: a place leaks, or its successor starves, when its waiter goes as it is handed over") {
  hand_driven_admission a(room_for_one());
  auto& first = a.comes();
  auto& second = a.comes();
  a.pass(1s);
  auto& third = a.comes();
  first.finish();
  CHECK(second.poked());
  SUBCASE("cancelled") { second.cancel(); }
  SUBCASE("its frame dies") { second.die(); }
  SUBCASE("its time is over before it looks") {
    a.pass(9s);
    second.look();
    CHECK(second.why() == reason::wait_timed_out);
  }
  CHECK(third.poked());
  third.look();
  CHECK(third.runs());
  third.finish();
  CHECK(a.seen().in_flight == 0);
  CHECK(a.comes().runs());
}

TEST_CASE("admission, never: a place is handed to one whose time is over while another could have it") {
  hand_driven_admission a(room_for_one());
  auto& first = a.comes();
  auto& late = a.comes({.deadline = a.now + 2s});
  auto& good = a.comes();
  a.pass(2s);
  first.finish();
  CHECK(good.poked());
  good.look();
  CHECK(good.runs());
  late.look();
  CHECK(late.why() == reason::deadline_exceeded);
}

TEST_CASE("admission, never: a place that CoDel has taken away from its waiter is lost") {
  auto o = room_for_one();
  o.codel = {.on = true, .target = 1ms, .interval = 1ms};
  hand_driven_admission a(o);
  auto& first = a.comes();
  auto& second = a.comes();
  auto& third = a.comes();
  auto& fourth = a.comes();
  a.pass(5ms);
  first.finish();
  second.look();  // CoDel has seen a standing line by now
  a.pass(5ms);
  second.finish();
  third.look();
  CHECK(third.why() == reason::wait_timed_out);
  CHECK(a.seen().dropped_by_codel == 1);
  fourth.look();
  CHECK(fourth.runs());
  fourth.finish();
  CHECK(a.seen().in_flight == 0);
  CHECK(a.comes().runs());
}

TEST_CASE("admission, never: one who is told to go is poked after he has gone") {
  auto o = room_for_one();
  o.max_waiting = 1;
  o.when_full = queue_full::drop_oldest;
  hand_driven_admission a(o);
  auto& first = a.comes();
  auto& second = a.comes();
  a.comes();
  CHECK(second.poked());
  second.die();
  first.finish();
  CHECK_FALSE(second.poked());
  CHECK(a.seen().in_flight == 1);  // the third's
}

TEST_CASE("admission, never: an operation that throws leaks its place, on the short cut or off it") {
  adaptive_limit learned;
  admission a({.max_concurrent = 1}), b({.limit = &learned});
  for (admission* one : {&a, &b}) {
    const auto pipe = compose(admit(*one));
    for (int i = 0; i < 3; ++i) {
      CHECK_THROWS_AS(pipe.run([]() -> int { throw std::runtime_error("boom"); }), std::runtime_error);
      CHECK_THROWS_AS(pipe.run([]() -> absl::Status { throw std::runtime_error("boom"); }),
                      std::runtime_error);
      CHECK(one->snapshot().in_flight == 0);
    }
  }
}

TEST_CASE("admission, never: a permit that is moved gives its place back twice, or not at all") {
  admission a({.max_concurrent = 1});
  auto p = a.try_acquire();
  {
    admission::permit q = std::move(p);
    CHECK(q);
    CHECK_FALSE(p);
    CHECK_FALSE(a.try_acquire());
    p = std::move(q);
  }
  CHECK_FALSE(a.try_acquire());
  p = a.try_acquire();
  CHECK_FALSE(p);
  CHECK(a.snapshot().in_flight == 0);
  CHECK(a.try_acquire());
}
