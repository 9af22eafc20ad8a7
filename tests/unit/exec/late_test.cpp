// SPDX-License-Identifier: Apache-2.0
// Attempts that are given up, and end later.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::gate;
using seawall_test::held;
using seawall_test::lazy;
using seawall_test::result;
using seawall_test::token;

seawall::retry_options tries(std::uint32_t n) {
  return {.max_attempts = n,
          .backoff = {
              .shape = seawall::backoff_shape::constant, .initial = 1ms, .jitter = seawall::jitter::none}};
}

TEST_CASE("a deadline ends the call on time, whether the attempt ends or not") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::deadline({.after = 30ms}));
  p.start(loop, op.operation(), got.taker());
  CHECK(op.pending[0].attempt.deadline() == loop.now() + 30ms);
  loop.run();
  REQUIRE(got.once());
  CHECK(loop.elapsed() == seawall::duration(30ms));
  CHECK(got.value->status().code() == absl::StatusCode::kDeadlineExceeded);
  op.end(0, 7);
  CHECK_FALSE(loop.run_one());  // late attempts do not use the scheduler
  CHECK(got.once());
}

TEST_CASE("a late answer never becomes the answer of a later attempt") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::retry(tries(3)), seawall::attempt_timeout({.after = 10ms}));
  p.start(loop, seawall::idempotent(op.operation()), got.taker());
  loop.run_for(11ms);
  REQUIRE(op.started() == 2);
  op.end(0, 1);
  loop.run_for(1ms);
  CHECK(got.times == 0);
  op.end(1, 2);
  loop.run_for(1ms);
  REQUIRE(got.once());
  CHECK(*got.value == 2);
}

TEST_CASE("a loser's result is destroyed when it comes, before and after the call has ended") {
  {
    virtual_scheduler loop;
    held<absl::StatusOr<token>> op;
    answered<absl::StatusOr<token>> got;
    const auto p = seawall::compose(seawall::retry(tries(3)), seawall::attempt_timeout({.after = 10ms}));
    p.start(loop, seawall::idempotent(op.operation()), got.taker());
    loop.run_for(25ms);
    REQUIRE(op.started() == 3);
    op.end(0, token(1));
    loop.run_for(1us);
    CHECK(token::alive == 0);
    op.end(2, token(3));
    loop.run_for(1us);
    REQUIRE(got.once());
    CHECK((*got.value)->value == 3);
    CHECK(token::alive == 1);
    op.end(1, token(2));
    CHECK(token::alive == 1);
  }
  CHECK(token::alive == 0);
}

TEST_CASE("the call's state lives until its last attempt has ended, and no longer; done goes before") {
  auto op_holds = std::make_shared<int>(0);
  auto done_holds = std::make_shared<int>(0);
  virtual_scheduler loop;
  std::vector<completion<result>> pending;
  const auto p = seawall::compose(seawall::retry(tries(2)), seawall::attempt_timeout({.after = 10ms}));
  p.start(loop, seawall::idempotent([op_holds, &pending](completion<result> done) {
            pending.push_back(std::move(done));
          }),
          [done_holds](const result&) {});
  loop.run();
  CHECK(done_holds.use_count() == 1);
  REQUIRE(pending.size() == 2);
  CHECK(op_holds.use_count() == 2);
  pending.pop_back();
  CHECK(op_holds.use_count() == 2);
  pending.pop_back();
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("more late attempts than there is room for: each keeps its place, its token and its attempt") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::retry(tries(20)), seawall::attempt_timeout({.after = 1ms}));
  p.start(loop, seawall::idempotent(op.operation()), got.taker());
  loop.run_for(20ms);
  const std::size_t piled = op.started();
  REQUIRE(piled >= 10);
  for (std::size_t i = 0; i + 1 < piled; ++i) {
    CHECK(op.pending[i].attempt.stop_requested());
    CHECK(op.pending[i].attempt.number() == i + 1);
  }
  CHECK_FALSE(op.pending[piled - 1].attempt.stop_requested());
  // Places of those that end are used again.
  for (std::size_t i = 0; i + 1 < piled; i += 2) op.end(i, 1);
  loop.run_for(20ms);
  REQUIRE(op.started() > piled + 3);
  for (std::size_t i = 1; i < op.started(); i += 2) {
    if (op.pending[i].done) op.end(i, static_cast<int>(i));
  }
  loop.run();
  CHECK(got.once());
  for (auto& one : op.pending) {
    if (one.done) one.done(5);
  }
}

TEST_CASE("a coroutine that is late goes on in its own place while the next one runs") {
  virtual_scheduler loop;
  gate gates[2];
  int ended = 0;
  answered<> got;
  const auto p = seawall::compose(seawall::retry(tries(2)), seawall::attempt_timeout({.after = 10ms}));
  p.start(loop, seawall::idempotent([&](attempt a) -> lazy<result> {
            co_await gates[a.number() - 1];
            ++ended;
            co_return static_cast<int>(a.number()) + (a.stop_requested() ? 10 : 0);
          }),
          got.taker());
  loop.run_for(11ms);
  gates[1].open();
  loop.run();
  CHECK(*got.value == 2);
  gates[0].open();
  CHECK(ended == 2);
}

TEST_CASE("an attempt that ends in the very moment of its time-out is told once") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::attempt_timeout({.after = 10ms}));
  p.start(loop, op.operation(), got.taker());
  loop.run_until(loop.now() + 9ms);
  op.end(0, 7);  // the mail is posted; the timer still armed
  loop.run();
  CHECK(*got.value == 7);
  CHECK(loop.elapsed() == seawall::duration(9ms));
}

TEST_CASE("timers: one that is due earlier replaces the one that is armed; one that is due later does not") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::deadline({.after = 100ms}), seawall::retry(tries(9)),
                                  seawall::attempt_timeout({.after = 20ms}));
  p.start(loop, seawall::idempotent(op.operation()), got.taker());
  loop.run_for(5ms);
  op.end(0, absl::UnavailableError("busy"));  // pause of 1 ms: earlier than the time-out at 20 ms
  loop.run_for(1ms);
  REQUIRE(op.started() == 2);
  loop.run_for(19'999us);
  CHECK_FALSE(op.pending[1].attempt.stop_requested());
  loop.run_for(1us);
  CHECK(op.pending[1].attempt.stop_requested());
  loop.run();
  CHECK(got.value->status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(loop.elapsed() == seawall::duration(100ms));
  for (auto& one : op.pending) {
    if (one.done) one.done(1);
  }
}

/// Says that timers cannot be cancelled any more: they are about to run, on another thread.
struct late_timers : virtual_scheduler {
  using timer = virtual_scheduler::timer;
  static bool cancel(timer&) { return false; }
};

TEST_CASE(
    "a timer that cannot be cancelled any more keeps the state alive until it has come, and does nothing then") {
  auto op_holds = std::make_shared<int>(0);
  late_timers loop;
  answered<> got;
  const auto p = seawall::compose(seawall::deadline({.after = 10ms}), seawall::retry(tries(2)));
  int attempts = 0;
  p.start(loop, seawall::idempotent([op_holds, &attempts](completion<result> done) {
            done(++attempts == 1 ? result(absl::UnavailableError("busy")) : result(7));
          }),
          got.taker());
  loop.run_for(1ms);
  CHECK(attempts == 1);  // the pause's timer could not replace the deadline's
  loop.run_for(10ms);
  CHECK(got.once());
  loop.run();
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("a timer that cannot be cancelled: the call is told at once all the same") {
  auto op_holds = std::make_shared<int>(0);
  late_timers loop;
  answered<> got;
  const auto p = seawall::compose(seawall::deadline({.after = 10ms}));
  p.start(
      loop, [op_holds](completion<result> done) { done(7); }, got.taker());
  loop.run_for(1ms);
  CHECK(got.once());
  CHECK(op_holds.use_count() == 2);
  loop.run();
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("a breaker hears of a time-out once; not of what the attempt says later") {
  virtual_scheduler loop;
  seawall::circuit_breaker breaker({.consecutive_failures = 2});
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::breaker(breaker), seawall::attempt_timeout({.after = 10ms}));
  p.start(loop, op.operation(), got.taker());
  loop.run();
  CHECK(breaker.snapshot(loop.now()).counts.consecutive_failures == 1);
  op.end(0, absl::UnavailableError("late as well"));
  CHECK(breaker.snapshot(loop.now()).counts.consecutive_failures == 1);
}

}  // namespace
