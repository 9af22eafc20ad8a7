// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <functional>
#include <stop_token>

#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

seawall::retry_options tries(std::uint32_t n) {
  return {.max_attempts = n,
          .backoff = {
              .shape = seawall::backoff_shape::constant, .initial = 10ms, .jitter = seawall::jitter::none}};
}

TEST_CASE("nested retries do not multiply: the inner one yields to the outer") {
  virtual_clock clock;
  scripted<int> dependency(clock, "fail", 7);
  const auto outer = seawall::compose(seawall::retry(tries(3)));
  const auto inner = seawall::compose(seawall::retry(tries(4)));
  const result got = run(clock, outer, seawall::idempotent([&](const seawall::attempt& a) {
                           return inner.run(a, seawall::idempotent(std::ref(dependency)));
                         }));
  CHECK(dependency.calls() == 3);
  // Only the retry that really gave up says so.
  CHECK(got.status().message() == "retry gave up after 3 attempts in 20ms: scripted");
}

TEST_CASE("nested retries yield through a pipeline in between that has none") {
  virtual_clock clock;
  scripted<int> dependency(clock, "fail", 7);
  const auto outer = seawall::compose(seawall::retry(tries(3)));
  const auto between = seawall::compose(seawall::deadline({.after = 1h}));
  const auto inner = seawall::compose(seawall::retry(tries(4)));
  run(clock, outer, seawall::idempotent([&](const seawall::attempt& a) {
        return between.run(a, [&](const seawall::attempt& b) {
          return inner.run(b, seawall::idempotent(std::ref(dependency)));
        });
      }))
      .IgnoreError();
  CHECK(dependency.calls() == 3);
}

TEST_CASE("nested retries multiply only where told to") {
  virtual_clock clock;
  scripted<int> dependency(clock, "fail", 7);
  auto options = tries(4);
  options.nested = seawall::when_nested::retry;
  const auto outer = seawall::compose(seawall::retry(tries(3)));
  const auto inner = seawall::compose(seawall::retry(options));
  run(clock, outer, seawall::idempotent([&](const seawall::attempt& a) {
        return inner.run(a, seawall::idempotent(std::ref(dependency)));
      }))
      .IgnoreError();
  CHECK(dependency.calls() == 12);
}

TEST_CASE("an inner retry retries if the enclosing call does not") {
  virtual_clock clock;
  scripted<int> dependency(clock, "fail, ok", 7);
  const auto outer = seawall::compose(seawall::deadline({.after = 1s}));
  const auto inner = seawall::compose(seawall::retry(tries(4)));
  CHECK(run(clock, outer, [&](const seawall::attempt& a) {
          return inner.run(a, seawall::idempotent(std::ref(dependency)));
        }).ok());
}

TEST_CASE("nested deadlines: the earliest wins, whichever it is") {
  struct row {
    seawall::duration outer, attempt, inner, ends_at;
  };
  for (const row& r : {row{50ms, 1s, 1s, 50ms}, {1s, 60ms, 1s, 60ms}, {1s, 1s, 70ms, 70ms}}) {
    virtual_clock clock;
    scripted<int> dependency(clock, "hang", 7);
    const auto outer = seawall::compose(seawall::deadline({.after = r.outer}),
                                        seawall::attempt_timeout({.after = r.attempt}));
    const auto inner = seawall::compose(seawall::deadline({.after = r.inner}));
    const result got = run(clock, outer, [&](const seawall::attempt& a) {
      return inner.run(a, [&](const seawall::attempt& b) { return dependency(b); });
    });
    CHECK(got.status().code() == absl::StatusCode::kDeadlineExceeded);
    CHECK(clock.elapsed() == r.ends_at);
  }
}

TEST_CASE("a nested call whose inherited deadline has passed is rejected without an attempt") {
  virtual_clock clock;
  int inner_calls = 0;
  const auto outer = seawall::compose(seawall::deadline({.after = 10ms}));
  const auto inner = seawall::compose(seawall::retry());
  const absl::Status got = run(clock, outer, [&](const seawall::attempt& a) -> absl::Status {
    clock.advance(10ms);
    return inner.run(a, seawall::idempotent([&] { return ++inner_calls, absl::OkStatus(); }));
  });
  CHECK(inner_calls == 0);
  CHECK(seawall::rejection_of(got)->why == seawall::reason::deadline_expired);
}

TEST_CASE(
    "a rejection by a nested breaker is tried again by the outer retry, after its time left, and is no failure") {
  virtual_clock clock;
  seawall::circuit_breaker inner_breaker({.name = "inner", .open_for = 2s});
  seawall::circuit_breaker outer_breaker({.name = "outer", .consecutive_failures = 1});
  inner_breaker.force_open(clock.now());
  scripted<int> dependency(clock, "ok", 7);
  const auto outer = seawall::compose(seawall::retry(tries(3)), seawall::breaker(outer_breaker));
  const auto inner = seawall::compose(seawall::breaker(inner_breaker));
  CHECK(run(clock, outer, seawall::non_idempotent([&](const seawall::attempt& a) {
              return inner.run(a, [&](const seawall::attempt& b) { return dependency(b); });
            }))
            .ok());
  CHECK(clock.elapsed() == seawall::duration(2s));
  CHECK(outer_breaker.snapshot(clock.now()).transitions == 0);
}

TEST_CASE("attributes, priority, stop token, random source and keys reach a nested attempt") {
  std::stop_source caller;
  seawall::random_source random(42);
  const seawall::attribute tenant[] = {{"tenant", "acme"}, {"route", "outer"}};
  const seawall::attribute route[] = {{"route", "inner"}};
  const auto pipeline = seawall::compose(seawall::deadline({.after = 1min}));
  const absl::Status got = pipeline.run(
      {.key = "eu", .priority = 5, .attributes = tenant, .stop = caller.get_token(), .random = &random},
      [&](const seawall::attempt& a) -> absl::Status {
        CHECK(a.key() == "eu");
        return pipeline.run(a, {.attributes = route}, [&](const seawall::attempt& b) -> absl::Status {
          CHECK(b.priority() == 5);
          CHECK(b.attribute("tenant") == "acme");
          CHECK(b.attribute("route") == "inner");
          CHECK_FALSE(b.attribute("absent").has_value());
          CHECK(b.stop_token() == caller.get_token());
          CHECK(&b.context().random() == &random);
          CHECK(b.key().empty());
          return absl::OkStatus();
        });
      });
  CHECK(got.ok());
}

}  // namespace
