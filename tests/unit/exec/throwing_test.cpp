// SPDX-License-Identifier: Apache-2.0
// What is thrown, by whomever, ends an attempt or a call; it never leaves one hanging.
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
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
using seawall_test::lazy;
using seawall_test::result;

const auto bare = seawall::compose();

template <class Pipeline, class Op>
auto answer_to(const Pipeline& p, Op op) {
  using bare_op = std::remove_reference_t<decltype(seawall::detail::operation_view<Op>::bare(op))>;
  using R = typename seawall::detail::async_operation<bare_op>::result_type;
  virtual_scheduler loop;
  answered<seawall::answer_of<R>> got;
  p.start(loop, std::move(op), got.taker());
  CHECK(got.times == 0);
  loop.run();
  REQUIRE(got.once());
  return std::move(*got.value);
}

[[noreturn]] void fail() { throw std::runtime_error("boom"); }

void check_threw(const result& r) {
  REQUIRE(seawall::rejection_of(r.status()).has_value());
  CHECK(seawall::rejection_of(r.status())->why == seawall::reason::threw);
  CHECK(r.status().message().find("boom") != std::string::npos);
}

template <class T>
bool threw_boom(const T& answer) {
  try {
    if (answer.error() == nullptr) return false;
    std::rethrow_exception(answer.error());
  } catch (const std::runtime_error& e) {
    return std::string(e.what()) == "boom";
  }
}

TEST_CASE("an operation with a status that throws ends its attempt: one that answers at once") {
  check_threw(answer_to(bare, []() -> result { fail(); }));
  check_threw(answer_to(bare, [](attempt) -> result { fail(); }));
}

TEST_CASE(
    "an operation with a status that throws ends its attempt: one that calls back, before and after it let go") {
  check_threw(answer_to(bare, [](completion<result>) { fail(); }));
  check_threw(answer_to(bare, [](completion<result> done) {
    { const completion<result> gone = std::move(done); }
    fail();
  }));
}

TEST_CASE(
    "an operation with a status that throws ends its attempt: a coroutine, before and after it was suspended") {
  check_threw(answer_to(bare, []() -> lazy<result> {
    fail();
    co_return 1;
  }));
  gate g;
  virtual_scheduler loop;
  answered<> got;
  bare.start(
      loop,
      [&g]() -> lazy<result> {
        co_await g;
        fail();
        co_return 1;
      },
      got.taker());
  loop.run();
  CHECK(got.times == 0);
  g.open();
  loop.run();
  REQUIRE(got.once());
  check_threw(*got.value);
}

TEST_CASE("an operation with a status that throws ends its attempt: the function that makes the awaitable") {
  check_threw(answer_to(bare, [](attempt a) -> lazy<result> {
    if (a.number() == 1) fail();
    return [](int i) -> lazy<result> { co_return i; }(1);
  }));
}

TEST_CASE("what an operation has said before it throws counts, and so does what it will still say") {
  CHECK(answer_to(bare, [](completion<result> done) {
          done(7);
          fail();
        }) == 7);
  virtual_scheduler loop;
  answered<> got;
  std::optional<completion<result>> kept;
  bare.start(
      loop,
      [&](completion<result> done) {
        kept.emplace(std::move(done));
        fail();
      },
      got.taker());
  loop.run();
  CHECK(got.times == 0);
  (*kept)(8);
  loop.run();
  CHECK(*got.value == 8);
}

TEST_CASE("where failures are thrown, all kinds of operations pass on what they throw") {
  CHECK(threw_boom(answer_to(bare, []() -> int { fail(); })));
  CHECK(threw_boom(answer_to(bare, [](completion<int>) { fail(); })));
  CHECK(threw_boom(answer_to(bare, []() -> lazy<int> {
    fail();
    co_return 1;
  })));
  CHECK(threw_boom(answer_to(
      bare, [](completion<int> done) { done.fail(std::make_exception_ptr(std::runtime_error("boom"))); })));
  CHECK(threw_boom(answer_to(
      bare, [](completion<void> done) { done.fail(std::make_exception_ptr(std::runtime_error("boom"))); })));
  CHECK(threw_boom(answer_to(bare, [](attempt) { fail(); })));
}

TEST_CASE("fail, where results tell of failures themselves, is a rejection; what is no std::exception, too") {
  check_threw(answer_to(
      bare, [](completion<result> done) { done.fail(std::make_exception_ptr(std::runtime_error("boom"))); }));
  const result odd = answer_to(bare, [](completion<result> done) { done.fail(std::make_exception_ptr(5)); });
  CHECK(seawall::rejection_of(odd.status())->why == seawall::reason::threw);
}

TEST_CASE("where failures are thrown, one that lets go is told as rejected_error") {
  const auto answer = answer_to(bare, [](completion<int>) {});
  try {
    std::rethrow_exception(answer.error());
  } catch (const seawall::rejected_error& e) {
    CHECK(e.why().why == seawall::reason::no_answer);
  }
}

TEST_CASE("an attempt that throws is tried again, and its slot is as new") {
  int attempts = 0;
  const auto p = seawall::compose(seawall::retry({.max_attempts = 4, .backoff = {.initial = 1ms}}));
  CHECK(answer_to(p, seawall::idempotent([&]() -> result {
                    if (++attempts < 4) fail();
                    return attempts;
                  })) == 4);
  attempts = 0;
  CHECK(answer_to(p, seawall::idempotent([&](completion<result> done) {
                    if (++attempts < 4) fail();
                    done(attempts);
                  })) == 4);
}

TEST_CASE(
    "a substitute that throws ends the call with what it threw: function, awaitable, callback, any_pipeline's") {
  const auto down = [](completion<result> done) { done(absl::UnavailableError("down")); };
  check_threw(answer_to(seawall::compose(seawall::fallback([]() -> result { fail(); })), down));
  check_threw(answer_to(seawall::compose(seawall::fallback([](const absl::Status&) -> lazy<result> {
                          fail();
                          co_return 1;
                        })),
                        down));
  check_threw(answer_to(seawall::compose(seawall::fallback(
                            [](const absl::Status&, const attempt&, completion<result>) { fail(); })),
                        down));
  const seawall::any_pipeline<result> dynamic =
      seawall::compose(seawall::fallback([]() -> result { fail(); }));
  check_threw(answer_to(dynamic, seawall::idempotent(down)));
}

TEST_CASE("what a policy's own function throws ends the call: classify, the time of an attempt, a backoff") {
  const auto ok = [](completion<result> done) { done(7); };
  const auto down = [](completion<result> done) { done(absl::UnavailableError("down")); };
  check_threw(
      answer_to(seawall::compose(seawall::classify([](const result&) -> seawall::verdict { fail(); })), ok));
  check_threw(answer_to(seawall::compose(seawall::attempt_timeout(
                            {.from = [](const seawall::call_view&) -> seawall::duration { fail(); }})),
                        ok));
  seawall::circuit_breaker breaker({.half_open = {.max_probes = 1, .successes = 1, .of = 1}});
  const auto p = seawall::compose(
      seawall::retry({.backoff = {.shape = seawall::backoff_shape::custom,
                                  .function = [](std::uint32_t) -> seawall::duration { fail(); }}}),
      seawall::breaker(breaker), seawall::attempt_timeout({.after = 1s}));
  check_threw(answer_to(p, seawall::idempotent(down)));
}

TEST_CASE("what a policy's function throws in the middle of a call gives up what is under way") {
  virtual_scheduler loop;
  int asked = 0;
  const auto p =
      seawall::compose(seawall::retry({.backoff = {.initial = 1ms}}),
                       seawall::attempt_timeout({.from = [&](const seawall::call_view&) -> seawall::duration {
                         if (++asked == 2) fail();
                         return 10ms;
                       }}));
  seawall_test::held<> op;
  answered<> got;
  p.start(loop, seawall::idempotent(op.operation()), got.taker());
  loop.run();
  REQUIRE(got.once());
  check_threw(*got.value);
  CHECK(op.started() == 1);
  op.end(0, 1);  // late
}

}  // namespace
