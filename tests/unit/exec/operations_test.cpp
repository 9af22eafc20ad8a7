// SPDX-License-Identifier: Apache-2.0
// Every kind of operation that exec/launch.hpp names.
#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "seawall/exec/launch.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

/// What only lives in coroutines of its own kind.
namespace foreign {
struct value {
  int v;
};
}  // namespace foreign

template <>
struct seawall::awaitable_bridge<foreign::value> {
  using result_type = absl::StatusOr<int>;
  template <class Scheduler, class Make, class Done>
  void start(Scheduler&, Make make, Done done) {
    ++started;
    const foreign::value made = make();
    if (made.v < 0) throw std::runtime_error("bridge");
    done(made.v);
  }
  void cancel() {}
  static inline int started = 0;
};

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::gate;
using seawall_test::lazy;
using seawall_test::result;
using seawall_test::token;

/// Retries, so that each kind is started a second time in the same place.
const auto pipeline =
    seawall::compose(seawall::deadline({.after = 1h}), seawall::retry({.backoff = {.initial = 1ms}}));

template <class Op>
auto answer_to(Op op) {
  using R = typename seawall::detail::async_operation<Op>::result_type;
  virtual_scheduler loop;
  answered<seawall::answer_of<R>> got;
  pipeline.start(loop, seawall::idempotent(std::move(op)), got.taker());
  loop.run();
  REQUIRE(got.once());
  return std::move(*got.value);
}

result second_time(const attempt& a) {
  return a.number() == 1 ? result(absl::UnavailableError("first")) : result(static_cast<int>(a.number()));
}

void calls_back(attempt a, completion<result> done) { done(second_time(a)); }
void calls_back_noexcept(completion<result> done) noexcept { done(5); }

TEST_CASE(
    "operations: callbacks as lambda, function, pointer, std::function, std::ref, member, const or not") {
  CHECK(answer_to([](attempt a, completion<result> done) { done(second_time(a)); }) == 2);
  CHECK(answer_to([n = 0](attempt a, completion<result> done) mutable {
          done(++n == 2 ? second_time(a) : result(absl::UnavailableError("first")));
        }) == 2);
  CHECK(answer_to([](completion<result> done) noexcept { done(5); }) == 5);
  CHECK(answer_to(&calls_back) == 2);
  CHECK(answer_to(&calls_back_noexcept) == 5);
  CHECK(answer_to(std::ref(calls_back)) == 2);
  using copyable = std::function<void(attempt, completion<result>)>;
  CHECK(answer_to(copyable(calls_back)) == 2);
  int calls = 0;
  auto counts = [&calls](attempt a, completion<result> done) mutable {
    ++calls;
    done(second_time(a));
  };
  CHECK(answer_to(std::ref(counts)) == 2);
  CHECK(calls == 2);
}

TEST_CASE("operations: an attempt by reference, by value, or none") {
  CHECK(answer_to([](const attempt& a, completion<result> done) { done(second_time(a)); }) == 2);
  CHECK(answer_to([](const attempt& a, completion<result>&& done) { done(second_time(a)); }) == 2);
  CHECK(answer_to([](const attempt& a) { return second_time(a); }) == 2);
  CHECK(answer_to([] { return result(4); }) == 4);
  CHECK(answer_to([](const attempt& a) -> lazy<result> { co_return second_time(a); }) == 2);
  CHECK(answer_to([]() -> lazy<result> { co_return 6; }) == 6);
}

TEST_CASE("operations: awaitables: coroutines, awaiters, those with operator co_await") {
  struct ready {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    result await_resume() const { return 9; }
  };
  struct to_ready {
    ready operator co_await() const noexcept { return {}; }
  };
  CHECK(answer_to([] { return ready(); }) == 9);
  CHECK(answer_to([](attempt) { return to_ready(); }) == 9);
  // What a coroutine's parameters refer to lives as long as it does.
  gate g;
  virtual_scheduler loop;
  answered<> got;
  pipeline.start(loop, seawall::idempotent([&g](const attempt& a) -> lazy<result> {
                   co_await g;
                   co_return static_cast<int>(a.number()) + 40;
                 }),
                 got.taker());
  loop.run_for(1min);
  g.open();
  loop.run();
  CHECK(*got.value == 41);
}

TEST_CASE("operations: an awaitable whose frame does not fit into the call's room") {
  struct large {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    result await_resume() const { return bytes[999]; }
    char bytes[1000] = {};
  };
  CHECK(answer_to([] {
          large l;
          l.bytes[999] = 3;
          return l;
        }) == 3);
}

TEST_CASE("operations: those with a bridge, and a bridge that throws ends the attempt") {
  const int before = seawall::awaitable_bridge<foreign::value>::started;
  CHECK(answer_to([] { return foreign::value{11}; }) == 11);
  CHECK(seawall::awaitable_bridge<foreign::value>::started == before + 1);
  // StatusOr speaks of failures itself: a rejection, and it may have been executed, so it was tried three times.
  const result threw = answer_to([] { return foreign::value{-1}; });
  CHECK(seawall::rejection_of(threw.status())->why == seawall::reason::threw);
  CHECK(seawall::awaitable_bridge<foreign::value>::started == before + 4);
}

TEST_CASE("operations: results that can only be moved, and cannot be made from nothing") {
  {
    CHECK(answer_to([](completion<token> done) { done(token(3)); }).value().value == 3);
    CHECK(answer_to([](completion<token> done) { done(3); }).value().value == 3);
    CHECK(answer_to([](attempt) { return token(4); }).value().value == 4);
    CHECK(answer_to([]() -> lazy<token> { co_return token(5); }).value().value == 5);
    CHECK(answer_to([](completion<absl::StatusOr<std::unique_ptr<int>>> done) {
            done(std::make_unique<int>(6));
          }).value() != nullptr);
  }
  CHECK(token::alive == 0);
}

TEST_CASE("operations: nothing to return") {
  struct nothing_awaited {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
  };
  CHECK(answer_to([](completion<void> done) { done(); }).error() == nullptr);
  CHECK(answer_to([](attempt) {}).error() == nullptr);
  CHECK(answer_to([] { return nothing_awaited(); }).error() == nullptr);
}

TEST_CASE("operations: absl::Status, and conversions to the result") {
  CHECK(answer_to([](completion<absl::Status> done) { done(absl::OkStatus()); }).ok());
  CHECK(answer_to([](completion<absl::StatusOr<std::string>> done) { done("text"); }).value() == "text");
  CHECK(answer_to([](completion<result> done) { done(absl::NotFoundError("none")); }).status().code() ==
        absl::StatusCode::kNotFound);
}

TEST_CASE("operations: idempotent_by hands its key to every attempt") {
  virtual_scheduler loop;
  answered<> got;
  int seen = 0;
  pipeline.start(loop,
                 seawall::idempotent_by("order-0815-with-a-long-tail",
                                        [&](attempt a, completion<result> done) {
                                          seen += a.idempotency_key() == "order-0815-with-a-long-tail";
                                          done(second_time(a));
                                        }),
                 got.taker());
  loop.run();
  CHECK(seen == 2);
}

TEST_CASE("any_pipeline: started, awaited, run on a pool") {
  const seawall::any_pipeline<result> dynamic = pipeline;
  virtual_scheduler loop;
  answered<> got;
  dynamic.start(loop, seawall::idempotent(calls_back), got.taker());
  int awaited = 0;
  auto waits = [&]() -> seawall_test::coroutine {
    awaited = (co_await dynamic.async(loop, seawall::idempotent(calls_back))).value();
  };
  const auto c = waits();
  loop.run();
  CHECK(*got.value == 2);
  CHECK(awaited == 2);
  seawall::pool_scheduler pool({.threads = 1});
  CHECK(dynamic.run_on(pool, seawall::idempotent(second_time)).value() == 2);
}

}  // namespace
