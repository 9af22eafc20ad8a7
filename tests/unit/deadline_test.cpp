// SPDX-License-Identifier: Apache-2.0
#include "seawall/deadline.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/script.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

TEST_CASE(
    "deadline: an attempt carries what is left of the call, attempt_timeout narrows it, each attempt anew") {
  virtual_clock clock;
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 250ms}),
                       seawall::retry({.max_attempts = 5,
                                       .backoff = {.shape = seawall::backoff_shape::constant,
                                                   .initial = 0ms,
                                                   .jitter = seawall::jitter::none}}),
                       seawall::attempt_timeout({.after = 100ms}));
  std::vector<std::int64_t> left_ms, deadline_ms;
  run(clock, pipeline, seawall::idempotent([&](const seawall::attempt& a) -> absl::Status {
        left_ms.push_back(a.time_left().ns() / 1'000'000);
        deadline_ms.push_back(a.deadline().ns() / 1'000'000);
        clock.advance(90ms);
        return absl::UnavailableError("");
      }))
      .IgnoreError();
  CHECK(left_ms == std::vector<std::int64_t>{100, 100, 70});
  CHECK(deadline_ms == std::vector<std::int64_t>{100, 190, 250});
}

TEST_CASE("deadline: without one, an attempt has for ever") {
  seawall::compose()
      .run([](const seawall::attempt& a) {
        CHECK(a.deadline() == seawall::instant::never());
        CHECK(a.time_left() == seawall::duration::infinite());
        return absl::OkStatus();
      })
      .IgnoreError();
}

TEST_CASE("deadline: the caller's and the layer's, the earliest wins") {
  for (const auto callers : {seawall::duration(50ms), seawall::duration(1s)}) {
    virtual_clock clock;
    seawall::duration left;
    run(clock, seawall::compose(seawall::deadline({.after = 200ms})), {.deadline = clock.now() + callers},
        [&](const seawall::attempt& a) { return left = a.time_left(), absl::OkStatus(); })
        .IgnoreError();
    CHECK(left == std::min(callers, seawall::duration(200ms)));
  }
}

TEST_CASE("deadline: a call that comes too late is rejected without an attempt") {
  virtual_clock clock(seawall::instant::from_ns(1000));
  int calls = 0;
  const auto op = [&] { return ++calls, absl::OkStatus(); };
  const absl::Status by_caller = run(clock, seawall::compose(), {.deadline = clock.now()}, op);
  const absl::Status by_layer = run(
      clock, seawall::compose(seawall::deadline({.from = [](auto&) { return seawall::duration(0ns); }})), op);
  for (const absl::Status& got : {by_caller, by_layer}) {
    CHECK(got.code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(seawall::rejection_of(got)->why == seawall::reason::deadline_expired);
  }
  CHECK(calls == 0);
}

TEST_CASE("deadline and attempt_timeout from a function of the call") {
  virtual_clock clock;
  const auto by_priority = [](const seawall::call_view& v) {
    return v.priority > 0 ? seawall::duration(3s) : seawall::duration(1s);
  };
  const auto by_key = [](const seawall::call_view& v) {
    return v.key == "slow" ? v.time_left : v.time_left / 2;
  };
  const auto pipeline =
      seawall::compose(seawall::deadline({.from = by_priority}), seawall::attempt_timeout({.from = by_key}));
  const auto left = [&](const seawall::call_options& o) {
    seawall::duration d;
    run(clock, pipeline, o, [&](const seawall::attempt& a) {
      return d = a.time_left(), absl::OkStatus();
    }).IgnoreError();
    return d;
  };
  CHECK(left({.key = "slow", .priority = 1}) == seawall::duration(3s));
  CHECK(left({.key = "quick", .priority = 1}) == seawall::duration(1500ms));
  CHECK(left({.key = "quick"}) == seawall::duration(500ms));
}

TEST_CASE(
    "attempt_timeout: no time for an attempt is a rejection that may be tried again, and no verdict on the dependency") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.consecutive_failures = 1});
  int asked = 0;
  const auto pipeline = seawall::compose(
      seawall::retry({.max_attempts = 2}), seawall::breaker(breaker),
      seawall::attempt_timeout({.from = [&](auto&) { return seawall::duration(++asked == 1 ? 0s : 1s); }}));
  CHECK(run(clock, pipeline, seawall::non_idempotent([] { return absl::OkStatus(); })).ok());
  CHECK(breaker.snapshot(clock.now()).state == seawall::breaker_state::closed);
}

// Where a driver cannot pre-empt, a success that comes late is delivered, and counts as slow.
TEST_CASE("a late success is delivered, and counts as slow for a breaker with a slow-call rule") {
  for (const bool slow_rule : {true, false}) {
    virtual_clock clock;
    seawall::circuit_breaker breaker(
        {.over_time = {.minimum_calls = 1},
         .slow = {.limit = seawall::duration(slow_rule ? 1h : 0h), .rate = 1.0}});
    const auto pipeline =
        seawall::compose(seawall::breaker(breaker), seawall::attempt_timeout({.after = 10ms}));
    const result got = run(clock, pipeline, [&]() -> result { return clock.advance(11ms), 7; });
    CHECK(*got == 7);
    CHECK((breaker.snapshot(clock.now()).state == seawall::breaker_state::open) == slow_rule);
  }
}

TEST_CASE("a success exactly on time is not slow") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.over_time = {.minimum_calls = 1}, .slow = {.limit = 1h, .rate = 1.0}});
  const auto pipeline =
      seawall::compose(seawall::breaker(breaker), seawall::attempt_timeout({.after = 10ms}));
  run(clock, pipeline, [&]() -> result { return clock.advance(10ms), 7; }).IgnoreError();
  CHECK(breaker.snapshot(clock.now()).state == seawall::breaker_state::closed);
}

TEST_CASE("deadline: a frame wakes at the earliest deadline, not at its own") {
  const auto layer = seawall::deadline({.after = 1s});
  const seawall::call_options options{.deadline = seawall::instant() + 300ms};
  seawall::call c(seawall::instant(), seawall::idempotency::idempotent, &options, nullptr);
  seawall::deadline_layer::frame<seawall::leaf_frame> frame(layer, 1, [] { return seawall::leaf_frame(); });
  CHECK_FALSE(frame.start(c, seawall::instant()));
  CHECK(frame.wake_at() == options.deadline);
  CHECK(frame.on_time(c, options.deadline).how == seawall::resolution::kind::rejection);
}

// Never: deliver two results; leave a timer behind. Frames by hand, as a driver with timers would use them.
TEST_CASE("a deadline that fires cancels the attempt, and a late report of it changes nothing") {
  const auto layer = seawall::attempt_timeout({.after = 100ms});
  seawall::call c(seawall::instant(), seawall::idempotency::idempotent, nullptr, nullptr);
  seawall::attempt_timeout_layer::frame<seawall::leaf_frame> frame(layer, 1,
                                                                   [] { return seawall::leaf_frame(); });
  const seawall::instant fires = seawall::instant() + 100ms;
  CHECK_FALSE(frame.start(c, seawall::instant()));
  const seawall::launch started = c.take_launch();
  CHECK(frame.wake_at() == fires);
  CHECK_FALSE(frame.on_time(c, fires - 1ns));
  const seawall::resolution r = frame.on_time(c, fires);
  CHECK(r.how == seawall::resolution::kind::rejection);
  CHECK(r.v == seawall::verdict::transient());
  int cancelled = 0;
  c.take_cancels([&](seawall::attempt_id id) { cancelled += id == started.id ? 1 : 100; });
  CHECK(cancelled == 1);
  CHECK_FALSE(frame.on_done(c, fires + 1ns, started.id, seawall::verdict::ok()));
}

}  // namespace
