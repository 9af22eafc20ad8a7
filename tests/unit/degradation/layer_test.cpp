// SPDX-License-Identifier: Apache-2.0
// Levels of service in pipelines: what is not served, how it is marked, and whose level counts.
#include <chrono>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/any_pipeline.hpp"
#include "seawall/brownout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/degradation.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/fallback.hpp"
#include "seawall/feature_gate.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "seawall/text.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

using page = absl::StatusOr<std::string>;

std::string text_of(const absl::Status& s) { return std::string(detail::from_absl(s.message())); }

}  // namespace

TEST_CASE("degradation: what is left out is answered by the fallback outside, and marked as degraded") {
  testing::virtual_clock clock;
  degradation d;
  feature_gate g(d, {.name = "recommendations"});
  const auto p = compose(fallback({.name = "bestsellers"}, page("our bestsellers")), degrade(g));
  const auto ask = [&] {
    call_report report;
    const page got = testing::run(clock, p, {.report = &report}, [] { return page("for you"); });
    return std::pair(*got, report);
  };
  CHECK(ask().first == "for you");
  CHECK_FALSE(ask().second.degraded);
  CHECK_FALSE(d.set(1, "", clock.now()));
  const auto [answer, report] = ask();
  CHECK(answer == "our bestsellers");
  CHECK(report.degraded);
  CHECK(report.degraded_by == "bestsellers");
  CHECK(report.attempts == 0);
  CHECK(g.snapshot(clock.now()).refused == 1);
}

TEST_CASE("degradation: read-only turns writes away with a clear answer, and lets reads pass") {
  testing::virtual_clock clock;
  degradation d({.name = "shop"});
  const auto write = compose(require_writable(d));
  const auto read = compose();
  const auto ok = [] { return absl::OkStatus(); };
  CHECK(testing::run(clock, write, ok).ok());
  CHECK_FALSE(d.set_read_only("", clock.now()));
  int called = 0;
  const absl::Status s = testing::run(clock, write, [&] { return ++called, absl::OkStatus(); });
  CHECK(called == 0);
  CHECK(s.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(text_of(s) == "degradation 'shop' (read-only) does not serve the call now");
  const auto why = rejection_of(s);
  REQUIRE(why);
  CHECK(why->policy == "degradation");
  CHECK(why->name == "shop");
  CHECK(why->why == reason::degraded);
  CHECK(testing::run(clock, read, ok).ok());
  CHECK_FALSE(d.set(3, "", clock.now()));  // worse than read-only
  CHECK_FALSE(testing::run(clock, write, ok).ok());
  d.release(clock.now());
  CHECK(testing::run(clock, write, ok).ok());
}

TEST_CASE("degradation: each way of not being served has its words") {
  testing::virtual_clock clock;
  degradation d;
  feature_gate level(d, {.name = "reviews"}), killed({.name = "search", .killed = true}),
      rollout({.name = "new", .percent = 0, .rejections = rejection_detail::code_only});
  CHECK_FALSE(d.set(1, "", clock.now()));
  const auto words = [&](feature_gate& g) {
    return text_of(testing::run(clock, compose(degrade(g)), [] { return absl::OkStatus(); }));
  };
  CHECK(words(level) == "feature_gate 'reviews' (level of service) does not serve the call now");
  CHECK(words(killed) == "feature_gate 'search' (killed) does not serve the call now");
  CHECK(words(rollout).empty());
}

TEST_CASE(
    "degradation: a retry does not repeat what is not served, and no breaker counts it, nested or not") {
  testing::virtual_clock clock;
  feature_gate g({.killed = true});
  circuit_breaker b({.consecutive_failures = 1});
  const auto inner = compose(degrade(g));
  const auto ok = [] { return absl::OkStatus(); };
  int runs = 0;
  const auto nested = [&](const attempt& a) {
    ++runs;
    return inner.run(a, ok);
  };
  const auto outer = compose(breaker(b), retry({.max_attempts = 3}));
  CHECK_FALSE(testing::run(clock, outer, idempotent(nested)).ok());
  CHECK(runs == 1);
  call_report report;
  const auto one = compose(breaker(b), retry({.max_attempts = 3}), degrade(g));
  const auto began = clock.now();
  CHECK_FALSE(testing::run(clock, one, {.report = &report}, idempotent(ok)).ok());
  CHECK(clock.now() == began);
  CHECK(report.rejected == reason::degraded);
  CHECK(b.snapshot(clock.now()).state == breaker_state::closed);
}

TEST_CASE("degradation: the key decides about a share, and without one a call is drawn for once") {
  testing::virtual_clock clock;
  feature_gate half({.name = "half", .percent = 50});
  const auto p = compose(retry({.max_attempts = 30, .backoff = {.initial = 1ms, .max = 1ms}}), degrade(half));
  int in = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "user-" + std::to_string(i);
    const bool served =
        testing::run(clock, p, {.key = key}, idempotent([] { return absl::OkStatus(); })).ok();
    CHECK(served == half.allows(key, clock.now()));
    in += served;
  }
  CHECK(in > 10);
  CHECK(in < 30);
  // With a draw for each attempt, thirty in a row would hardly ever be let in.
  int drawn_in = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    random_source draws(seed);
    int attempts = 0;
    (void)testing::run(clock, p, {.random = &draws}, idempotent([&] {
                         return ++attempts < 30 ? absl::UnavailableError("") : absl::OkStatus();
                       }));
    CHECK((attempts == 0 || attempts == 30));
    drawn_in += attempts != 0;
  }
  CHECK(drawn_in > 10);
  CHECK(drawn_in < 30);
}

TEST_CASE(
    "degradation: a caller's level is advice: without the option it changes nothing, with it that call alone") {
  testing::virtual_clock clock;
  const auto ok = [] { return absl::OkStatus(); };
  for (const bool heeds : {false, true}) {
    degradation d({.heeds_callers = heeds});
    feature_gate g(d, {.up_to_level = 1});
    const auto p = compose(degrade(g));
    const auto writes = compose(require_writable(d));
    CHECK(testing::run(clock, p, {.degradation = 2}, ok).ok() != heeds);
    CHECK(testing::run(clock, writes, {.degradation = 2}, ok).ok() != heeds);
    CHECK(testing::run(clock, writes, {.degradation = UINT32_MAX}, ok).ok() != heeds);
    CHECK(testing::run(clock, p, {.degradation = 1}, ok).ok());
    CHECK(testing::run(clock, p, ok).ok());
    CHECK(d.level(clock.now()) == 0);
  }
}

TEST_CASE("degradation: a caller's level never makes ours better") {
  testing::virtual_clock clock;
  degradation d({.heeds_callers = true});
  feature_gate g(d, {.up_to_level = 1});
  CHECK_FALSE(d.set(2, "", clock.now()));
  CHECK_FALSE(
      testing::run(clock, compose(degrade(g)), {.degradation = 1}, [] { return absl::OkStatus(); }).ok());
}

TEST_CASE("degradation: nested calls inherit the level of service, and the worst counts") {
  testing::virtual_clock clock;
  testing::virtual_scheduler loop;
  const auto plain = compose();
  const auto level_seen = [&](std::uint32_t outer, std::uint32_t inner) {
    std::uint32_t blocking = 99, async = 99;
    (void)testing::run(clock, plain, {.degradation = outer}, [&](const attempt& a) {
      return plain.run(a, {.degradation = inner}, [&](const attempt& b) {
        blocking = b.degradation();
        return absl::OkStatus();
      });
    });
    const auto innermost = [&](const attempt& b) {
      async = b.degradation();
      return absl::OkStatus();
    };
    const auto nested = [&](attempt a, completion<absl::Status> done) {
      plain.start(a, {.degradation = inner}, loop, innermost, [](const absl::Status&) {});
      done(absl::OkStatus());
    };
    plain.start({.degradation = outer}, loop, nested, [](const absl::Status&) {});
    loop.run();
    CHECK(blocking == async);
    return blocking;
  };
  CHECK(level_seen(0, 0) == 0);
  CHECK(level_seen(2, 0) == 2);
  CHECK(level_seen(2, 1) == 2);
  CHECK(level_seen(1, 3) == 3);
}

TEST_CASE(
    "degradation: in a pipeline that is built at run time, ladder, gate and brownout are shared by pointer") {
  testing::virtual_clock clock;
  degradation d;
  feature_gate g(d, {.up_to_level = 1});
  brownout b;
  const auto made =
      any_pipeline<page>::from({.layers = {fallback_config<page>{.source = page("less")}, &d, &g, &b}});
  REQUIRE(made.ok());
  const auto ask = [&] { return *testing::run(clock, *made, idempotent([] { return page("more"); })); };
  CHECK(ask() == "more");
  CHECK_FALSE(d.set(2, "", clock.now()));
  CHECK(ask() == "less");
  d.release(clock.now());
  g.kill("", clock.now());
  CHECK(ask() == "less");
}
