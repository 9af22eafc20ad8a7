// SPDX-License-Identifier: Apache-2.0
// What each fault does to a call, in a pipeline and in virtual time.
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/chaos.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

using result = absl::StatusOr<int>;

chaos_options always(fault f) {
  f.rate = 1;
  return {.name = "storm", .enabled = true, .faults = {std::move(f)}};
}

struct in_pipeline {
  explicit in_pipeline(chaos_options o) : faults(std::move(o)) {}

  auto operation() {
    return idempotent([this]() -> result {
      ++calls;
      return 42;
    });
  }
  template <class... Outside>
  result run(const Outside&... outside) {
    return testing::run(clock, compose(outside..., inject(faults)), operation());
  }
  template <class Source>
  result run_with(Source source) {
    return testing::run(clock, compose(inject(faults, source)), operation());
  }

  chaos faults;
  testing::virtual_clock clock;
  int calls = 0;
};

std::string text_of(const absl::Status& s) { return std::string(detail::from_absl(s.message())); }

}  // namespace

TEST_CASE("chaos: a failure ends the call without an attempt, and says who did it") {
  in_pipeline p(always({.kind = fault_kind::failure}));
  const result r = p.run();
  CHECK(p.calls == 0);
  CHECK(r.status().code() == absl::StatusCode::kUnavailable);
  CHECK(text_of(r.status()) == "chaos 'storm' injected a fault");
  const auto why = rejection_of(r.status());
  REQUIRE(why);
  CHECK(why->policy == "chaos");
  CHECK(why->why == reason::injected);
}

TEST_CASE("chaos: a failure of a chosen code is taken for what its code says, further out as well") {
  in_pipeline p(always({.code = absl::StatusCode::kResourceExhausted, .text = "quota", .retry_after = 2s}));
  const absl::Status s = p.run().status();
  CHECK(s.code() == absl::StatusCode::kResourceExhausted);
  CHECK(text_of(s) == "chaos 'storm' (quota) injected a fault");
  CHECK(classify(s).health == health::silent);
  CHECK(classify(s).again == again::if_idempotent);
  CHECK(retry_after_of(s) == duration(2s));

  in_pipeline refused(always({.code = absl::StatusCode::kNotFound}));
  CHECK(refused.run(retry({.max_attempts = 5})).status().code() == absl::StatusCode::kNotFound);
  CHECK(refused.faults.snapshot().failures == 1);
}

TEST_CASE("chaos: a retry outside repeats a failure, a breaker outside counts it") {
  in_pipeline p(always({}));
  circuit_breaker b({.consecutive_failures = 2});
  p.run(retry({.max_attempts = 3}), breaker(b)).IgnoreError();
  CHECK(b.snapshot(p.clock.now()).state == breaker_state::open);
  CHECK(p.faults.snapshot().failures == 2);
}

TEST_CASE("chaos: latency delays the attempt, and leaves its result alone") {
  in_pipeline p(always({.kind = fault_kind::latency, .delay = 30ms}));
  CHECK(p.run() == result(42));
  CHECK(p.clock.elapsed() == duration(30ms));
  CHECK(p.calls == 1);
}

TEST_CASE("chaos: latency is part of the attempt's time, as it would be if the dependency were slow") {
  in_pipeline p(always({.kind = fault_kind::latency, .delay = 30ms}));
  const result r = p.run(attempt_timeout({.after = 20ms}));
  CHECK(r.status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(p.clock.elapsed() == duration(20ms));
  CHECK(p.calls == 0);
  CHECK(p.faults.snapshot().active == 0);
}

TEST_CASE("chaos: a failure may take its time") {
  in_pipeline p(always({.delay = 30ms}));
  CHECK_FALSE(p.run().ok());
  CHECK(p.clock.elapsed() == duration(30ms));
}

TEST_CASE(
    "chaos: a hang ends with the deadline of the attempt, of the call, of the caller, or at max_delay") {
  const auto hang = always({.kind = fault_kind::hang});
  {
    in_pipeline p(hang);
    p.run(retry({.max_attempts = 2, .backoff = {.initial = 0s, .max = 0s}}), attempt_timeout({.after = 1s}))
        .IgnoreError();
    CHECK(p.clock.elapsed() == duration(2s));
    CHECK(p.faults.snapshot().hangs == 2);
  }
  {
    in_pipeline p(hang);
    CHECK(p.run(deadline({.after = 1s})).status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(p.clock.elapsed() == duration(1s));
  }
  {
    in_pipeline p(hang);
    const result r = testing::run(p.clock, compose(inject(p.faults)),
                                  call_options{.deadline = p.clock.now() + duration(3s)}, p.operation());
    CHECK(r.status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(p.clock.elapsed() == duration(3s));
  }
  {
    in_pipeline p(hang);
    CHECK(p.run().status().code() == absl::StatusCode::kUnavailable);
    CHECK(p.clock.elapsed() == duration(60s));
    CHECK(p.calls == 0);
    CHECK(p.faults.snapshot().active == 0);
  }
}

TEST_CASE(
    "chaos: a result is made up by a value, by a function, by a function of the attempt, or is a failure") {
  const auto wrong = always({.kind = fault_kind::result, .delay = 5ms});
  in_pipeline p(wrong);
  CHECK(p.run_with(-1) == result(-1));
  CHECK(p.clock.elapsed() == duration(5ms));
  CHECK(p.run_with([] { return -2; }) == result(-2));
  CHECK(p.run_with([](const attempt& a) { return static_cast<int>(a.number()) - 3; }) == result(-3));
  CHECK(p.run_with([]() -> result { return absl::DataLossError("made up"); }).status().code() ==
        absl::StatusCode::kDataLoss);
  CHECK(p.calls == 0);
  CHECK(p.faults.snapshot().results == 4);
  CHECK(p.faults.snapshot().active == 0);
}

TEST_CASE("chaos: a result that nobody knows to make up is left out, and that is counted") {
  in_pipeline p(always({.kind = fault_kind::result}));
  CHECK(p.run() == result(42));
  CHECK(p.faults.snapshot().withheld == 1);
  CHECK(p.faults.snapshot().results == 0);
}

TEST_CASE("chaos: a made-up failure is repeated by a retry outside, and what follows is real") {
  chaos faults({.enabled = true, .script = "wrong, ok"});
  testing::virtual_clock clock;
  const auto p = compose(retry(), inject(faults, result(absl::InternalError("made up"))));
  int calls = 0;
  CHECK(testing::run(clock, p, idempotent([&]() -> result { return ++calls; })) == result(1));
}

TEST_CASE("chaos: plain values: a fault is thrown as a rejection") {
  testing::virtual_clock clock;
  chaos faults(always({}));
  CHECK_THROWS_AS(testing::run(clock, compose(inject(faults)), [] { return 1; }), rejected_error);
  CHECK(testing::run(clock, compose(inject(faults)), [] { return absl::OkStatus(); }).code() ==
        absl::StatusCode::kUnavailable);
}
