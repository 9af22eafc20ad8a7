// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>

#include "seawall/attempt_timeout.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "support/many_callers.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;
using namespace std::chrono_literals;

namespace {

struct flights {
  explicit flights(coalesce_options o = {}) : shared(std::move(o)), calls(compose(coalesce(shared))) {}
  coalescer<result> shared;
  many_callers<pipeline<coalesce_layer<result, detail::key_of_call>>> calls;

  bool nothing_left() const { return shared.snapshot().flying == 0 && shared.snapshot().waiting == 0; }
};

}  // namespace

TEST_CASE("coalesce: calls with one key share one execution") {
  flights f;
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  CHECK(f.calls.started() == 1);
  CHECK(f.shared.snapshot().waiting == 2);
  f.calls.end(0, 7);
  CHECK(a.got(7));
  CHECK(b.got(7));
  CHECK(c.got(7));
  CHECK(a.report.attempts == 1);
  CHECK(b.report.attempts == 0);
  CHECK_FALSE(b.report.degraded);
  CHECK(f.shared.snapshot().shared == 2);
  CHECK(f.nothing_left());
}

TEST_CASE("coalesce: calls with different keys do not wait for each other") {
  flights f;
  one_caller &a = f.calls.call("a"), &b = f.calls.call("b");
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 2);
  CHECK(a.waits());
  CHECK(b.got(2));
}

TEST_CASE("coalesce: nothing is kept: the call after the last one does its own work") {
  flights f;
  f.calls.call();
  f.calls.end(0, 1);
  one_caller& late = f.calls.call();
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 2);
  CHECK(late.got(2));
}

TEST_CASE("coalesce: a key from a function of the call") {
  coalescer<result> shared;
  const auto by_tenant = [](const call& c) { return "eu/" + std::string(c.key()); };
  many_callers calls(compose(coalesce(shared, by_tenant)));
  calls.call("a");
  calls.call("a");
  calls.call("b");
  CHECK(calls.started() == 2);
}

TEST_CASE("coalesce never: a waiter that is cancelled cancels the others") {
  flights f;
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  f.calls.leave(b);
  CHECK(b.code() == absl::StatusCode::kCancelled);
  CHECK(a.waits());
  CHECK(c.waits());
  f.calls.end(0, 7);
  CHECK(a.got(7));
  CHECK(c.got(7));
}

TEST_CASE("coalesce never: a waiter's deadline cancels the others, or is overrun") {
  flights f;
  one_caller &a = f.calls.call(), &b = f.calls.call("k", f.calls.now() + 5s), &c = f.calls.call();
  f.calls.pass(5s);
  CHECK(b.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(a.waits());
  f.calls.end(0, 7);
  CHECK(a.got(7));
  CHECK(c.got(7));
}

TEST_CASE("coalesce never: a leader that is cancelled wedges, or fails, those who wait") {
  flights f;
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  f.calls.leave(a);
  CHECK(f.calls.started() == 2);
  CHECK(b.waits());
  f.calls.end(1, 8);
  CHECK(b.got(8));
  CHECK(c.got(8));
  CHECK(f.shared.snapshot().taken_over == 1);
  CHECK(f.nothing_left());
}

TEST_CASE("coalesce never: a leader's own deadline fails those who have more time") {
  flights f;
  f.calls.call("k", f.calls.now() + 1s);
  one_caller& b = f.calls.call();
  f.calls.pass(1s);
  f.calls.end(0, absl::DeadlineExceededError("my caller's time is over"));
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 8);
  CHECK(b.got(8));
}

TEST_CASE("coalesce never: a leader without time for another attempt fails those who have it") {
  coalescer<result> shared;
  many_callers calls(compose(coalesce(shared), retry({.backoff = {.initial = 1s, .jitter = jitter::none}})));
  one_caller &a = calls.call("k", calls.now() + 1s), &b = calls.call();
  calls.fail(0);
  CHECK(a.code() == absl::StatusCode::kUnavailable);
  REQUIRE(calls.started() == 2);
  calls.fail(1);
  calls.pass(1s);
  calls.end(2, 8);
  CHECK(b.got(8));
}

TEST_CASE("coalesce never: the first who waits leaves as it is called on, and the next is forgotten") {
  flights f;
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  // Both before the loop runs: b is called on, and is gone before it looks.
  a.stop.request_stop();
  b.stop.request_stop();
  f.calls.pass(0s);
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 8);
  CHECK(c.got(8));
}

TEST_CASE("coalesce never: a leader that hangs wedges its key: after the lease, one other does the work") {
  flights f({.lease = 10s});
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  f.calls.pass(9s);
  CHECK(f.calls.started() == 1);
  f.calls.pass(1s);
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 8);
  CHECK(b.got(8));
  CHECK(c.got(8));
  CHECK(a.waits());
  f.calls.end(0, 7);
  CHECK(a.got(7));
  CHECK(f.nothing_left());
}

TEST_CASE("coalesce never: a leader that has lost its lease ends the flight of its successor") {
  flights f({.lease = 10s});
  f.calls.call();
  one_caller& b = f.calls.call();
  f.calls.pass(10s);
  one_caller& c = f.calls.call();
  CHECK(f.calls.started() == 2);
  f.calls.end(0, 7);
  CHECK(c.waits());
  f.calls.end(1, 8);
  CHECK(b.got(8));
  CHECK(c.got(8));
}

TEST_CASE("coalesce: a failure is shared, and health and repeatability with it") {
  flights f;
  f.calls.call();
  one_caller& b = f.calls.call();
  f.calls.fail(0);
  CHECK(f.calls.started() == 1);
  CHECK(b.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("coalesce: or the next one tries, and the others wait for that one") {
  flights f({.on_failure = leader_failure::next_tries});
  one_caller &a = f.calls.call(), &b = f.calls.call(), &c = f.calls.call();
  f.calls.fail(0);
  CHECK(a.code() == absl::StatusCode::kUnavailable);
  CHECK(f.calls.started() == 2);
  f.calls.fail(1);
  CHECK(b.code() == absl::StatusCode::kUnavailable);
  CHECK(f.calls.started() == 3);
  f.calls.end(2, 9);
  CHECK(c.got(9));
}

TEST_CASE("coalesce: an answer that says no is an answer, and is shared whatever the rule for failures") {
  flights f({.on_failure = leader_failure::next_tries});
  f.calls.call();
  one_caller& b = f.calls.call();
  f.calls.end(0, absl::NotFoundError("no such quote"));
  CHECK(f.calls.started() == 1);
  CHECK(b.code() == absl::StatusCode::kNotFound);
}

TEST_CASE("coalesce: those who wait for a leader that has gone are rejected, if that is asked for") {
  flights f({.on_leaving = leader_gone::rejected});
  one_caller &a = f.calls.call(), &b = f.calls.call();
  f.calls.leave(a);
  CHECK(f.calls.started() == 1);
  CHECK(rejection_of(b.answer.value->status())->why == reason::no_answer);
  CHECK(f.nothing_left());
}

TEST_CASE("coalesce: a rejection of a policy further in is shared as one") {
  coalescer<result> shared;
  many_callers calls(compose(coalesce(shared), attempt_timeout({.name = "inner", .after = 1s})));
  calls.call();
  one_caller& b = calls.call();
  calls.pass(1s);
  const auto why = rejection_of(b.answer.value->status());
  REQUIRE(why);
  CHECK(why->why == reason::timed_out);
  CHECK(why->name == "inner");
}

TEST_CASE("coalesce: a substitute of a fallback further in is shared, and marked for all") {
  coalescer<result> shared({.name = "quotes"});
  many_callers calls(compose(coalesce(shared), fallback(result(5))));
  one_caller &a = calls.call(), &b = calls.call();
  calls.fail(0);
  CHECK(a.got(5));
  CHECK(b.got(5));
  CHECK(a.report.degraded);
  CHECK(b.report.degraded);
  CHECK(b.report.degraded_by == "quotes");
}

TEST_CASE("coalesce: with a retry inside, the repetitions are shared as well") {
  coalescer<result> shared;
  many_callers calls(compose(coalesce(shared), retry({.backoff = {.initial = 1ms, .jitter = jitter::none}})));
  calls.call();
  one_caller& b = calls.call();
  calls.fail(0);
  calls.pass(1ms);
  CHECK(calls.started() == 2);
  CHECK(b.waits());
  calls.end(1, 3);
  CHECK(b.got(3));
}

TEST_CASE("coalesce: with a retry outside, each call has tries of its own, which share again") {
  coalescer<result> shared;
  many_callers calls(compose(retry({.backoff = {.initial = 1ms, .jitter = jitter::none}}), coalesce(shared)));
  one_caller &a = calls.call(), &b = calls.call();
  calls.fail(0);
  calls.pass(1ms);
  CHECK(calls.started() == 2);
  calls.end(1, 3);
  CHECK(a.got(3));
  CHECK(b.got(3));
}

TEST_CASE(
    "coalesce never: memory without bound in a flood of keys: beyond, calls go alone, or are rejected") {
  for (const bool reject : {false, true}) {
    flights f({.when_full = reject ? no_room::rejected : no_room::goes_alone, .max_keys = 2, .shards = 1});
    f.calls.call("a");
    f.calls.call("b");
    one_caller& c = f.calls.call("c");
    CHECK(f.shared.snapshot().flying == 2);
    CHECK(f.calls.started() == (reject ? 2 : 3));
    if (reject) CHECK(rejection_of(c.answer.value->status())->why == reason::queue_full);
    f.calls.end(0, 1);
    f.calls.call("d");
    CHECK(f.shared.snapshot().flying == 2);
  }
}

TEST_CASE("coalesce: leaders that hang do not keep the places of their keys once their leases are over") {
  flights f({.lease = 10s, .max_keys = 1, .shards = 1});
  f.calls.call("a");
  f.calls.pass(10s);
  f.calls.call("b");
  CHECK(f.shared.snapshot().flying == 1);
  CHECK(f.shared.snapshot().alone == 0);
  f.calls.end(0, 1);  // leads no more, and ends nothing
  CHECK(f.shared.snapshot().flying == 1);
}

TEST_CASE("coalesce: more than may wait for one key go alone") {
  flights f({.max_waiting = 1});
  f.calls.call();
  f.calls.call();
  one_caller& third = f.calls.call();
  CHECK(f.calls.started() == 2);
  f.calls.end(1, 3);
  CHECK(third.got(3));
  CHECK(f.shared.snapshot().waiting == 1);
}

TEST_CASE("coalesce: options that make no sense are refused, and change nothing") {
  coalescer<result> c;
  CHECK(c.reconfigure({.lease = 0s})->text("coalesce") == "coalesce: lease is 0s; must be positive");
  CHECK(c.reconfigure({.max_keys = 7})->field == "max_keys");
  CHECK(c.reconfigure({.shards = 4})->text("coalesce") == "coalesce: shards is 4; cannot be changed: 8");
  CHECK_FALSE(c.reconfigure({.on_failure = leader_failure::next_tries}));
  CHECK(coalescer<result>::create({.shards = 0}).status().message() ==
        "coalesce: shards is 0; must be at least 1 and at most 256");
}
