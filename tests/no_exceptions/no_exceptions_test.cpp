// SPDX-License-Identifier: Apache-2.0
// Built with -fno-exceptions -fno-rtti: everything but plain values works.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"
#include <doctest/doctest.h>

#if defined(__cpp_exceptions) || defined(__GXX_RTTI)
#error "this test is about life without exceptions and without run-time type information"
#endif

namespace {

using namespace std::chrono_literals;
using seawall::testing::scripted;
using seawall::testing::virtual_clock;
using result = absl::StatusOr<int>;

static_assert(seawall::runnable<absl::Status> && seawall::runnable<result>);
static_assert(!seawall::runnable<int>, "a plain value could not tell of a failure");

TEST_CASE("without exceptions: a pipeline of all policies, static and dynamic") {
  virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "b", .consecutive_failures = 3, .open_for = 1s});
  seawall::retry_budget budget({.ratio = 5.0});
  seawall::keyed<seawall::circuit_breaker> shards;
  const auto pipeline = seawall::compose(
      seawall::fallback([](const absl::Status&) -> result { return 9; }), seawall::deadline({.after = 1s}),
      seawall::retry({.max_attempts = 3,
                      .backoff = {.initial = 10ms, .jitter = seawall::jitter::none},
                      .budget = &budget}),
      seawall::breaker(breaker), seawall::breaker(shards), seawall::attempt_timeout({.after = 100ms}));
  scripted<int> dependency(clock, "ok, fail x2, ok, fail", 7);
  CHECK(*run(clock, pipeline, seawall::idempotent(std::ref(dependency))) == 7);
  CHECK(*run(clock, pipeline, seawall::idempotent(std::ref(dependency))) == 7);
  CHECK(*run(clock, pipeline, seawall::idempotent(std::ref(dependency))) == 9);
  CHECK(breaker.snapshot(clock.now()).state == seawall::breaker_state::open);
  const seawall::any_pipeline<result> dynamic = pipeline;
  CHECK(*run(clock, dynamic, seawall::idempotent(std::ref(dependency))) == 9);
}

TEST_CASE("without exceptions: bad options are refused through create, and errors are text") {
  const auto bad = seawall::circuit_breaker::create({.open_for = 0s});
  CHECK(bad.status().message() == "circuit_breaker: open_for is 0s; must be positive");
  CHECK(fmt::format("{}", seawall::verdict::transient()) == "failure, unhealthy, again if_idempotent");
}

TEST_CASE("without exceptions: the time left is written, read, and refused") {
  CHECK(seawall::propagator::create({.share = 2.0}).status().message() ==
        "propagation: share is 2; must be at least 0 and less than 1");
  const auto p = seawall::propagator::create({.margin = 5ms});
  std::string header;
  const auto get = [&](std::string_view) { return std::optional<std::string_view>(header); };
  const auto set = [&](std::string_view, std::string_view value) { header = value; };
  CHECK(p->write(1s, set) == seawall::propagated::limited);
  CHECK(p->read(get, seawall::instant()).deadline == seawall::instant() + 990ms);
  header = "soon";
  CHECK_FALSE(p->read(get, seawall::instant()).ok());
}

}  // namespace
