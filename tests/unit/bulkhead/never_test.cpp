// SPDX-License-Identifier: Apache-2.0
// What a bulkhead must never do: leak a permit, starve those behind somebody who gives up, hand a permit to the late.
#include <atomic>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "seawall/attempt_timeout.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

TEST_CASE("never: room for one, one waiter that timed out, idle: and it refuses for ever") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  b.pass(10s);
  second.look();
  CHECK(second.why() == reason::wait_timed_out);
  first.finish();
  CHECK(b.comes().runs());
}

TEST_CASE("never: a permit leaks when its waiter is cancelled at the moment at which it is handed over") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  first.finish();
  CHECK(second.poked());
  SUBCASE("cancelled") { second.cancel(); }
  SUBCASE("its frame dies") { second.die(); }
  SUBCASE("its time is over before it looks") {
    b.pass(10s);
    second.look();
    CHECK(second.why() == reason::wait_timed_out);
  }
  CHECK(b.seen().in_use == 0);
  CHECK(b.comes().runs());
}

TEST_CASE("never: a permit that its waiter does not want any more is not passed on to the next one") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& second = b.comes();
  b.pass(1s);
  auto& third = b.comes();
  first.finish();
  SUBCASE("cancelled") { second.cancel(); }
  SUBCASE("its frame dies") { second.die(); }
  SUBCASE("its time is over before it looks") {
    b.pass(9s);
    second.look();
  }
  CHECK(third.poked());
  third.look();
  CHECK(third.runs());
}

TEST_CASE("never: a waiter that gives up starves the queue behind it") {
  auto o = room_for_one();
  o.max_concurrent = 4;
  o.weight_of = [](const call& c) noexcept { return static_cast<std::uint32_t>(c.priority()); };
  hand_driven_bulkhead b(o);
  b.comes({.priority = 3});
  auto& heavy = b.comes({.priority = 2});
  auto& light = b.comes({.priority = 1});
  CHECK(light.waits());  // one permit is free, but it is not its turn
  SUBCASE("cancelled") { heavy.cancel(); }
  SUBCASE("its frame dies") { heavy.die(); }
  SUBCASE("timed out") {
    // The light one came at the same time, so it has to come again.
    light.cancel();
    b.pass(5s);
    auto& later = b.comes({.priority = 1});
    b.pass(5s);
    heavy.look();
    CHECK(heavy.why() == reason::wait_timed_out);
    CHECK(later.poked());
    later.look();
    CHECK(later.runs());
    return;
  }
  CHECK(light.poked());
  light.look();
  CHECK(light.runs());
}

TEST_CASE("never: a permit is handed to a waiter whose time is over while another one could have it") {
  hand_driven_bulkhead b(room_for_one());
  auto& first = b.comes();
  auto& late = b.comes({.deadline = b.now + 2s});
  auto& good = b.comes();
  b.pass(2s);
  first.finish();
  CHECK(good.poked());
  good.look();
  CHECK(good.runs());
  late.look();
  CHECK(late.why() == reason::deadline_exceeded);
  CHECK(b.seen().timed_out == 1);
}

TEST_CASE("never: an operation that throws leaks its permit, on the short cut or off it") {
  bulkhead b({.max_concurrent = 1});
  const auto pipe = compose(limit_concurrency(b));
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(pipe.run([]() -> int { throw std::runtime_error("boom"); }), std::runtime_error);
    CHECK_THROWS_AS(pipe.run([]() -> absl::Status { throw std::runtime_error("boom"); }), std::runtime_error);
    CHECK(b.snapshot().in_use == 0);
  }
}

TEST_CASE("never: an inner layer that refuses to start leaks the permit") {
  bulkhead outer({.max_concurrent = 2}), full({.max_concurrent = 1});
  auto held = full.try_acquire();
  const auto pipe = compose(limit_concurrency(outer), limit_concurrency(full));
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(pipe.run([] { return absl::OkStatus(); }).ok());
    CHECK(outer.snapshot().in_use == 0);
  }
  held.release();
  CHECK(pipe.run([] { return absl::OkStatus(); }).ok());
}

TEST_CASE("never: a failure leaks the permit") {
  bulkhead b({.max_concurrent = 1});
  const auto pipe = compose(limit_concurrency(b));
  for (int i = 0; i < 3; ++i) {
    CHECK(absl::IsUnavailable(pipe.run([] { return absl::UnavailableError("no"); })));
  }
  CHECK(b.snapshot().in_use == 0);
}

TEST_CASE("never: a wait that a deadline outside ends leaves something behind") {
  hand_driven_bulkhead b(room_for_one());
  auto held = b.acquire();
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(deadline({.after = 3s}), limit_concurrency(b.bulkhead));
  CHECK(absl::IsDeadlineExceeded(testing::run(clock, pipe, [] { return absl::OkStatus(); })));
  CHECK(clock.now() == b.now + 3s);
  CHECK(b.seen().waiting == 0);
  held.release();
  CHECK(b.seen().in_use == 0);
}

TEST_CASE("never: a thread that waits misses the permit, or its caller's wish to go") {
  bulkhead b({.max_concurrent = 1, .max_waiting = 4, .max_wait = duration::infinite()});
  const auto pipe = compose(limit_concurrency(b));
  auto held = b.try_acquire();
  std::stop_source gone;
  absl::Status stopped, answered;
  std::thread goes([&] { stopped = pipe.run({.stop = gone.get_token()}, [] { return absl::OkStatus(); }); });
  while (b.snapshot().waiting != 1) std::this_thread::yield();
  std::thread stays([&] { answered = pipe.run([] { return absl::OkStatus(); }); });
  while (b.snapshot().waiting != 2) std::this_thread::yield();
  gone.request_stop();
  goes.join();
  CHECK(absl::IsCancelled(stopped));
  held.release();
  stays.join();
  CHECK(answered.ok());
  CHECK(b.snapshot().in_use == 0);
  CHECK(b.snapshot().waiting == 0);
}
