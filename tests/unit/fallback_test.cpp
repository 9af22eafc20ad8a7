// SPDX-License-Identifier: Apache-2.0
#include "seawall/fallback.hpp"

#include <chrono>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <string>

#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

result down() { return absl::UnavailableError("down"); }

TEST_CASE("fallback: values and functions of every shape") {
  const result value = 9;
  CHECK(*seawall::compose(seawall::fallback(value)).run(down) == 9);
  CHECK(*seawall::compose(seawall::fallback(9)).run(down) == 9);
  CHECK(*seawall::compose(seawall::fallback([] { return 9; })).run(down) == 9);
  CHECK(*seawall::compose(seawall::fallback([](const absl::Status& why) -> result {
           return static_cast<int>(why.message().size());
         })).run(down) == 4);
  CHECK(*seawall::compose(seawall::fallback([](const seawall::attempt& a) {
           return static_cast<int>(a.number());
         })).run(down) == 1);
  CHECK(*seawall::compose(seawall::fallback([](const absl::Status& why, const seawall::attempt& a) {
           return static_cast<int>(why.message().size() + a.number());
         })).run(down) == 5);
}

TEST_CASE("fallback: which failures it answers") {
  using code = absl::StatusCode;
  struct row {
    code fails_with;
    bool missing;  // answered by fallback_for::missing_answers
  };
  for (const row& r : {row{code::kUnavailable, true},
                       {code::kDeadlineExceeded, true},
                       {code::kInternal, true},
                       {code::kResourceExhausted, true},
                       {code::kDataLoss, true},
                       {code::kNotFound, false},
                       {code::kInvalidArgument, false},
                       {code::kPermissionDenied, false},
                       {code::kAborted, false}}) {
    CAPTURE(static_cast<int>(r.fails_with));
    const auto op = [&]() -> result { return absl::Status(r.fails_with, ""); };
    CHECK(seawall::compose(seawall::fallback(9)).run(op).ok() == r.missing);
    CHECK(seawall::compose(seawall::fallback({.handles = seawall::fallback_for::every_failure}, 9))
              .run(op)
              .ok());
  }
}

TEST_CASE("fallback answers a rejection, and is told which") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "quotes"});
  breaker.isolate(clock.now());
  std::string told;
  const auto pipeline =
      seawall::compose(seawall::fallback([&](const absl::Status& why) { return told = why.ToString(), 9; }),
                       seawall::breaker(breaker));
  CHECK(*run(clock, pipeline, down) == 9);
  CHECK(seawall_test::contains(told, "circuit_breaker 'quotes' is isolated"));
}

TEST_CASE("fallback is told which rule ended the retries") {
  virtual_clock clock;
  std::string told;
  const auto pipeline =
      seawall::compose(seawall::fallback([&](const absl::Status& why) { return told = why.ToString(), 9; }),
                       seawall::retry({.max_attempts = 2, .backoff = {.jitter = seawall::jitter::none}}));
  CHECK(*run(clock, pipeline, seawall::idempotent(down)) == 9);
  CHECK(seawall_test::contains(told, "retry gave up after 2 attempts in 100ms: down"));
}

TEST_CASE("fallbacks chain: the inner one first, the outer one if that fails too") {
  int inner_asked = 0, outer_asked = 0;
  bool inner_works = true;
  const auto pipeline =
      seawall::compose(seawall::fallback({.name = "static"}, [&] { return ++outer_asked, 1; }),
                       seawall::fallback({.name = "replica"}, [&](const absl::Status& why) -> result {
                         ++inner_asked;
                         return inner_works ? result(2) : result(why);
                       }));
  seawall::call_report report;
  CHECK(*pipeline.run({.report = &report}, down) == 2);
  CHECK(report.degraded_by == "replica");
  CHECK(outer_asked == 0);
  inner_works = false;
  CHECK(*pipeline.run({.report = &report}, down) == 1);
  CHECK(report.degraded_by == "static");
  CHECK(inner_asked == 2);
  CHECK(outer_asked == 1);
}

TEST_CASE("a fallback that fails itself: its error is the result, and the answer is not degraded") {
  seawall::call_report report;
  const auto pipeline =
      seawall::compose(seawall::fallback([]() -> result { return absl::NotFoundError("no stale value"); }));
  const result got = pipeline.run({.report = &report}, down);
  CHECK(got.status().message() == "no stale value");
  CHECK_FALSE(report.degraded);
}

TEST_CASE("every degraded answer is marked, and no other is") {
  seawall::call_report report;
  const auto pipeline = seawall::compose(seawall::fallback({.name = "stale"}, 9));
  CHECK(*pipeline.run({.report = &report}, down) == 9);
  CHECK(report.degraded);
  CHECK(report.degraded_by == "stale");
  CHECK(report.attempts == 1);
  CHECK(*pipeline.run({.report = &report}, []() -> result { return 7; }) == 7);
  CHECK_FALSE(report.degraded);
  CHECK(report.degraded_by.empty());
}

TEST_CASE("a report may outlive the pipeline it tells about") {
  // Longer than a small string: a view into the layer's name would dangle where a sanitizer sees it.
  const std::string name = "a substitute with a name that is too long to be stored in place";
  seawall::call_report report;
  CHECK(*seawall::compose(seawall::fallback({.name = name}, 9)).run({.report = &report}, down) == 9);
  CHECK(report.degraded_by == name);
}

TEST_CASE("fallback to another pipeline inherits what is left of the deadline, and hands retries to nobody") {
  virtual_clock clock;
  scripted<int> primary(clock, "hang", 1), replica(clock, "fail after 5ms, ok after 5ms", 2);
  const auto replicas =
      seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 0ms, .max = 0ms}}));
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 100ms}), seawall::fallback([&](const seawall::attempt& a) {
                         CHECK(a.time_left() == seawall::duration(70ms));
                         return replicas.run(a, seawall::idempotent(std::ref(replica)));
                       }),
                       seawall::attempt_timeout({.after = 30ms}));
  CHECK(*run(clock, pipeline, [&](const seawall::attempt& a) { return primary(a); }) == 2);
  CHECK(clock.elapsed() == seawall::duration(40ms));
}

TEST_CASE(
    "a fallback outside a deadline has its own time: what is outside bounds it, not what ended inside") {
  virtual_clock clock;
  scripted<int> primary(clock, "hang", 1), replica(clock, "ok after 50ms", 2);
  const auto replicas = seawall::compose(seawall::deadline({.after = 60ms}));
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 100ms}),
                       seawall::fallback_to(replicas, [&](const seawall::attempt& a) { return replica(a); }),
                       seawall::deadline({.after = 30ms}), seawall::attempt_timeout({.after = 20ms}));
  CHECK(*run(clock, pipeline, [&](const seawall::attempt& a) { return primary(a); }) == 2);
  CHECK(clock.elapsed() == seawall::duration(70ms));
}

TEST_CASE("a substitute that found nothing does not end the chain") {
  const auto pipeline =
      seawall::compose(seawall::fallback(9),
                       seawall::fallback([]() -> result { return absl::NotFoundError("not in the cache"); }));
  CHECK(*pipeline.run(down) == 9);
}

TEST_CASE("fallback_to runs the other pipeline with an operation of its own") {
  const auto other = seawall::compose(seawall::fallback(5));
  const auto pipeline = seawall::compose(seawall::fallback_to(other, down, {.name = "other"}));
  seawall::call_report report;
  CHECK(*pipeline.run({.report = &report}, down) == 5);
  CHECK(report.degraded_by == "other");
}

TEST_CASE("fallback asks nothing for a caller that has gone") {
  std::stop_source caller;
  int asked = 0;
  const auto pipeline = seawall::compose(seawall::fallback([&] { return ++asked, 9; }));
  const result got =
      pipeline.run({.stop = caller.get_token()}, [&]() -> result { return caller.request_stop(), down(); });
  CHECK(asked == 0);
  CHECK_FALSE(got.ok());
}

TEST_CASE("fallback for plain values gets the exception, may throw itself, and may turn out of void") {
  const auto boom = []() -> int { throw std::runtime_error("boom"); };
  CHECK(seawall::compose(seawall::fallback(3)).run(boom) == 3);
  CHECK(seawall::compose(seawall::fallback([](const std::exception_ptr& e) {
          try {
            std::rethrow_exception(e);
          } catch (const std::runtime_error& error) {
            return static_cast<int>(std::string(error.what()).size());
          }
        })).run(boom) == 4);
  const auto rethrows =
      seawall::compose(seawall::fallback([]() -> int { throw std::runtime_error("worse"); }));
  CHECK_THROWS_WITH_AS(rethrows.run(boom), "worse", std::runtime_error);
  bool asked = false;
  seawall::compose(seawall::fallback([&] { asked = true; })).run([] { throw std::runtime_error("boom"); });
  CHECK(asked);
}

}  // namespace
