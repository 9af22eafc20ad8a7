// SPDX-License-Identifier: Apache-2.0
// Substitutes that take their time.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
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
using seawall_test::answered;
using seawall_test::gate;
using seawall_test::held;
using seawall_test::lazy;
using seawall_test::pause_for;
using seawall_test::result;

void down(completion<result> done) { done(absl::UnavailableError("down")); }

template <class Fallback>
seawall_test::told substitute_of(Fallback fallback) {
  virtual_scheduler loop;
  answered<> got;
  const auto p = seawall::compose(std::move(fallback));
  p.start(loop, down, got.taker());
  CHECK(got.times == 0);
  loop.run();
  REQUIRE(got.once());
  return *got.value;
}

TEST_CASE("fallback, asynchronously: a value, functions of nothing, the error, the attempt, both") {
  CHECK(substitute_of(seawall::fallback(1)) == 1);
  CHECK(substitute_of(seawall::fallback([] { return 2; })) == 2);
  CHECK(substitute_of(seawall::fallback(
            [](const absl::Status& s) -> result { return static_cast<int>(s.message().size()); })) == 4);
  CHECK(substitute_of(seawall::fallback([](const attempt& a) { return static_cast<int>(a.number()) + 4; })) ==
        5);
  CHECK(substitute_of(
            seawall::fallback([](const absl::Status& s, const attempt&) { return s.ok() ? 0 : 6; })) == 6);
}

TEST_CASE("fallback, asynchronously: awaitables and callbacks") {
  CHECK(substitute_of(seawall::fallback([]() -> lazy<result> { co_return 1; })) == 1);
  CHECK(substitute_of(seawall::fallback([](const absl::Status& s) -> lazy<int> {
          co_return static_cast<int>(s.message().size());
        })) == 4);
  CHECK(substitute_of(seawall::fallback(
            [](const absl::Status&, const attempt&, completion<result> done) { done(3); })) == 3);
  const auto silent =
      substitute_of(seawall::fallback([](const absl::Status&, const attempt&, completion<result>) {}));
  CHECK(seawall::rejection_of(silent.status())->why == seawall::reason::no_answer);
}

TEST_CASE("fallback: the error that a source was given stays valid while it is at work") {
  virtual_scheduler loop;
  answered<> got;
  const auto p = seawall::compose(seawall::fallback([&loop](const absl::Status& s) -> lazy<result> {
                                    co_await pause_for(loop, 5ms);
                                    co_return static_cast<int>(s.message().size());
                                  }),
                                  seawall::fallback([](const absl::Status&) -> result {
                                    return absl::InternalError(std::string(100, 'x'));
                                  }));
  p.start(loop, down, got.taker());
  loop.run();
  CHECK(*got.value == 100);
}

TEST_CASE("fallback_to, asynchronously: the other pipeline has its own retries, and inherits the deadline") {
  virtual_scheduler loop;
  int asked = 0;
  const auto replica = seawall::compose(seawall::retry({.backoff = {.initial = 1ms}}));
  std::optional<seawall::instant> deadline;
  const auto p = seawall::compose(
      seawall::deadline({.after = 100ms}),
      seawall::fallback_to(replica, seawall::idempotent([&](attempt a, completion<result> done) {
                             deadline = a.deadline();
                             done(++asked == 1 ? result(absl::UnavailableError("as well")) : result(8));
                           })));
  answered<> got;
  p.start(loop, down, got.taker());
  loop.run();
  CHECK(*got.value == 8);
  CHECK(asked == 2);
  CHECK(*deadline == seawall::instant() + 100ms);
}

TEST_CASE("fallback: a chain asks the inner one first, and each that fails hands on") {
  virtual_scheduler loop;
  std::string asked;
  const auto p = seawall::compose(
      seawall::fallback({.name = "last"},
                        [&](const absl::Status& s) -> lazy<result> {
                          asked += "last after " + std::string(seawall::detail::from_absl(s.message()));
                          co_return 3;
                        }),
      seawall::fallback([&](const absl::Status&, const attempt&, completion<result> done) {
        asked += "second; ";
        done(absl::UnavailableError("second"));
      }),
      seawall::fallback([&]() -> lazy<result> {
        asked += "first; ";
        co_await pause_for(loop, 1ms);
        co_return absl::UnavailableError("first");
      }));
  seawall::call_report report;
  answered<> got;
  p.start({.report = &report}, loop, down, got.taker());
  loop.run();
  CHECK(*got.value == 3);
  CHECK(asked == "first; second; last after second");
  CHECK(report.degraded);
  CHECK(report.degraded_by == "last");
  CHECK(report.attempts == 1);
}

TEST_CASE("fallback: a deadline outside ends a substitute that hangs, and tells it to stop") {
  virtual_scheduler loop;
  std::optional<completion<result>> kept;
  std::optional<attempt> seen;
  const auto p =
      seawall::compose(seawall::deadline({.after = 20ms}),
                       seawall::fallback([&](const absl::Status&, const attempt& a, completion<result> done) {
                         seen.emplace(a);
                         kept.emplace(std::move(done));
                       }));
  answered<> got;
  p.start(loop, down, got.taker());
  loop.run();
  REQUIRE(got.once());
  CHECK(got.value->status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(loop.elapsed() == seawall::duration(20ms));
  CHECK(seen->stop_requested());
  (*kept)(5);
}

TEST_CASE("fallback_to: given up, it gives up its own attempt at once") {
  virtual_scheduler loop;
  held<> op;
  const auto replica = seawall::compose(seawall::deadline({.after = 1h}));
  const auto p =
      seawall::compose(seawall::deadline({.after = 20ms}), seawall::fallback_to(replica, op.operation()));
  answered<> got;
  p.start(loop, down, got.taker());
  loop.run();
  REQUIRE(got.once());
  CHECK(loop.elapsed() == seawall::duration(20ms));
  REQUIRE(op.started() == 1);
  CHECK(op.pending[0].attempt.stop_requested());
  op.end(0, 1);
}

TEST_CASE("fallback: a caller that has gone wants no substitute") {
  virtual_scheduler loop;
  std::stop_source caller;
  int asked = 0;
  const auto p = seawall::compose(seawall::fallback([&] { return ++asked; }));
  answered<> got;
  p.start(
      {.stop = caller.get_token()}, loop, [](completion<result>) {}, got.taker());
  caller.request_stop();
  loop.run();
  CHECK(got.once());
  CHECK(asked <= 1);
  held<> op;
  answered<> second;
  std::stop_source again;
  p.start({.stop = again.get_token()}, loop, op.operation(), second.taker());
  again.request_stop();
  asked = 0;
  op.end(0, absl::UnavailableError("late"));
  loop.run();
  CHECK(second.once());
  CHECK(asked == 0);
}

TEST_CASE(
    "fallback on a pool: functions run while the caller waits, another pipeline's operation on the pool") {
  seawall::pool_scheduler pool({.threads = 1});
  const auto fails = []() -> result { return absl::UnavailableError("down"); };
  const auto replica = seawall::compose(seawall::deadline({.after = 10s}));
  const auto p = seawall::compose(seawall::fallback_to(replica, [] { return result(4); }));
  CHECK(p.run_on(pool, fails).value() == 4);
  CHECK(seawall::compose(seawall::fallback(5)).run_on(pool, fails).value() == 5);
}

}  // namespace
