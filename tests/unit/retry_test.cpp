// SPDX-License-Identifier: Apache-2.0
#include "seawall/retry.hpp"

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "seawall/circuit_breaker.hpp"
#include "seawall/classify.hpp"
#include "seawall/deadline.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/script.hpp"
#include "support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

seawall::backoff_options every(seawall::duration d) {
  return {.shape = seawall::backoff_shape::constant, .initial = d, .jitter = seawall::jitter::none};
}

seawall::retry_options tries(std::uint32_t n, seawall::duration pause = 100ms) {
  return {.max_attempts = n, .backoff = every(pause)};
}

struct row {
  const char* script;
  seawall::idempotency declared;
  std::uint64_t calls;
  absl::StatusCode code;
  seawall::duration ends_at;
};

result run_row(virtual_clock& clock, scripted<int>& dependency, seawall::idempotency declared) {
  const auto pipeline = seawall::compose(seawall::retry(tries(3)));
  if (declared == seawall::idempotency::idempotent) {
    return run(clock, pipeline, seawall::idempotent(std::ref(dependency)));
  }
  return run(clock, pipeline, seawall::non_idempotent(std::ref(dependency)));
}

constexpr auto yes = seawall::idempotency::idempotent;
constexpr auto no = seawall::idempotency::non_idempotent;

TEST_CASE("retry: what is tried again, by outcome and declaration") {
  using code = absl::StatusCode;
  const row table[] = {
      {"ok after 7ms", yes, 1, code::kOk, 7ms},
      {"fail, ok", yes, 2, code::kOk, 100ms},
      {"fail after 10ms, fail after 20ms, ok after 30ms", yes, 3, code::kOk, 260ms},
      {"fail", yes, 3, code::kUnavailable, 200ms},
      {"internal, unknown, deadline_exceeded", yes, 3, code::kDeadlineExceeded, 200ms},
      {"resource_exhausted, ok", yes, 2, code::kOk, 100ms},
      {"not_found, ok", yes, 1, code::kNotFound, 0ms},
      {"invalid_argument, ok", yes, 1, code::kInvalidArgument, 0ms},
      {"data_loss, ok", yes, 1, code::kDataLoss, 0ms},
      {"cancelled, ok", yes, 1, code::kCancelled, 0ms},
      {"fail, not_found, ok", yes, 2, code::kNotFound, 100ms},
      {"fail, ok", no, 1, code::kUnavailable, 0ms},
      {"ok", no, 1, code::kOk, 0ms},
      {"fail retry-after 3s, ok", yes, 2, code::kOk, 3s},
      {"fail retry-after 0s, ok", yes, 2, code::kOk, 0ms},
      // The schedule goes on behind a pushback; it doesn't start over.
      {"fail retry-after 1s, fail, ok", yes, 3, code::kOk, 1100ms},
      {"fail retry-after 61s, ok", yes, 1, code::kUnavailable, 0ms},
      {"not_found retry-after 1s, ok", yes, 1, code::kNotFound, 0ms},
  };
  for (const row& r : table) {
    CAPTURE(r.script);
    virtual_clock clock;
    scripted<int> dependency(clock, r.script, 7);
    const result got = run_row(clock, dependency, r.declared);
    CHECK(got.status().code() == r.code);
    CHECK(dependency.calls() == r.calls);
    CHECK(clock.elapsed() == r.ends_at);
  }
}

// Never: retry a permanent error.
TEST_CASE("retry never repeats a permanent error") {
  for (const char* script :
       {"not_found", "invalid_argument", "already_exists", "permission_denied", "unauthenticated",
        "failed_precondition", "aborted", "out_of_range", "unimplemented", "data_loss"}) {
    CAPTURE(script);
    virtual_clock clock;
    scripted<int> dependency(clock, script, 7);
    const result got = run_row(clock, dependency, yes);
    CHECK(dependency.calls() == 1);
    CHECK(got.status().message() == "scripted");  // and has nothing to add to it
  }
}

// Never: retry a non-idempotent call that may have been executed.
TEST_CASE("retry repeats a non-idempotent call whose client says that it was not executed") {
  virtual_clock clock;
  int calls = 0;
  const absl::Status got =
      run(clock, seawall::compose(seawall::retry(tries(5))), seawall::non_idempotent([&] {
            const absl::Status s = absl::UnavailableError("no connection");
            return ++calls < 3 ? seawall::not_executed(s) : s;
          }));
  CHECK(calls == 3);
  CHECK(seawall_test::contains(got, "not idempotent and may have been executed"));
}

TEST_CASE("retry repeats a non-idempotent call only where it provably was not executed") {
  virtual_clock clock;
  int calls = 0;
  const auto refused_twice = seawall::classify([&](const absl::Status& s) -> std::optional<seawall::verdict> {
    if (s.message() == "connection refused") return seawall::verdict::not_executed();
    return std::nullopt;
  });
  const auto pipeline = seawall::compose(seawall::retry(tries(5)), refused_twice);
  const absl::Status got =
      run(clock, pipeline, seawall::non_idempotent([&]() -> absl::Status {
            return absl::UnavailableError(++calls < 3 ? "connection refused" : "connection reset");
          }));
  CHECK(calls == 3);
  CHECK(got.code() == absl::StatusCode::kUnavailable);
  CHECK(seawall_test::contains(got, "not idempotent and may have been executed"));
  CHECK(seawall_test::contains(got, "connection reset"));
}

// Never: drop the error of the last attempt.
TEST_CASE("retry returns the last real error and says which rule ended the call") {
  virtual_clock clock;
  scripted<int> dependency(clock, "internal after 1ms, fail after 2ms", 7);
  const result got = run_row(clock, dependency, yes);
  CHECK(got.status().code() == absl::StatusCode::kUnavailable);
  CHECK(got.status().message() == "retry gave up after 3 attempts in 205ms: scripted");
}

TEST_CASE("retry returns the last real error when an inner breaker rejected the last try") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "b", .consecutive_failures = 2, .open_for = 10s});
  scripted<int> dependency(clock, "fail", 7);
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 5s}), seawall::retry(tries(4)), seawall::breaker(breaker));
  const result got = run(clock, pipeline, seawall::idempotent(std::ref(dependency)));
  CHECK(dependency.calls() == 2);
  CHECK(got.status().message() ==
        "retry gave up after 2 attempts in 200ms, the next one would start after the deadline: scripted");
  // The breaker's time left goes past the deadline: given up at once.
  CHECK(clock.elapsed() == seawall::duration(200ms));
}

TEST_CASE("retry waits for an inner breaker as long as it stays open, where the deadline allows") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "b", .consecutive_failures = 2, .open_for = 10s});
  scripted<int> dependency(clock, "fail x2, ok", 7);
  const auto pipeline = seawall::compose(seawall::deadline({.after = 1min}), seawall::retry(tries(4)),
                                         seawall::breaker(breaker));
  CHECK(run(clock, pipeline, seawall::idempotent(std::ref(dependency))).ok());
  // Second failure at 100 ms opens it for 10 s; a try at 200 ms is rejected and then waits for the rest.
  CHECK(clock.elapsed() == seawall::duration(10100ms));
}

TEST_CASE("retry tries a non-idempotent call again after a rejection by an inner breaker") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "b", .open_for = 1s});
  breaker.force_open(clock.now());
  scripted<int> dependency(clock, "ok", 7);
  const auto pipeline = seawall::compose(seawall::retry(tries(2)), seawall::breaker(breaker));
  CHECK(run(clock, pipeline, seawall::non_idempotent(std::ref(dependency))).ok());
  CHECK(clock.elapsed() == seawall::duration(1s));
}

// Never: sleep past a deadline.
TEST_CASE("retry never pauses towards a moment at which the deadline has passed") {
  struct deadline_row {
    seawall::duration after;
    std::uint64_t calls;
    seawall::duration ends_at;
  };
  // Attempts take 10 ms and start at 0, 110 and 220 ms; one that would start at the deadline itself has no time at all.
  for (const deadline_row& r :
       {deadline_row{110ms, 1, 10ms}, {111ms, 2, 111ms}, {220ms, 2, 120ms}, {221ms, 3, 221ms}}) {
    CAPTURE(r.after.ns());
    virtual_clock clock;
    scripted<int> dependency(clock, "fail after 10ms", 7);
    const auto pipeline = seawall::compose(seawall::deadline({.after = r.after}), seawall::retry(tries(9)));
    const result got = run(clock, pipeline, seawall::idempotent(std::ref(dependency)));
    CHECK(dependency.calls() == r.calls);
    CHECK(clock.elapsed() == r.ends_at);
    CHECK_FALSE(got.ok());
  }
}

TEST_CASE("retry neither starts nor waits for an attempt that would have less time than it needs") {
  for (const auto needs : {seawall::duration(0ms), seawall::duration(31ms), seawall::duration(32ms)}) {
    virtual_clock clock;
    scripted<int> dependency(clock, "fail after 10ms", 7);
    auto options = tries(9);
    options.attempt_needs = needs;
    const auto pipeline = seawall::compose(seawall::deadline({.after = 141ms}), seawall::retry(options));
    run(clock, pipeline, seawall::idempotent(std::ref(dependency))).IgnoreError();
    // The second one would start at 110 ms and have 31 ms.
    CHECK(dependency.calls() == (needs <= seawall::duration(31ms) ? 2 : 1));
  }
}

// Never: retry when the caller has gone.
TEST_CASE("retry starts nothing after the caller's stop token fired during an attempt") {
  virtual_clock clock;
  std::stop_source caller;
  int calls = 0;
  const auto pipeline = seawall::compose(seawall::retry(tries(5)));
  const absl::Status got =
      run(clock, pipeline, {.stop = caller.get_token()}, seawall::idempotent([&](const seawall::attempt& a) {
            CHECK(a.stop_token().stop_possible());
            if (++calls == 2) caller.request_stop();
            return absl::UnavailableError("down");
          }));
  CHECK(calls == 2);
  CHECK(got.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("retry starts nothing at all for a caller that has gone before") {
  virtual_clock clock;
  std::stop_source caller;
  caller.request_stop();
  int calls = 0;
  const absl::Status got = run(clock, seawall::compose(seawall::retry()), {.stop = caller.get_token()},
                               seawall::idempotent([&] { return ++calls, absl::OkStatus(); }));
  CHECK(calls == 0);
  CHECK(got.code() == absl::StatusCode::kCancelled);
}

// Never: count a backoff in progress as in flight.
TEST_CASE("retry holds nothing of the layers inside while it pauses") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "b",
                                    .consecutive_failures = 1,
                                    .open_for = 50ms,
                                    .half_open = {.max_probes = 1, .successes = 2, .of = 3}});
  std::vector<std::uint32_t> probes_in_pauses;
  seawall::listening events([&](const seawall::event::retry_scheduled&) {
    probes_in_pauses.push_back(breaker.snapshot(clock.now()).probes);
  });
  scripted<int> dependency(clock, "fail, fail after 1ms, ok", 7);
  const auto pipeline = seawall::compose(seawall::retry(tries(4)), seawall::breaker(breaker)).listen(events);
  CHECK(run(clock, pipeline, seawall::idempotent(std::ref(dependency))).ok());
  CHECK(probes_in_pauses == std::vector<std::uint32_t>{0, 0});
}

TEST_CASE("retry max_duration bounds the start of the last attempt") {
  virtual_clock clock;
  scripted<int> dependency(clock, "fail", 7);
  auto options = tries(100);
  options.max_duration = 350ms;
  const result got =
      run(clock, seawall::compose(seawall::retry(options)), seawall::idempotent(std::ref(dependency)));
  CHECK(dependency.calls() == 4);
  CHECK(clock.elapsed() == seawall::duration(300ms));
  CHECK(seawall_test::contains(got.status(), "max_duration"));
}

TEST_CASE("retry budget shared by two pipelines bounds the sum of their retries") {
  virtual_clock clock;
  seawall::retry_budget budget({.name = "shared", .ratio = 0.1, .floor_per_second = 0.0});
  scripted<int> one(clock, "fail", 7), two(clock, "fail", 7);
  auto options = tries(3, 0ms);
  options.budget = &budget;
  const auto first = seawall::compose(seawall::retry(options)),
             second = seawall::compose(seawall::retry(options));
  for (int i = 0; i < 50; ++i) {
    run(clock, first, seawall::idempotent(std::ref(one))).IgnoreError();
    run(clock, second, seawall::idempotent(std::ref(two))).IgnoreError();
  }
  CHECK(one.calls() + two.calls() == 110);
  CHECK(budget.snapshot(clock.now()).repetitions == 10);
}

TEST_CASE("retry spends nothing of its budget where another rule ends the call") {
  virtual_clock clock;
  seawall::retry_budget budget({.ratio = 10.0});
  auto options = tries(3);
  options.budget = &budget;
  scripted<int> dependency(clock, "fail", 7);
  const auto pipeline = seawall::compose(seawall::deadline({.after = 50ms}), seawall::retry(options));
  run(clock, pipeline, seawall::idempotent(std::ref(dependency))).IgnoreError();
  CHECK(budget.snapshot(clock.now()).repetitions == 0);
}

TEST_CASE("retry delays with jitter come from the call's random source, and replay") {
  const auto ends_at = [](std::uint64_t seed) {
    virtual_clock clock;
    seawall::random_source random(seed);
    scripted<int> dependency(clock, "fail x5, ok", 7);
    const auto pipeline = seawall::compose(seawall::retry({.max_attempts = 6}));
    CHECK(run(clock, pipeline, {.random = &random}, seawall::idempotent(std::ref(dependency))).ok());
    return clock.elapsed();
  };
  CHECK(ends_at(1) == ends_at(1));
  CHECK(ends_at(1) != ends_at(2));
}

TEST_CASE("an hour of outage ends exactly when it should, with exactly as many attempts as it should") {
  virtual_clock clock;
  scripted<int> dependency(clock, "until 1h: fail; ok", 7);
  const auto pipeline = seawall::compose(seawall::retry(
      {.max_attempts = 1000, .backoff = {.initial = 1s, .max = 64s, .jitter = seawall::jitter::none}}));
  CHECK(run(clock, pipeline, seawall::idempotent(std::ref(dependency))).ok());
  // 1 + 2 + ... + 32 = 63 s in six pauses, then pauses of 64 s until 3600 s are over.
  CHECK(dependency.calls() == 1 + 6 + 56);
  CHECK(clock.elapsed() == seawall::duration(63s + 56 * 64s));
}

TEST_CASE("a rejected budget is told with its rule") {
  virtual_clock clock;
  seawall::retry_budget budget({.ratio = 0.0, .floor_per_second = 0.0});
  auto options = tries(3);
  options.budget = &budget;
  scripted<int> dependency(clock, "fail", 7);
  seawall::call_report report;
  const result got = run(clock, seawall::compose(seawall::retry(options)), {.report = &report},
                         seawall::idempotent(std::ref(dependency)));
  CHECK(seawall_test::contains(got.status(), "the retry budget is spent"));
  CHECK(report.gave_up == seawall::give_up::budget);
  CHECK(report.attempts == 1);
}

}  // namespace
