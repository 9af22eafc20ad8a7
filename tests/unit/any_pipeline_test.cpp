// SPDX-License-Identifier: Apache-2.0
#include "seawall/any_pipeline.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"
#include "support.hpp"
#include "support/overlap.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;
using dynamic = seawall::any_pipeline<result>;
using config = seawall::pipeline_config<result>;

seawall::retry_options plain_retry() {
  return {.max_attempts = 3, .backoff = {.initial = 10ms, .jitter = seawall::jitter::none}};
}

TEST_CASE("any_pipeline from a configuration does what its layers say") {
  virtual_clock clock;
  const auto pipeline =
      dynamic::from({.name = "quotes",
                     .layers = {seawall::fallback_config<result>{.source = result(9)},
                                seawall::deadline_options{.after = 1s}, plain_retry(),
                                seawall::circuit_breaker_options{.name = "b", .consecutive_failures = 3},
                                seawall::attempt_timeout_options{.after = 100ms}}});
  REQUIRE(pipeline.ok());
  scripted<int> dependency(clock, "fail, ok after 5ms, hang", 7);
  CHECK(*run(clock, *pipeline, seawall::idempotent(std::ref(dependency))) == 7);
  CHECK(clock.elapsed() == seawall::duration(15ms));
  CHECK(*run(clock, *pipeline, seawall::idempotent(std::ref(dependency))) == 9);
  CHECK(pipeline->owned<seawall::circuit_breaker>().at(0)->snapshot(clock.now()).state ==
        seawall::breaker_state::open);
}

TEST_CASE("any_pipeline with a fallback function of the error, and with shared breakers") {
  virtual_clock clock;
  seawall::circuit_breaker shared({.name = "shared"});
  seawall::keyed<seawall::circuit_breaker> by_shard({.name = "shards"});
  shared.isolate(clock.now());
  std::string told;
  const auto tell = [&](const absl::Status& why) -> result { return told = why.ToString(), 9; };
  const auto pipeline =
      dynamic::from({.layers = {seawall::fallback_config<result>{.source = tell}, &shared, &by_shard}});
  REQUIRE(pipeline.ok());
  CHECK(*run(clock, *pipeline, seawall::idempotent([]() -> result { return 7; })) == 9);
  CHECK(seawall_test::contains(told, "'shared' is isolated"));
}

TEST_CASE("any_pipeline with a cache of its own answers again, and in place of a failure") {
  virtual_clock clock;
  const auto pipeline = dynamic::from(
      {.layers = {seawall::cache_options<result>{.name = "quotes", .ttl = 10s, .stale_if_error = 1min},
                  plain_retry()}});
  REQUIRE(pipeline.ok());
  scripted<int> dependency(clock, "ok, fail x3", 7);
  const auto op = seawall::idempotent(std::ref(dependency));
  CHECK(*run(clock, *pipeline, {.key = "EURUSD"}, op) == 7);
  CHECK(*run(clock, *pipeline, {.key = "EURUSD"}, op) == 7);
  CHECK(dependency.calls() == 1);
  clock.advance(11s);
  seawall::call_report report;
  CHECK(*run(clock, *pipeline, {.key = "EURUSD", .report = &report}, op) == 7);
  CHECK(report.degraded_by == "quotes");
  CHECK(dependency.calls() == 4);
  const seawall::cache_snapshot s = pipeline->owned<seawall::cache<result>>().at(0)->snapshot();
  CHECK(s.hits == 1);
  CHECK(s.stale_if_error == 1);
}

TEST_CASE("any_pipeline with a cache and a coalescer that others share") {
  virtual_clock clock;
  seawall::cache<result> quotes({.name = "quotes"});
  seawall::coalescer<result> flights({.name = "flights"});
  quotes.put("EURUSD", 7, clock.now());
  const auto pipeline = dynamic::from({.layers = {&quotes, &flights}});
  REQUIRE(pipeline.ok());
  const auto op = seawall::idempotent([]() -> result { return 8; });
  CHECK(*run(clock, *pipeline, {.key = "EURUSD"}, op) == 7);
  CHECK(flights.snapshot().led == 0);
  CHECK(*run(clock, *pipeline, {.key = "EURGBP"}, op) == 8);
  CHECK(flights.snapshot().led == 1);
  CHECK(quotes.snapshot().entries == 2);
  const auto owning = dynamic::from({.layers = {seawall::coalesce_options{.name = "own"}}});
  REQUIRE(owning.ok());
  CHECK(*run(clock, *owning, op) == 8);
  CHECK(owning->owned<seawall::coalescer<result>>().at(0)->snapshot().led == 1);
}

TEST_CASE("any_pipeline with a hedge rejects every blocking call, and says which drivers can run it") {
  virtual_clock clock;
  const auto hedged = dynamic::from({.layers = {seawall::fallback_config<result>{.source = result(9)},
                                                seawall::hedge_options{.name = "h"}, plain_retry()}});
  REQUIRE(hedged.ok());
  CHECK(hedged->overlapping());
  CHECK(hedged->hedging()->name() == "h");
  int runs = 0;
  const auto op = seawall::idempotent([&runs]() -> result { return ++runs; });
  seawall::call_report report;
  const result refused = run(clock, *hedged, {.report = &report}, op);
  CHECK(refused.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(seawall_test::contains(
      refused.status(),
      "hedge needs a driver in which attempts overlap: use run_on(pool, op), start(scheduler, op, "
      "done) or co_await async(scheduler, op)"));
  CHECK(report.rejected == seawall::reason::wrong_driver);
  CHECK(runs == 0);
  // Nor is it tried again by an enclosing call, or held against the dependency.
  CHECK(seawall::classify(refused.status()) == seawall::verdict::cancelled());
  CHECK_FALSE(dynamic::from({.layers = {plain_retry()}})->overlapping());
  CHECK_FALSE(dynamic::from({.layers = {plain_retry()}})->hedging());
  CHECK(dynamic(seawall::compose(seawall::hedge())).overlapping());
}

TEST_CASE("any_pipeline: each attempt of a hedge has frames of its own") {
  seawall::circuit_breaker shared;
  const auto pipeline = dynamic::from(
      {.layers = {seawall::deadline_options{}, seawall::hedge_options{.max_attempts = 4, .after = 10ms},
                  &shared, seawall::attempt_timeout_options{.after = 45ms}}});
  REQUIRE(pipeline.ok());
  const auto ok = seawall::verdict::ok();
  seawall_test::overlapping_call won(*pipeline, {{1s, ok}, {1s, ok}, {1s, ok}, {1ms, ok}});
  CHECK(won.run().v.success);
  CHECK(won.winner() == 4);
  CHECK(won.under_way() == 0);
  CHECK(shared.snapshot(seawall::instant() + 1s).counts.over_time.calls == 1);
  seawall_test::overlapping_call failed(*pipeline, {});
  CHECK_FALSE(failed.run().v.success);
  CHECK(
      failed.story() ==
      "start 1 at 0s, start 2 at 10ms, start 3 at 20ms, start 4 at 30ms, cancel 1 at 45ms, cancel 2 at 55ms, "
      "cancel 3 at 65ms, cancel 4 at 75ms");
}

TEST_CASE(
    "any_pipeline refuses bad options with layer, field, value and range, and nonsense orders with the rule") {
  struct row {
    std::vector<config::layer> layers;
    std::string message;
  };
  const row table[] = {
      {{seawall::deadline_options{}, seawall::retry_options{.max_attempts = 0}},
       "pipeline 'p': layers[1] retry: max_attempts is 0; must be at least 1"},
      {{seawall::circuit_breaker_options{.open_for = 0s}},
       "pipeline 'p': layers[0] circuit_breaker: open_for is 0s; must be positive"},
      {{static_cast<seawall::circuit_breaker*>(nullptr)},
       "pipeline 'p': layers[0] circuit_breaker: the pointer is null; must point to one"},
      {{seawall::cache_options<result>{.ttl = 0s}},
       "pipeline 'p': layers[0] cache: ttl is 0s; must be positive"},
      {{static_cast<seawall::cache<result>*>(nullptr)},
       "pipeline 'p': layers[0] cache: the pointer is null; must point to one"},
      {{seawall::coalesce_options{.lease = 0s}},
       "pipeline 'p': layers[0] coalesce: lease is 0s; must be positive"},
      {{static_cast<seawall::coalescer<result>*>(nullptr)},
       "pipeline 'p': layers[0] coalesce: the pointer is null; must point to one"},
      {{seawall::retry_options{}, seawall::deadline_options{}},
       "pipeline 'p': deadline bounds the whole call and must come before retry and hedge; for one attempt use "
       "attempt_timeout"},
      {{seawall::retry_options{}, seawall::retry_options{}},
       "pipeline 'p': retry inside retry multiplies the attempts: use one, with more attempts"},
      {std::vector<config::layer>(33, seawall::deadline_options{}),
       "pipeline 'p': layers has 33 entries; must be at most 32"},
  };
  for (const row& r : table) {
    const auto got = dynamic::from({.name = "p", .layers = r.layers});
    CHECK(got.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(got.status().message()) == r.message);
  }
}

TEST_CASE("any_pipeline of many layers takes its frames from the heap, and is right all the same") {
  virtual_clock clock;
  std::vector<config::layer> layers(31, seawall::deadline_options{.after = 1h});
  layers.push_back(plain_retry());
  const auto pipeline = dynamic::from({.layers = layers});
  scripted<int> dependency(clock, "fail x2, ok", 7);
  CHECK(*run(clock, *pipeline, seawall::idempotent(std::ref(dependency))) == 7);
}

TEST_CASE("an empty any_pipeline passes the call on") {
  const auto pipeline = dynamic::from({});
  CHECK(*pipeline->run(seawall::idempotent([]() -> result { return 7; })) == 7);
}

TEST_CASE("any_pipeline passes cancelling on to the attempt") {
  const auto pipeline = dynamic::from({.layers = {seawall::deadline_options{}, plain_retry()}});
  auto frames = pipeline->make_frame();
  seawall::call c(seawall::instant(), seawall::idempotency::idempotent, nullptr, nullptr);
  CHECK_FALSE(frames.start(c, seawall::instant()));
  const seawall::attempt_id started = c.take_launch().id;
  frames.cancel(c);
  int cancelled = 0;
  c.take_cancels([&](seawall::attempt_id id) { cancelled += id == started ? 1 : 100; });
  CHECK(cancelled == 1);
}

TEST_CASE("any_pipeline keeps the listener and the classification of the pipeline it was made of") {
  virtual_clock clock;
  int retries = 0;
  seawall::listening events([&](const seawall::event::retry_scheduled&) { ++retries; });
  const auto statics =
      seawall::compose(seawall::retry(plain_retry()), seawall::classify([](const result& r) {
                         return r.ok() ? seawall::verdict::ok() : seawall::verdict::transient();
                       }))
          .listen(events);
  const dynamic pipeline = statics;
  run(clock, pipeline, seawall::idempotent([]() -> result { return absl::NotFoundError(""); })).IgnoreError();
  CHECK(retries == 2);
}

// What one run of random scripts leaves behind.
struct trace {
  std::vector<std::string> events;
  friend bool operator==(const trace&, const trace&) = default;
};

std::string random_script(seawall::random_source& random) {
  static constexpr const char* outcomes[] = {"ok",        "fail", "internal",
                                             "not_found", "hang", "resource_exhausted"};
  std::string text;
  for (int i = 0; i < 12; ++i) {
    text += text.empty() ? "" : ", ";
    text += outcomes[random.up_to(5)];
    if (random.up_to(1) == 0) text += " after " + std::to_string(random.up_to(120)) + "ms";
    if (random.up_to(5) == 0) text += " retry-after " + std::to_string(random.up_to(300)) + "ms";
  }
  return text + " ...";
}

template <class Wrap>
trace play(std::uint64_t seed, Wrap&& wrap) {
  virtual_clock clock;
  seawall::random_source random(seed), jitter(seed + 1);
  scripted<int> dependency(clock, random_script(random), 7);
  trace t;
  seawall::listening events([&](const seawall::event::state_changed& e) { t.events.emplace_back(e.to); });
  seawall::circuit_breaker breaker(
      {.name = "b", .consecutive_failures = 2, .open_for = 200ms, .events = &events});
  seawall::retry_budget budget({.ratio = 0.5});
  const auto pipeline = wrap(seawall::compose(
      seawall::fallback([](const absl::Status&) -> result { return 9; }), seawall::deadline({.after = 500ms}),
      seawall::retry({.max_attempts = 4, .backoff = {.initial = 20ms}, .budget = &budget}),
      seawall::breaker(breaker), seawall::attempt_timeout({.after = 100ms})));
  for (int i = 0; i < 20; ++i) {
    seawall::call_report report;
    const result got = run(clock, pipeline, {.random = &jitter, .report = &report},
                           seawall::idempotent(std::ref(dependency)));
    t.events.push_back(got.ok() ? std::to_string(*got) : got.status().ToString());
    t.events.push_back(std::to_string(clock.elapsed().ns()) + " " + std::to_string(report.attempts));
    clock.advance(seawall::duration(std::chrono::milliseconds(random.up_to(150))));
  }
  return t;
}

TEST_CASE(
    "differential: a static pipeline and the same layers behind virtual functions leave the same trace") {
  constexpr std::uint64_t first_seed = 20240601;
  constexpr int scenarios = 2000;
  int distinct = 0;
  trace previous;
  for (std::uint64_t seed = first_seed; seed < first_seed + scenarios; ++seed) {
    CAPTURE(seed);
    const trace statics = play(seed, [](auto p) { return p; });
    const trace dynamics = play(seed, [](const auto& p) { return dynamic(p); });
    REQUIRE(statics == dynamics);
    distinct += statics == previous ? 0 : 1;
    previous = statics;
  }
  MESSAGE(scenarios << " scenarios of 20 calls from seed " << first_seed << ", " << distinct
                    << " distinct traces");
  CHECK(distinct > scenarios / 2);
}

}  // namespace
