// SPDX-License-Identifier: Apache-2.0
// Stop tokens: the caller's, which ends the call, and each attempt's own, which says that its answer is not wanted.
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::held;
using seawall_test::result;

const auto bare = seawall::compose();
const auto limited = seawall::compose(seawall::deadline({.after = 10ms}));

seawall::retry_options tries(std::uint32_t n) {
  return {.max_attempts = n,
          .backoff = {
              .shape = seawall::backoff_shape::constant, .initial = 10ms, .jitter = seawall::jitter::none}};
}

bool cancelled(const result& r) {
  const auto rejected = seawall::rejection_of(r.status());
  return rejected && rejected->why == seawall::reason::cancelled;
}

TEST_CASE("the caller's stop token ends a call while its attempt runs; the attempt is told") {
  virtual_scheduler loop;
  std::stop_source caller;
  held<> op;
  answered<> got;
  bare.start({.stop = caller.get_token()}, loop, op.operation(), got.taker());
  const attempt a = op.pending[0].attempt;
  CHECK_FALSE(a.stop_requested());
  caller.request_stop();
  CHECK(got.times == 0);  // not from inside request_stop either
  loop.run();
  REQUIRE(got.once());
  CHECK(cancelled(*got.value));
  CHECK(a.stop_requested());
  op.end(0, 1);
}

TEST_CASE("the caller's stop token ends a pause, at once, and leaves no timer behind") {
  virtual_scheduler loop;
  std::stop_source caller;
  int attempts = 0;
  answered<> got;
  const auto p = seawall::compose(seawall::retry(tries(3)));
  p.start({.stop = caller.get_token()}, loop, seawall::idempotent([&](completion<result> done) {
            ++attempts;
            done(absl::UnavailableError("busy"));
          }),
          got.taker());
  loop.run_for(5ms);
  caller.request_stop();
  loop.run();
  REQUIRE(got.once());
  CHECK(cancelled(*got.value));
  CHECK(attempts == 1);
  CHECK(loop.elapsed() == seawall::duration(5ms));
}

TEST_CASE("stopped while it starts: from inside the operation, and in the moment of its answer") {
  for (const bool answers : {false, true}) {
    virtual_scheduler loop;
    std::stop_source caller;
    std::optional<completion<result>> kept;
    answered<> got;
    bare.start(
        {.stop = caller.get_token()}, loop,
        [&](completion<result> done) {
          if (answers) {
            done(7);
          } else {
            kept.emplace(std::move(done));
          }
          caller.request_stop();
        },
        got.taker());
    loop.run();
    REQUIRE(got.once());
    // Whichever came first.
    CHECK(got.value->ok() == answers);
    if (kept) (*kept)(1);
  }
}

TEST_CASE("a stop that comes after the end changes nothing, and refers to nothing") {
  virtual_scheduler loop;
  std::stop_source caller;
  answered<> got;
  bare.start(
      {.stop = caller.get_token()}, loop, [](completion<result> done) { done(7); }, got.taker());
  loop.run();
  caller.request_stop();
  CHECK_FALSE(loop.run_one());
  CHECK(got.once());
}

TEST_CASE("a call that was stopped does not resolve again: an answer in the same moment is dropped") {
  virtual_scheduler loop;
  std::stop_source caller;
  held<> op;
  answered<> got;
  bare.start({.stop = caller.get_token()}, loop, op.operation(), got.taker());
  caller.request_stop();
  op.end(0, 7);
  loop.run();
  REQUIRE(got.once());
  CHECK(cancelled(*got.value));
}

TEST_CASE(
    "an attempt that completes from inside its stop callback is fine, also if that callback asks again") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  limited.start(loop, op.operation(), got.taker());
  const attempt a = op.pending[0].attempt;
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  int called = 0;
  on_stop.emplace(a.stop_token(), [&] {
    ++called;
    CHECK(a.stop_requested());
    CHECK(a.stop_token().stop_requested());
    op.end(0, 9);
  });
  loop.run();
  CHECK(called == 1);
  REQUIRE(got.once());
  CHECK(got.value->status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(loop.elapsed() == seawall::duration(10ms));
}

TEST_CASE(
    "an attempt's token: one for each attempt; asked for before and after it fired; not fired by its own end") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::retry(tries(2)), seawall::attempt_timeout({.after = 5ms}));
  held<> op;
  answered<> got;
  p.start(loop, seawall::idempotent(op.operation()), got.taker());
  const std::stop_token early = op.pending[0].attempt.stop_token();
  CHECK(early == op.pending[0].attempt.stop_token());
  loop.run_for(5ms);
  CHECK(early.stop_requested());
  const attempt first = op.pending[0].attempt;
  CHECK(first.stop_requested());
  loop.run_for(10ms);
  REQUIRE(op.started() == 2);
  const attempt second = op.pending[1].attempt;
  CHECK_FALSE(second.stop_requested());
  CHECK_FALSE(second.stop_token().stop_requested());
  const std::stop_token kept = second.stop_token();
  op.end(1, 7);
  loop.run();
  CHECK(*got.value == 7);
  CHECK_FALSE(kept.stop_requested());
  // The first attempt still runs, and what it has is still valid.
  CHECK(first.stop_requested());
  CHECK(first.number() == 1);
  op.end(0, 1);
}

TEST_CASE("an attempt's token that is first asked for when it has fired, has fired") {
  virtual_scheduler loop;
  held<> op;
  answered<> got;
  limited.start(loop, op.operation(), got.taker());
  loop.run();
  CHECK(op.pending[0].attempt.stop_token().stop_requested());
  int called = 0;
  const std::stop_callback late(op.pending[0].attempt.stop_token(), [&] { ++called; });
  CHECK(called == 1);
  op.end(0, 1);
}

TEST_CASE("an attempt that takes the place of one that ended has a token of its own") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::deadline({.after = 15ms}), seawall::retry(tries(2)));
  std::vector<std::stop_token> tokens;
  std::optional<completion<result>> second;
  answered<> got;
  p.start(loop, seawall::idempotent([&](attempt a, completion<result> done) {
            tokens.push_back(a.stop_token());
            if (a.number() == 1) return done(absl::UnavailableError("busy"));
            second.emplace(std::move(done));
          }),
          got.taker());
  loop.run();
  REQUIRE(tokens.size() == 2);
  CHECK_FALSE(tokens[0].stop_requested());
  CHECK(tokens[1].stop_requested());
  (*second)(1);
}

TEST_CASE(
    "late_stop: many threads ask for the token while it fires: one token, and every callback runs once") {
  for (int round = 0; round < 2'000; ++round) {
    seawall::detail::late_stop stop;
    std::atomic<int> called{0};
    std::vector<std::optional<std::stop_callback<std::function<void()>>>> callbacks(2);
    seawall_test::on_threads(3, [&](int t) {
      if (t == 2) return stop.request();
      callbacks[static_cast<std::size_t>(t)].emplace(stop.token(), [&] { ++called; });
    });
    REQUIRE(called == 2);
    REQUIRE(stop.requested());
    callbacks.clear();
    stop.reset();
    REQUIRE_FALSE(stop.requested());
    REQUIRE_FALSE(stop.token().stop_requested());
  }
}

TEST_CASE("stopped from another thread while attempts end and timers are due: one answer each") {
  seawall::pool_scheduler pool({.threads = 2});
  const auto p =
      seawall::compose(seawall::deadline({.after = 200us}), seawall::retry({.backoff = {.initial = 20us}}));
  for (int round = 0; round < 300; ++round) {
    std::stop_source caller;
    std::atomic<int> told{0};
    p.start({.stop = caller.get_token()}, pool,
            seawall::idempotent([](completion<result> done) { done(absl::UnavailableError("busy")); }),
            [&](const result&) {
              ++told;
              told.notify_one();
            });
    caller.request_stop();
    told.wait(0);
    REQUIRE(told == 1);
  }
}

}  // namespace
