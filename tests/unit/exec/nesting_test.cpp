// SPDX-License-Identifier: Apache-2.0
// Calls started inside an attempt of another.
#include <chrono>
#include <deque>
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
using seawall_test::held;
using seawall_test::lazy;
using seawall_test::result;

seawall::retry_options tries(std::uint32_t n) {
  return {.max_attempts = n,
          .backoff = {
              .shape = seawall::backoff_shape::constant, .initial = 1ms, .jitter = seawall::jitter::none}};
}

const auto inner = seawall::compose(seawall::deadline({.after = 1h}));

/// Hands its own answer to an attempt of the call outside.
auto hand_to(completion<result> done) {
  return [d = std::move(done)](result r) mutable { d(std::move(r)); };
}

TEST_CASE("nested: priority, attributes and the earliest deadline are inherited, and copied") {
  virtual_scheduler loop;
  held<> innermost;
  answered<> got;
  {
    // All of it gone before the inner call is looked at.
    std::string tenant = "acme, a name that needs an allocation";
    const seawall::attribute attributes[] = {{"tenant", tenant}, {"route", "outer"}};
    std::string own = "inner, a name that needs an allocation as well";
    const seawall::attribute own_attributes[] = {{"route", own}};
    inner.start(
        {.key = "not inherited", .priority = 5, .attributes = attributes, .deadline = loop.now() + 50ms},
        loop,
        [&](attempt a, completion<result> done) {
          inner.start(a, {.key = "a key of its own that needs an allocation", .attributes = own_attributes},
                      loop, innermost.operation(), hand_to(std::move(done)));
        },
        got.taker());
    tenant.assign(tenant.size(), '#');
    own.assign(own.size(), '#');
  }
  REQUIRE(innermost.started() == 1);
  const attempt& a = innermost.pending[0].attempt;
  CHECK(a.priority() == 5);
  CHECK(a.attribute("tenant") == "acme, a name that needs an allocation");
  CHECK(a.attribute("route") == "inner, a name that needs an allocation as well");
  CHECK_FALSE(a.attribute("absent").has_value());
  CHECK(a.key() == "a key of its own that needs an allocation");
  CHECK(a.deadline() == loop.now() + 50ms);
  innermost.end(0, 7);
  loop.run();
  CHECK(*got.value == 7);
}

TEST_CASE("nested: one's own priority and an earlier deadline win") {
  virtual_scheduler loop;
  held<> innermost;
  answered<> got;
  inner.start(
      {.priority = 5}, loop,
      [&](attempt a, completion<result> done) {
        inner.start(a, {.priority = 1, .deadline = loop.now() + 5ms}, loop, innermost.operation(),
                    hand_to(std::move(done)));
      },
      got.taker());
  CHECK(innermost.pending[0].attempt.priority() == 1);
  CHECK(innermost.pending[0].attempt.deadline() == loop.now() + 5ms);
  loop.run();
  CHECK(loop.elapsed() == seawall::duration(5ms));
  innermost.end(0, 1);
}

TEST_CASE("nested: retries are left to the call outside, if it has some") {
  for (const auto& [outer_tries, expected] : {std::pair{3U, 3}, std::pair{1U, 1}}) {
    virtual_scheduler loop;
    int calls = 0;
    answered<> got;
    const auto outer = seawall::compose(seawall::retry(tries(outer_tries)));
    const auto retrying = seawall::compose(seawall::retry(tries(4)));
    outer.start(loop, seawall::idempotent([&](attempt a, completion<result> done) {
                  retrying.start(a, loop, seawall::idempotent([&](completion<result> d) {
                                   ++calls;
                                   d(absl::UnavailableError("busy"));
                                 }),
                                 hand_to(std::move(done)));
                }),
                got.taker());
    loop.run();
    CHECK(got.once());
    CHECK(calls == expected);
  }
  virtual_scheduler loop;
  int calls = 0;
  answered<> got;
  const auto retrying = seawall::compose(seawall::retry(tries(4)));
  inner.start(
      loop,
      [&](attempt a, completion<result> done) {
        retrying.start(a, loop, seawall::idempotent([&](completion<result> d) {
                         ++calls;
                         d(absl::UnavailableError("busy"));
                       }),
                       hand_to(std::move(done)));
      },
      got.taker());
  loop.run();
  CHECK(calls == 4);
}

TEST_CASE("nested: an attempt that is given up ends the calls inside it, down to the last") {
  virtual_scheduler loop;
  held<> innermost;
  answered<> got;
  const auto outer = seawall::compose(seawall::attempt_timeout({.after = 10ms}));
  outer.start(
      loop,
      [&](attempt a, completion<result> done) {
        inner.start(
            a, loop,
            [&](attempt b, completion<result> d) {
              inner.start(b, loop, innermost.operation(), hand_to(std::move(d)));
            },
            hand_to(std::move(done)));
      },
      got.taker());
  loop.run();
  CHECK(got.once());
  CHECK(innermost.pending[0].attempt.stop_requested());
  CHECK(loop.elapsed() == seawall::duration(10ms));
  innermost.end(0, 1);
}

TEST_CASE("nested: both tokens end the inner call: its own, and that of the attempt around it") {
  for (const bool own : {true, false}) {
    virtual_scheduler loop;
    std::stop_source caller, outside;
    held<> innermost;
    answered<> got, outer_got;
    inner.start(
        {.stop = outside.get_token()}, loop,
        [&](attempt a, completion<result> done) {
          inner.start(a, {.stop = caller.get_token()}, loop, innermost.operation(),
                      [&got, d = std::move(done)](result r) mutable {
                        got.taker()(r);
                        d(std::move(r));
                      });
        },
        outer_got.taker());
    (own ? caller : outside).request_stop();
    loop.run();
    CHECK(got.once());
    CHECK(seawall::rejection_of(got.value->status())->why == seawall::reason::cancelled);
    CHECK(outer_got.once());
    innermost.end(0, 1);
  }
}

TEST_CASE(
    "nested: nothing is attempted in an attempt that was given up already, also with a token of its own") {
  for (const bool has_own : {true, false}) {
    virtual_scheduler loop;
    std::stop_source caller;
    held<> op;
    answered<> got, inner_got;
    const auto bare = seawall::compose();
    bare.start({.stop = caller.get_token()}, loop, op.operation(), got.taker());
    caller.request_stop();
    loop.run();
    CHECK(got.once());
    std::stop_source own;
    seawall::call_options options;
    if (has_own) options.stop = own.get_token();
    int attempts = 0;
    bare.start(
        op.pending[0].attempt, options, loop, [&](completion<result>) { ++attempts; }, inner_got.taker());
    loop.run();
    CHECK(inner_got.once());
    CHECK(attempts == 0);
    op.end(0, 1);
  }
}

TEST_CASE("nested: the inner call may outlive the outer one, and its attempts still see what was inherited") {
  virtual_scheduler loop;
  held<> innermost;
  answered<> got, inner_got;
  auto outer_holds = std::make_shared<int>(0);
  {
    const seawall::attribute attributes[] = {{"tenant", "acme"}};
    inner.start(
        {.priority = 2, .attributes = attributes}, loop,
        [&, outer_holds](attempt a, completion<result> done) {
          inner.start(a, loop, innermost.operation(), inner_got.taker());
          done(1);  // does not wait for it
        },
        got.taker());
  }
  loop.run_for(1ms);
  CHECK(got.once());
  CHECK(outer_holds.use_count() == 1);  // it is gone
  const attempt& a = innermost.pending[0].attempt;
  CHECK(a.priority() == 2);
  CHECK(a.attribute("tenant") == "acme");
  CHECK_FALSE(a.stop_requested());  // the outer attempt ended well
  innermost.end(0, 3);
  loop.run();
  CHECK(*inner_got.value == 3);
}

TEST_CASE("nested: inside an attempt that blocks, on its thread's clock") {
  virtual_scheduler loop;
  answered<> got;
  const auto outer = seawall::compose(seawall::retry(tries(2)));
  const result r = outer.run({.priority = 4}, seawall::idempotent([&](const attempt& a) -> result {
                               inner.start(
                                   a, loop, [](attempt b) { return result(b.priority()); }, got.taker());
                               return 1;
                             }));
  CHECK(r.ok());
  loop.run();  // the outer call is gone
  CHECK(*got.value == 4);
}

TEST_CASE("nested in a coroutine, three deep, each with its own pipeline") {
  virtual_scheduler loop;
  answered<> got;
  const auto leaf = [](attempt a) -> lazy<result> { co_return a.priority(); };
  const auto middle = [&](attempt a) -> lazy<result> { co_return co_await inner.async(a, loop, leaf); };
  inner.start(
      {.priority = 6}, loop,
      [&](attempt a) -> lazy<result> { co_return co_await inner.async(a, loop, middle); }, got.taker());
  loop.run();
  CHECK(*got.value == 6);
}

}  // namespace
