// SPDX-License-Identifier: Apache-2.0
// co_await pipeline.async(...): results, what is thrown, and coroutines that are destroyed while they wait.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::coroutine;
using seawall_test::held;
using seawall_test::result;
using seawall_test::token;

const auto bare = seawall::compose();
void ignore(const result&) {}

TEST_CASE("async: a coroutine goes on with the result, on the scheduler, not from inside") {
  virtual_scheduler loop;
  int seen = 0;
  const auto waits = [&]() -> coroutine {
    seen = (co_await bare.async(loop, [](completion<result> done) { done(7); })).value();
  };
  const coroutine c = waits();
  CHECK(seen == 0);
  loop.run();
  CHECK(seen == 7);
  CHECK(c.done());
}

TEST_CASE("async: the call starts when it is awaited, not before") {
  virtual_scheduler loop;
  held<> op;
  auto later = bare.async(loop, op.operation());
  CHECK(op.started() == 0);
  const auto waits = [](auto& call) -> coroutine { ignore(co_await call); };
  const coroutine c = waits(later);
  CHECK(op.started() == 1);
  op.end(0, 1);
  loop.run();
  CHECK(c.done());
}

TEST_CASE("async: plain results: values that can only be moved, nothing, and what is thrown") {
  virtual_scheduler loop;
  std::string log;
  const auto waits = [&]() -> coroutine {
    const token t = co_await bare.async(loop, [](completion<token> done) { done(3); });
    log += std::to_string(t.value);
    co_await bare.async(loop, [](completion<void> done) { done(); });
    log += " nothing";
    try {
      co_await bare.async(loop, [](attempt) -> int { throw std::runtime_error(" thrown"); });
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
    seawall::circuit_breaker isolated;
    isolated.isolate();
    const auto rejects = seawall::compose(seawall::breaker(isolated));
    try {
      co_await rejects.async(loop, [](attempt) { return 1; });
    } catch (const seawall::rejected_error& e) {
      log += e.why().why == seawall::reason::isolated ? " rejected" : " other";
    }
  };
  const coroutine c = waits();
  loop.run();
  CHECK(c.done());
  CHECK(log == "3 nothing thrown rejected");
}

TEST_CASE("async: options are copied when the call is made, and kept while it runs") {
  virtual_scheduler loop;
  std::stop_source caller;
  held<> op;
  bool cancelled = false;
  const auto waits = [&]() -> coroutine {
    // Not in the expression: g++ 12 destroys braced temporaries of a co_await expression twice.
    auto options = std::make_optional<seawall::call_options>({.priority = 3, .stop = caller.get_token()});
    auto call = bare.async(*options, loop, op.operation());
    options.reset();
    cancelled = (co_await call).status().code() == absl::StatusCode::kCancelled;
  };
  const coroutine c = waits();
  CHECK(op.pending[0].attempt.priority() == 3);
  caller.request_stop();
  loop.run();
  CHECK(cancelled);
  op.end(0, 1);
}

TEST_CASE("async: ten thousand calls in a loop take no stack") {
  virtual_scheduler loop;
  int sum = 0;
  const auto waits = [&]() -> coroutine {
    for (int i = 0; i < 10'000; ++i) sum += (co_await bare.async(loop, [] { return result(1); })).value();
  };
  const coroutine c = waits();
  loop.run();
  CHECK(sum == 10'000);
}

/// A coroutine that waits for one call, and says if it was resumed.
struct waiting {
  template <class Pipeline, class Op>
  waiting(const Pipeline& p, virtual_scheduler& loop, Op op) : c(wait(p, loop, std::move(op))) {}
  template <class Pipeline, class Op>
  coroutine wait(const Pipeline& p, virtual_scheduler& loop, Op op) {
    ignore(co_await p.async(loop, std::move(op)));
    resumed = true;
  }
  bool resumed = false;
  coroutine c;
};

TEST_CASE(
    "a coroutine is destroyed while the attempt runs: it is given up, and the state goes with its end") {
  virtual_scheduler loop;
  held<> op;
  auto op_holds = std::make_shared<int>(0);
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  waiting w(p, loop, [inner = op.operation(), op_holds](attempt a, completion<result> done) {
    inner(a, std::move(done));
  });
  w.c.destroy();
  loop.run();
  CHECK_FALSE(w.resumed);
  CHECK(op.pending[0].attempt.stop_requested());
  CHECK(loop.elapsed() == seawall::duration::zero());  // no timer left
  CHECK(op_holds.use_count() == 2);
  op.end(0, 1);
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("a coroutine is destroyed while the answer is on its way: nobody is resumed") {
  virtual_scheduler loop;
  held<> op;
  waiting w(bare, loop, op.operation());
  std::thread([&] { op.end(0, 1); }).join();
  w.c.destroy();
  loop.run();
  CHECK_FALSE(w.resumed);
  waiting at_once(bare, loop, [](completion<result> done) { done(1); });
  at_once.c.destroy();
  seawall::circuit_breaker isolated;
  isolated.isolate();
  const auto rejects = seawall::compose(seawall::breaker(isolated));
  waiting rejected(rejects, loop, [](completion<result> done) { done(1); });
  rejected.c.destroy();  // settled in start, not told yet
  loop.run();
  CHECK_FALSE(at_once.resumed);
  CHECK_FALSE(rejected.resumed);
}

TEST_CASE("a coroutine is destroyed in a pause: no further attempt, no timer") {
  virtual_scheduler loop;
  auto op_holds = std::make_shared<int>(0);
  int attempts = 0;
  const auto p = seawall::compose(
      seawall::retry({.backoff = {.initial = 1h, .max = 1h, .jitter = seawall::jitter::none}}));
  waiting w(p, loop, seawall::idempotent([&attempts, op_holds](completion<result> done) {
              ++attempts;
              done(absl::UnavailableError("busy"));
            }));
  loop.run_for(1ms);
  w.c.destroy();
  loop.run();
  CHECK(attempts == 1);
  CHECK(loop.elapsed() == seawall::duration(1ms));
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE(
    "a coroutine is destroyed by the operation that it waits for, in start and from a stop callback of the last moment") {
  virtual_scheduler loop;
  std::optional<waiting> w;
  held<> op;
  const auto p = seawall::compose(seawall::deadline({.after = 10ms}));
  w.emplace(p, loop, op.operation());
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  on_stop.emplace(op.pending[0].attempt.stop_token(), [&] { w->c.destroy(); });
  loop.run();
  CHECK_FALSE(w->resumed);
  on_stop.reset();
  op.end(0, 1);
}

TEST_CASE("a coroutine that was destroyed is no call under way: the scheduler hears of its end") {
  struct counting : virtual_scheduler {
    using timer = virtual_scheduler::timer;
    void work_started() { ++under_way; }
    void work_finished() { --under_way; }
    int under_way = 0;
  };
  counting loop;
  held<> op;
  const auto wait = [&]() -> coroutine { ignore(co_await bare.async(loop, op.operation())); };
  coroutine answered = wait(), destroyed = wait();
  CHECK(loop.under_way == 2);
  op.end(0, 1);
  destroyed.destroy();
  loop.run();
  CHECK(answered.done());
  CHECK(loop.under_way == 0);
  op.end(1, 1);
}

TEST_CASE(
    "a coroutine outlives the scheduler that dropped its call: it is never resumed, and can be destroyed") {
  held<> op;
  std::optional<virtual_scheduler> loop(std::in_place);
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  waiting w(p, *loop, op.operation());
  loop.reset();
  CHECK_FALSE(w.resumed);
  w.c.destroy();
  op.end(0, 1);
}

}  // namespace
