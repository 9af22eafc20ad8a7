// SPDX-License-Identifier: Apache-2.0
// Never: let a probe that is cancelled, ignored, thrown out of, blocked by an inner policy or hung for ever wedge the
// breaker or count as a success; lose its place on an exception.
#include <stdexcept>
#include <stop_token>

#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/frames.hpp"
#include "support/hand_driven_breaker.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

// Whatever happened to the probe: it counted neither way, and the next one decides.
void check_untouched(hand_driven& b) {
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes == 0);
  CHECK(b.seen().probes_succeeded == 0);
  CHECK(b.seen().probes_failed == 0);
  auto next = b.acquire();
  REQUIRE(next);
  next.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

struct half_opened : hand_driven {
  half_opened() : hand_driven(trips_at_two()) { half_open(); }
};

}  // namespace

TEST_CASE("circuit_breaker: a probe that is dropped gives its place back") {
  half_opened b;
  { auto probe = b.acquire(); }
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe that is overwritten by another permit gives its place back") {
  half_opened b;
  auto probe = b.acquire();
  probe = circuit_breaker::permit();
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a moved probe holds one place, and gives back one") {
  half_opened b;
  {
    auto probe = b.acquire();
    auto moved = std::move(probe);
    CHECK_FALSE(probe);  // NOLINT: the state after the move is the point
    CHECK(b.seen().probes == 1);
  }
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe whose outcome says nothing gives its place back") {
  half_opened b;
  b.acquire().settle(verdict::cancelled(), b.now);
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe is settled once, however often it is reported") {
  auto options = trips_at_two();
  options.half_open = {.successes = 2, .of = 3};
  hand_driven b(options);
  b.half_open();
  auto probe = b.acquire();
  probe.success(b.now);
  probe.success(b.now);
  probe.release();
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes_succeeded == 1);
}

TEST_CASE("circuit_breaker: a probe that is cancelled in a pipeline gives its place back") {
  half_opened b;
  const auto pipe = compose(breaker(b.breaker));
  hand_driven_call call(pipe, b.now);
  CHECK_FALSE(call.start(b.now));
  REQUIRE(b.seen().probes == 1);
  call.cancel();
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe whose frame dies undecided gives its place back") {
  half_opened b;
  const auto pipe = compose(breaker(b.breaker));
  {
    hand_driven_call call(pipe, b.now);
    CHECK_FALSE(call.start(b.now));
    REQUIRE(b.seen().probes == 1);
  }
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe that the caller cancelled counts neither way") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  const absl::Status s =
      testing::run(clock, pipe, [] { return absl::CancelledError("the caller has gone"); });
  CHECK(s.code() == absl::StatusCode::kCancelled);
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe over whose quota the call was counts neither way") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  CHECK_FALSE(testing::run(clock, pipe, [] { return absl::ResourceExhaustedError("quota"); }).ok());
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe that an exception leaves gives its place back") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  const auto throws = []() -> absl::Status { throw std::runtime_error("out of the operation"); };
  CHECK_THROWS_AS(static_cast<void>(testing::run(clock, pipe, throws)), std::runtime_error);
  check_untouched(b);
}

TEST_CASE("circuit_breaker: no place is lost by a thousand exceptions") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  int entered = 0;
  const auto throws = [&]() -> absl::Status {
    ++entered;
    throw 1;
  };
  for (int i = 0; i < 1000; ++i) CHECK_THROWS_AS(static_cast<void>(testing::run(clock, pipe, throws)), int);
  CHECK(entered == 1000);
  check_untouched(b);
}

TEST_CASE("circuit_breaker: an exception that stands for a failure is a failed probe") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  const auto throws = []() -> int { throw std::runtime_error("plain values fail by throwing"); };
  CHECK_THROWS_AS(static_cast<void>(testing::run(clock, pipe, throws)), std::runtime_error);
  CHECK(b.state() == breaker_state::open);
}

TEST_CASE("circuit_breaker: a probe that an inner policy rejects gives its place back") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker), refusing_layer());
  CHECK_FALSE(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe that an inner breaker rejects gives its place back") {
  half_opened b;
  hand_driven inner(trips_at_two());
  inner.breaker.isolate(inner.now);
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker), breaker(inner.breaker));
  CHECK_FALSE(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a probe that a nested pipeline rejects gives its place back") {
  half_opened b;
  hand_driven inner(trips_at_two());
  inner.breaker.isolate(inner.now);
  testing::virtual_clock clock(b.now);
  const auto outer_pipe = compose(breaker(b.breaker));
  const auto inner_pipe = compose(breaker(inner.breaker));
  const auto nested = [&](const attempt& a) { return inner_pipe.run(a, [] { return absl::OkStatus(); }); };
  CHECK_FALSE(testing::run(clock, outer_pipe, nested).ok());
  check_untouched(b);
}

TEST_CASE("circuit_breaker: a caller that stops before the attempt leaves no probe behind") {
  half_opened b;
  testing::virtual_clock clock(b.now);
  std::stop_source gone;
  gone.request_stop();
  const auto pipe = compose(breaker(b.breaker));
  const call_options options{.stop = gone.get_token()};
  CHECK_FALSE(testing::run(clock, pipe, options, [] { return absl::OkStatus(); }).ok());
  check_untouched(b);
}

TEST_CASE("circuit_breaker: the place of a probe that hangs is given out again when its lease ends") {
  half_opened b;
  auto hung = b.acquire();
  b.pass(60s - 1ns);
  CHECK_FALSE(b.admits());
  b.pass(1ns);
  auto next = b.acquire();
  REQUIRE(next);
  CHECK_FALSE(b.admits());
  next.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a hung probe that reports after its place was given away is not counted") {
  for (const bool good : {true, false}) {
    half_opened b;
    auto hung = b.acquire();
    b.pass(60s);
    auto next = b.acquire();
    hung.settle(good ? verdict::ok() : verdict::transient(), b.now);
    CHECK(b.state() == breaker_state::half_open);
    CHECK(b.seen().probes == 1);
    CHECK(b.seen().probes_succeeded + b.seen().probes_failed == 0);
  }
}

TEST_CASE("circuit_breaker: a hung probe that is dropped after its place was given away frees nothing") {
  half_opened b;
  auto hung = b.acquire();
  b.pass(60s);
  auto next = b.acquire();
  hung.release();
  CHECK(b.seen().probes == 1);
  CHECK_FALSE(b.admits());
}

TEST_CASE("circuit_breaker: of several hung probes the one that began first gives up its place first") {
  auto options = trips_at_two();
  options.half_open = {.max_probes = 2, .lease = 10s};
  hand_driven b(options);
  b.half_open();
  auto first = b.acquire();
  b.pass(1s);
  auto second = b.acquire();
  b.pass(9s);
  auto third = b.acquire();
  REQUIRE(third);
  CHECK_FALSE(b.admits());
  second.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: probes that hang one after the other never wedge it") {
  half_opened b;
  std::vector<circuit_breaker::permit> hung;
  for (int i = 0; i < 100; ++i) {
    hung.push_back(b.acquire());
    REQUIRE(hung.back());
    b.pass(60s);
  }
  auto answers = b.acquire();
  REQUIRE(answers);
  answers.success(b.now);
  CHECK(b.state() == breaker_state::closed);
}
