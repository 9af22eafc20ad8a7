// SPDX-License-Identifier: Apache-2.0
// One completion, on the scheduler, never from inside start.
#include "seawall/exec/completion.hpp"

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
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::held;
using seawall_test::result;

const auto inline_op = [](completion<result> done) { done(7); };

seawall::reason why(const result& r) {
  const auto rejected = seawall::rejection_of(r.status());
  return rejected ? rejected->why : seawall::reason::none;
}

/// Starts it, and sees that it was completed once, and not from inside.
template <class Pipeline, class Op>
seawall_test::told completed(const Pipeline& p, const seawall::call_options& options, Op op) {
  virtual_scheduler loop;
  answered<> got;
  p.start(options, loop, std::move(op), got.taker());
  CHECK(got.times == 0);
  loop.run();
  REQUIRE(got.once());
  return *got.value;
}

TEST_CASE("async: an operation that completes at once does not complete the call from inside start") {
  CHECK(completed(seawall::compose(), {}, inline_op) == 7);
  CHECK(completed(seawall::compose(seawall::retry()), {}, seawall::idempotent(inline_op)) == 7);
  CHECK(completed(seawall::compose(), {}, [] { return result(8); }) == 8);
}

TEST_CASE("async: what is rejected before the first attempt is not told from inside start") {
  int attempts = 0;
  const auto counts = [&](completion<result> done) {
    ++attempts;
    done(7);
  };
  seawall::circuit_breaker isolated;
  isolated.isolate();
  CHECK(why(completed(seawall::compose(seawall::breaker(isolated)), {}, counts)) ==
        seawall::reason::isolated);
  CHECK(why(completed(seawall::compose(), {.deadline = seawall::instant()}, counts)) ==
        seawall::reason::deadline_expired);
  std::stop_source gone;
  gone.request_stop();
  CHECK(why(completed(seawall::compose(), {.stop = gone.get_token()}, counts)) == seawall::reason::cancelled);
  CHECK(attempts == 0);
}

TEST_CASE("async: completed by each thread that there is, and told on the scheduler's") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  held<> op;
  answered<> got;
  std::thread::id told_on;
  p.start(loop, op.operation(), [&](result r) {
    told_on = std::this_thread::get_id();
    got.taker()(std::move(r));
  });
  std::thread([&] { op.end(0, 7); }).join();
  CHECK(got.times == 0);
  loop.run();
  CHECK(got.once());
  CHECK(told_on == std::this_thread::get_id());
  CHECK(loop.elapsed() == seawall::duration::zero());  // no timer is left behind
}

TEST_CASE("completion: moves; is let go of once, by whoever has it last") {
  virtual_scheduler loop;
  const auto p = seawall::compose();
  answered<> got;
  std::optional<completion<result>> kept;
  p.start(
      loop, [&](completion<result> done) { kept.emplace(std::move(done)); }, got.taker());
  completion<result> a = std::move(*kept);
  CHECK_FALSE(*kept);
  CHECK(a);
  kept.reset();  // has nothing to say any more
  loop.run();
  CHECK(got.times == 0);
  a = completion<result>(std::move(a));
  CHECK(a);
  {
    const completion<result> last = std::move(a);
    CHECK_FALSE(a);
  }
  loop.run();
  REQUIRE(got.once());
  CHECK(why(*got.value) == seawall::reason::no_answer);
}

TEST_CASE("completion: assigned to, it lets go of the attempt that it had") {
  virtual_scheduler loop;
  const auto p = seawall::compose();
  held<> op;
  answered<> first, second;
  p.start(loop, op.operation(), first.taker());
  p.start(loop, op.operation(), second.taker());
  op.pending[0].done = std::move(op.pending[1].done);
  loop.run();
  CHECK(why(*first.value) == seawall::reason::no_answer);
  CHECK(second.times == 0);
  op.end(0, 3);
  loop.run();
  CHECK(*second.value == 3);
}

TEST_CASE("a call that was not answered may have been executed: it is repeated only if idempotent") {
  const auto p = seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 1ms}}));
  const auto attempts_of = [&](auto declare) {
    virtual_scheduler loop;
    int attempts = 0;
    answered<> got;
    p.start(loop, declare([&](completion<result>) { ++attempts; }), got.taker());
    loop.run();
    CHECK(got.once());
    return attempts;
  };
  CHECK(attempts_of([](auto op) { return seawall::idempotent(op); }) == 3);
  CHECK(attempts_of([](auto op) { return seawall::non_idempotent(op); }) == 1);
}

TEST_CASE("completion: may be called where it lies, in what dies with the call") {
  // The operation holds its own completion, and goes when the call does: from inside the completion.
  struct holds_itself {
    void operator()(completion<result> done) {
      *place = std::move(done);
      (**place)(7);
    }
    std::shared_ptr<std::optional<completion<result>>> place =
        std::make_shared<std::optional<completion<result>>>();
  };
  CHECK(completed(seawall::compose(), {}, holds_itself()) == 7);
}

TEST_CASE("async: done is moved, called as an rvalue, and gone afterwards; so is the operation") {
  struct once {
    void operator()(const result&) & { FAIL("called as an lvalue"); }
    void operator()(const result& r) && { *got = r.value(); }
    std::unique_ptr<int> only_moved = std::make_unique<int>(1);
    std::shared_ptr<int> got;
  };
  virtual_scheduler loop;
  auto got = std::make_shared<int>(0);
  auto op_holds = std::make_shared<int>(0);
  const auto p = seawall::compose();
  p.start(
      loop, [op_holds, only_moved = std::make_unique<int>(7)](completion<result> done) { done(*only_moved); },
      once{.got = got});
  CHECK(op_holds.use_count() == 2);
  loop.run();
  CHECK(*got == 7);
  CHECK(got.use_count() == 1);
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("async: what done throws leaves the scheduler's work, and the call is over") {
  virtual_scheduler loop;
  auto op_holds = std::make_shared<int>(0);
  const auto p = seawall::compose();
  p.start(
      loop, [op_holds](completion<result> done) { done(1); },
      [](result) { throw std::runtime_error("mine"); });
  CHECK_THROWS_AS(loop.run(), std::runtime_error);
  CHECK(op_holds.use_count() == 1);
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("async: a thousand attempts that end at once take no stack") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::retry(
      {.max_attempts = 10'000, .backoff = {.shape = seawall::backoff_shape::constant, .initial = 0ms}}));
  int attempts = 0;
  answered<> got;
  p.start(loop, seawall::idempotent([&](completion<result> done) {
            ++attempts;
            done(absl::UnavailableError("busy"));
          }),
          got.taker());
  loop.run();
  CHECK(got.once());
  CHECK(attempts == 10'000);
}

TEST_CASE("async: the report is written before done is called, with the time that passed") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::retry(
      {.backoff = {
           .shape = seawall::backoff_shape::constant, .initial = 10ms, .jitter = seawall::jitter::none}}));
  seawall::call_report report;
  int attempts = 0, told = 0;
  p.start({.report = &report}, loop, seawall::idempotent([&](completion<result> done) {
            done(++attempts < 3 ? result(absl::UnavailableError("busy")) : result(7));
          }),
          [&](const result& r) {
            ++told;
            CHECK(r.ok());
            CHECK(report.attempts == 3);
            CHECK(report.elapsed == seawall::duration(20ms));
          });
  loop.run();
  CHECK(told == 1);
}

TEST_CASE(
    "async: a rejection is reported as such, and events reach the caller's listener and the pipeline's") {
  struct counting final : seawall::listener {
    void on(const seawall::event::rejected&) noexcept override { ++rejected; }
    void on(const seawall::event::retry_scheduled&) noexcept override { ++retries; }
    int rejected = 0, retries = 0;
  };
  virtual_scheduler loop;
  counting mine, whole;
  const auto p = seawall::compose(seawall::deadline({.after = 5ms}),
                                  seawall::retry({.backoff = {.shape = seawall::backoff_shape::constant,
                                                              .initial = 1ms,
                                                              .jitter = seawall::jitter::none}}))
                     .listen(whole);
  seawall::call_report report;
  held<> op;
  answered<> got;
  p.start({.events = &mine, .report = &report}, loop, seawall::idempotent(op.operation()), got.taker());
  op.end(0, absl::UnavailableError("busy"));
  loop.run();
  CHECK(got.once());
  CHECK(report.attempts == 2);
  CHECK(report.rejected == seawall::reason::deadline_exceeded);
  CHECK(report.rejected_by == "deadline");
  CHECK(report.elapsed == seawall::duration(5ms));
  CHECK(mine.rejected == 1);
  CHECK(whole.rejected == 1);
  CHECK(mine.retries == 1);
  op.end(1, 7);  // late
}

}  // namespace
