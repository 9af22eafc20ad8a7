// SPDX-License-Identifier: Apache-2.0
#include "seawall/exec/blocking.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::virtual_clock;

/// Counts how often it is read.
struct counting_clock {
  virtual_clock& clock;
  int reads = 0;

  seawall::instant now() { return ++reads, clock.now(); }
  void pause(seawall::instant until, seawall::parker& p) { clock.pause(until, p); }
};

template <class Pipeline, class Op>
int reads_of(const Pipeline& p, Op op) {
  virtual_clock clock;
  counting_clock counting{clock};
  seawall::detail::run_blocking::run_in(counting, p, nullptr, nullptr, op).IgnoreError();
  return counting.reads;
}

TEST_CASE(
    "the clock is read once for a success, and once more only where a layer needs to know how long it took") {
  seawall::circuit_breaker plain, slow({.slow = {.limit = 1s}});
  const auto ok = seawall::idempotent([] { return absl::OkStatus(); });
  const auto fails = seawall::idempotent([] { return absl::NotFoundError(""); });
  const auto five = [](seawall::circuit_breaker& b) {
    return seawall::compose(seawall::fallback(absl::OkStatus()), seawall::deadline({.after = 1s}),
                            seawall::retry(), seawall::breaker(b), seawall::attempt_timeout({.after = 1s}));
  };
  CHECK(reads_of(five(plain), ok) == 1);
  CHECK(reads_of(five(slow), ok) == 2);
  CHECK(reads_of(five(plain), fails) == 2);
  slow.reconfigure({}).has_value();
  CHECK(reads_of(five(slow), ok) == 1);
}

TEST_CASE("a rejection by an open breaker reads the clock once") {
  seawall::circuit_breaker breaker;
  breaker.isolate();
  CHECK(reads_of(seawall::compose(seawall::breaker(breaker)), [] { return absl::OkStatus(); }) == 1);
}

TEST_CASE("a pause ends at once when the caller's stop token fires in another thread") {
  std::stop_source caller;
  std::atomic<bool> pausing{false};
  seawall::listening events([&](const seawall::event::retry_scheduled&) { pausing = true; });
  const auto pipeline =
      seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}})).listen(events);
  const std::jthread canceller([&] {
    while (!pausing) std::this_thread::yield();
    caller.request_stop();
  });
  const absl::Status got = pipeline.run({.stop = caller.get_token()},
                                        seawall::idempotent([] { return absl::UnavailableError("down"); }));
  CHECK(got.code() == absl::StatusCode::kCancelled);
  // The last real error is not lost.
  CHECK(std::string(got.message()).find("UNAVAILABLE: down") != std::string::npos);
}

TEST_CASE("a listener of the call and one of the pipeline both hear of it") {
  virtual_clock clock;
  std::vector<std::string> heard;
  seawall::listening of_pipeline(
      [&](const seawall::event::rejected& e) { heard.emplace_back(e.what.policy); });
  seawall::listening of_call([&](const seawall::event::rejected&) { heard.emplace_back("call"); });
  seawall::circuit_breaker breaker;
  breaker.isolate();
  const auto pipeline = seawall::compose(seawall::breaker(breaker)).listen(of_pipeline);
  run(clock, pipeline, {.events = &of_call}, [] { return absl::OkStatus(); }).IgnoreError();
  CHECK(heard == std::vector<std::string>{"call", "circuit_breaker"});
}

TEST_CASE("events tell a call's story in order") {
  virtual_clock clock;
  std::vector<std::string> story;
  struct recorder final : seawall::listener {
    explicit recorder(std::vector<std::string>& s) : story(s) {}
    void on(const seawall::event::rejected& e) noexcept override {
      story.push_back("rejected by " + std::string(e.what.policy));
    }
    void on(const seawall::event::retry_scheduled& e) noexcept override {
      story.push_back("attempt " + std::to_string(e.attempt) + ", next in " + seawall::to_text(e.delay) +
                      (e.pushback ? " as asked" : ""));
    }
    void on(const seawall::event::gave_up& e) noexcept override {
      story.push_back(seawall::describe(e.what));
    }
    void on(const seawall::event::fallback_used& e) noexcept override {
      story.push_back("fallback " + std::string(e.name));
    }
    void on(const seawall::event::state_changed& e) noexcept override { story.push_back(std::string(e.to)); }
    std::vector<std::string>& story;
  } recorder(story);
  seawall::circuit_breaker breaker(
      {.name = "b", .consecutive_failures = 2, .open_for = 1s, .events = &recorder});
  const auto pipeline =
      seawall::compose(
          seawall::fallback({.name = "stale"}, absl::OkStatus()),
          seawall::retry({.max_attempts = 3, .backoff = {.initial = 10ms, .jitter = seawall::jitter::none}}),
          seawall::breaker(breaker))
          .listen(recorder);
  CHECK(run(clock, pipeline, seawall::idempotent([] { return absl::UnavailableError(""); })).ok());
  CHECK(story == std::vector<std::string>{"attempt 1, next in 10ms", "open", "attempt 2, next in 20ms",
                                          "rejected by circuit_breaker",
                                          "retry gave up after 2 attempts in 30ms", "fallback stale"});
}

TEST_CASE("callers that wait for a probe's verdict proceed when it succeeds, through the blocking driver") {
  seawall::circuit_breaker breaker(
      {.name = "b",
       .consecutive_failures = 1,
       .open_for = 1ms,
       .half_open = {.excess_calls = seawall::circuit_breaker_options::excess::waits}});
  const auto pipeline = seawall::compose(seawall::breaker(breaker));
  pipeline.run([] { return absl::UnavailableError(""); }).IgnoreError();
  while (breaker.snapshot().state != seawall::breaker_state::half_open) std::this_thread::yield();

  std::atomic<int> answered{0};
  std::vector<std::jthread> waiting;
  // The probe starts the others, and answers once both are in the wait list.
  const absl::Status probe = pipeline.run([&]() -> absl::Status {
    for (int i = 0; i < 2; ++i) {
      waiting.emplace_back([&] { answered += pipeline.run([] { return absl::OkStatus(); }).ok() ? 1 : 0; });
    }
    while (breaker.snapshot().waiting < 2) std::this_thread::yield();
    return absl::OkStatus();
  });
  waiting.clear();
  CHECK(probe.ok());
  CHECK(answered == 2);
  CHECK(breaker.snapshot().waiting == 0);
}

TEST_CASE("report: elapsed time, attempts, give-up and rejection") {
  virtual_clock clock;
  seawall::call_report report;
  const auto pipeline = seawall::compose(
      seawall::retry({.max_attempts = 2, .backoff = {.initial = 10ms, .jitter = seawall::jitter::none}}));
  run(clock, pipeline, {.report = &report},
      seawall::idempotent([&] { return clock.advance(5ms), absl::UnavailableError(""); }))
      .IgnoreError();
  CHECK(report.attempts == 2);
  CHECK(report.elapsed == seawall::duration(20ms));
  CHECK(report.gave_up == seawall::give_up::max_attempts);
  CHECK(report.rejected == seawall::reason::none);
  run(clock, pipeline, {.deadline = clock.now(), .report = &report},
      seawall::idempotent([] { return absl::OkStatus(); }))
      .IgnoreError();
  CHECK(report.attempts == 0);
  CHECK(report.rejected == seawall::reason::deadline_expired);
  CHECK(report.gave_up == seawall::give_up::none);
}

}  // namespace
