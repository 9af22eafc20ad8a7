// SPDX-License-Identifier: Apache-2.0
// Callers that wait for a permit, and what ends their wait.
#include "seawall/bulkhead.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("bulkhead: by default nobody waits, and what is too much is rejected at once") {
  hand_driven_bulkhead b({.max_concurrent = 2});
  CHECK(b.comes().runs());
  CHECK(b.comes().runs());
  CHECK(b.comes().why() == reason::limit_reached);
  b.callers.front().finish();
  CHECK(b.comes().runs());
  CHECK(b.seen().in_use == 2);
}

TEST_CASE("bulkhead: a permit that is given back goes to the one who waits, who is woken for it") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  CHECK(second.waits());
  CHECK(b.seen().waiting == 1);
  first.finish();
  CHECK(second.poked());
  CHECK(b.seen().waiting == 0);
  CHECK(b.seen().in_use == 1);
  second.look();
  CHECK(second.runs());
  second.finish();
  CHECK(b.seen().in_use == 0);
  CHECK(b.acquire());
}

TEST_CASE(
    "bulkhead: a newcomer does not overtake the one to whom a permit was handed and who has not looked yet") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  first.finish();
  CHECK(b.comes().waits());
  CHECK_FALSE(b.acquire());
  second.look();
  CHECK(second.runs());
}

TEST_CASE(
    "bulkhead: as many as may wait, wait; one more is rejected, for another reason than where nobody may") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  CHECK(b.comes().waits());
  CHECK(b.comes().waits());
  CHECK(b.comes().why() == reason::queue_full);
  CHECK(b.seen().waiting == 2);
}

TEST_CASE("bulkhead: the place of a caller that has left the list is free for another") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  auto& second = b.comes();
  b.comes();
  second.cancel();
  CHECK(b.comes().waits());
}

TEST_CASE("bulkhead: a wait ends after max_wait, met by equality") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  auto& second = b.comes();
  CHECK(second.frame->wake_at() == b.now + 10s);
  b.pass(10s - 1ns);
  second.look();
  CHECK(second.waits());
  b.pass(1ns);
  second.look();
  CHECK(second.why() == reason::wait_timed_out);
  CHECK(b.seen().waiting == 0);
  CHECK(b.seen().timed_out == 1);
}

TEST_CASE("bulkhead: a caller's deadline that is earlier than max_wait ends its wait, and is named") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  auto& second = b.comes({.deadline = b.now + 3s});
  CHECK(second.frame->wake_at() == b.now + 3s);
  b.pass(3s);
  second.look();
  CHECK(second.why() == reason::deadline_exceeded);
  CHECK(b.seen().waiting == 0);
}

TEST_CASE("bulkhead: being woken for nothing changes nothing") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  auto& second = b.comes();
  for (int i = 0; i < 3; ++i) {
    second.look();
    CHECK(second.waits());
    CHECK(b.seen().waiting == 1);
  }
}

TEST_CASE("bulkhead: a waiting caller that is cancelled, or whose frame dies, is not poked any more") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  auto& third = b.comes();
  second.cancel();
  third.die();
  CHECK(b.seen().waiting == 0);
  first.finish();
  CHECK_FALSE(second.poked());
  CHECK_FALSE(third.poked());
  CHECK(b.acquire());
}

TEST_CASE("bulkhead: in a driver in which nothing can wait, what is too much is rejected") {
  hand_driven_bulkhead b(room_for_one());
  b.comes();
  hand_driven_call caller(b.pipe, b.now, nullptr);
  CHECK(caller.start(b.now).how == resolution::kind::rejection);
  CHECK(caller.call.last_rejection().why == reason::limit_reached);
  CHECK(b.seen().waiting == 0);
}

TEST_CASE("bulkhead: a frame whose call was rejected or cancelled can be started again") {
  hand_driven_bulkhead b(room_for_one());
  auto first = b.acquire();
  hand_driven_call again(b.pipe, b.now);
  CHECK(again.start(b.now));
  first.release();
  CHECK_FALSE(again.start(b.now));
  again.call.take_launch();
  again.cancel();
  CHECK(b.seen().in_use == 0);
  CHECK_FALSE(again.start(b.now));
  CHECK(b.seen().in_use == 1);
}
