// SPDX-License-Identifier: Apache-2.0
// The breaker as a layer of a pipeline.
#include <stdexcept>
#include <string>

#include "seawall/attempt_timeout.hpp"
#include "seawall/classify.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/frames.hpp"
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

// A breaker and a pipeline around it in virtual time.
struct in_pipeline : hand_driven {
  explicit in_pipeline(circuit_breaker_options o = trips_at_two()) : hand_driven(std::move(o)), clock(now) {}

  template <class Op>
  auto run(Op op) {
    auto result = testing::run(clock, pipe, op);
    now = clock.now();
    return result;
  }
  absl::Status returns(absl::Status s) {
    return run([&] { return s; });
  }

  testing::virtual_clock clock;
  pipeline<detail::breaker_layer<detail::one_breaker>> pipe = compose(seawall::breaker(this->breaker));
};

}  // namespace

TEST_CASE("circuit_breaker: an open breaker keeps the operation from being called") {
  in_pipeline b;
  b.open();
  bool called = false;
  const absl::Status s = b.run([&] {
    called = true;
    return absl::OkStatus();
  });
  CHECK_FALSE(called);
  CHECK(s.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE(
    "circuit_breaker: a rejection names the breaker, the reason and the time left, for people and machines") {
  in_pipeline b;
  b.open();
  b.clock.advance(4s);
  const absl::Status s = b.returns(absl::OkStatus());
  CHECK(std::string(detail::from_absl(s.message())) == "circuit_breaker 'subject' is open for another 6s");
  const auto r = rejection_of(s);
  REQUIRE(r);
  CHECK(r->policy == "circuit_breaker");
  CHECK(r->name == "subject");
  CHECK(r->why == reason::open);
  CHECK(r->retry_after == duration(6s));
}

TEST_CASE("circuit_breaker: a rejection while isolated carries no time") {
  in_pipeline b;
  b.breaker.isolate(b.now);
  const auto r = rejection_of(b.returns(absl::OkStatus()));
  REQUIRE(r);
  CHECK(r->why == reason::isolated);
  CHECK_FALSE(r->retry_after.has_value());
}

TEST_CASE("circuit_breaker: those who reject millions get the code alone") {
  auto options = trips_at_two();
  options.rejections = rejection_detail::code_only;
  in_pipeline b(options);
  b.open();
  CHECK(b.returns(absl::OkStatus()) == absl::Status(absl::StatusCode::kUnavailable, ""));
}

TEST_CASE("circuit_breaker: results are read as the table of codes says") {
  in_pipeline b;
  for (int i = 0; i < 10; ++i) {
    CHECK(absl::IsNotFound(b.returns(absl::NotFoundError(""))));
    CHECK(absl::IsCancelled(b.returns(absl::CancelledError(""))));
    CHECK(absl::IsResourceExhausted(b.returns(absl::ResourceExhaustedError(""))));
  }
  CHECK(b.state() == breaker_state::closed);
  CHECK_FALSE(b.returns(absl::UnavailableError("")).ok());
  CHECK_FALSE(b.returns(absl::InternalError("")).ok());
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a reading of one's own decides what counts") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker), classify([](const absl::Status& s) {
                              return absl::IsNotFound(s) ? verdict::transient() : verdict::ok();
                            }));
  for (int i = 0; i < 2; ++i) {
    CHECK_FALSE(testing::run(clock, pipe, [] { return absl::NotFoundError(""); }).ok());
  }
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: exceptions of plain operations count, and reach the caller") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  const auto throws = []() -> int { throw std::runtime_error("down"); };
  for (int i = 0; i < 2; ++i)
    CHECK_THROWS_WITH_AS(testing::run(clock, pipe, throws), "down", std::runtime_error);
  CHECK(b.state() == breaker_state::open);
  CHECK_THROWS_AS(testing::run(clock, pipe, throws), rejected_error);
}

TEST_CASE("circuit_breaker: an exception out of an operation that returns a status says nothing") {
  in_pipeline b;
  for (int i = 0; i < 10; ++i) {
    CHECK_THROWS_AS(static_cast<void>(b.run([]() -> absl::Status { throw 1; })), int);
  }
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: slow successes are timed in a pipeline") {
  auto options = trips_at_two();
  options.over_time.minimum_calls = 1;
  options.slow = {.limit = 100ms};
  in_pipeline b(options);
  CHECK(b.pipe.needs_end_time());
  CHECK(b.run([&] {
           b.clock.advance(100ms);
           return absl::OkStatus();
         }).ok());
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: where nothing asks for it, a success costs no second reading of the clock") {
  in_pipeline b;
  CHECK_FALSE(b.pipe.needs_end_time());
}

TEST_CASE("circuit_breaker: an attempt that times out is a failure of the dependency") {
  hand_driven b(trips_at_two());
  const auto pipe = compose(breaker(b.breaker), attempt_timeout({.after = 1s}));
  for (int i = 0; i < 2; ++i) {
    hand_driven_call call(pipe, b.now);
    CHECK_FALSE(call.start(b.now));
    b.pass(1s);
    CHECK(call.on_time(b.now).how == resolution::kind::rejection);
  }
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: inside a retry it counts every attempt, and a retry waits for it") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto pipe =
      compose(retry({.max_attempts = 4, .backoff = {.jitter = jitter::none}}), breaker(b.breaker));
  int calls = 0;
  const absl::Status s = testing::run(
      clock, pipe,
      idempotent([&] { return ++calls < 3 ? absl::UnavailableError("down") : absl::OkStatus(); }));
  CHECK(s.ok());
  CHECK(calls == 3);
  // Two failures 100 ms apart, a rejection after 200 ms more, and the rest of the ten seconds.
  CHECK(clock.now() == b.now + 100ms + 10s);
}

TEST_CASE("circuit_breaker: outside a retry it counts the call, not the attempts") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker), retry({.max_attempts = 4}));
  CHECK_FALSE(testing::run(clock, pipe, idempotent([] { return absl::UnavailableError("down"); })).ok());
  CHECK(b.breaker.snapshot(clock.now()).counts.consecutive_failures == 1);
}

TEST_CASE("circuit_breaker: several pipelines share one breaker") {
  hand_driven b(trips_at_two());
  testing::virtual_clock clock(b.now);
  const auto reads = compose(breaker(b.breaker));
  const auto writes = compose(breaker(b.breaker), attempt_timeout({.after = 1s}));
  CHECK_FALSE(testing::run(clock, reads, [] { return absl::UnavailableError(""); }).ok());
  CHECK_FALSE(testing::run(clock, writes, [] { return absl::UnavailableError(""); }).ok());
  CHECK(rejection_of(testing::run(clock, reads, [] { return absl::OkStatus(); })));
}

TEST_CASE("circuit_breaker: a frame can be started again, and each start is admitted by itself") {
  hand_driven b(trips_at_two());
  const auto pipe = compose(breaker(b.breaker));
  hand_driven_call call(pipe, b.now);
  for (int i = 0; i < 2; ++i) {
    CHECK_FALSE(call.start(b.now));
    CHECK(call.finish(b.now, verdict::transient()));
  }
  CHECK(b.state() == breaker_state::open);
  CHECK(call.start(b.now).how == resolution::kind::rejection);
}

TEST_CASE("circuit_breaker: a rejection may always be tried again, blames nobody, and carries the pushback") {
  hand_driven b(trips_at_two());
  b.open();
  const auto pipe = compose(breaker(b.breaker));
  hand_driven_call call(pipe, b.now);
  const resolution r = call.start(b.now);
  CHECK(r.how == resolution::kind::rejection);
  CHECK(r.v == verdict{.health = health::silent, .again = again::always, .retry_after = 10s});
  CHECK_FALSE(call.asks_for_attempt());
}

TEST_CASE("circuit_breaker: a breaker of each key") {
  keyed<circuit_breaker> shards(trips_at_two());
  testing::virtual_clock clock;
  const auto pipe = compose(breaker(shards));
  for (int i = 0; i < 2; ++i) {
    CHECK_FALSE(testing::run(clock, pipe, {.key = "dead"}, [] { return absl::UnavailableError(""); }).ok());
  }
  const absl::Status refused = testing::run(clock, pipe, {.key = "dead"}, [] { return absl::OkStatus(); });
  CHECK(std::string(detail::from_absl(refused.message())) ==
        "circuit_breaker 'subject' (dead) is open for another 10s");
  CHECK(testing::run(clock, pipe, {.key = "alive"}, [] { return absl::OkStatus(); }).ok());
  CHECK(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());  // no key is a key
}

TEST_CASE("circuit_breaker: the recovery ramp begins when the probe ends, not when it begins") {
  auto options = trips_at_two();
  options.recovery = {.length = 10s, .initial_share = 0.0};
  in_pipeline b(options);
  b.open();
  b.clock.advance(10s);
  CHECK(b.run([&] {
           b.clock.advance(30s);
           return absl::OkStatus();
         }).ok());
  CHECK(b.seen().admitted_share == 0.0);
  CHECK_FALSE(b.returns(absl::OkStatus()).ok());
}
