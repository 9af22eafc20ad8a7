// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/virtual_clock.hpp"

#include <chrono>
#include <functional>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/script.hpp"
#include <doctest/doctest.h>

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::testing::virtual_clock;

TEST_CASE("virtual_clock: what happens on the way happens in order, each at its time") {
  virtual_clock clock;
  std::vector<duration> times;
  for (const auto at : {30ms, 10ms, 10ms, 50ms}) {
    clock.at(instant() + at, [&] { times.push_back(clock.elapsed()); });
  }
  clock.advance(40ms);
  CHECK(times == std::vector<duration>{10ms, 10ms, 30ms});
  CHECK(clock.elapsed() == 40ms);
  clock.advance(10ms);
  CHECK(times.size() == 4);
}

TEST_CASE("virtual_clock: what should have happened already happens without going back") {
  virtual_clock clock(instant() + 1s);
  duration at;
  clock.at(instant() + 10ms, [&] { at = clock.elapsed(); });
  clock.advance(duration::zero());
  CHECK(at == 1s);
}

TEST_CASE("virtual_clock: a caller that goes during a pause ends the call then") {
  virtual_clock clock;
  seawall::testing::scripted<int> server(clock, "fail after 10ms", 42);
  const auto p =
      seawall::compose(seawall::retry({.backoff = {.initial = 1s, .jitter = seawall::jitter::none}}));
  std::stop_source caller;
  int after = 0;
  clock.at(instant() + 500ms, [&] { caller.request_stop(); });
  clock.at(instant() + 600ms, [&] { ++after; });
  const absl::StatusOr<int> answer =
      seawall::testing::run(clock, p, {.stop = caller.get_token()}, seawall::idempotent(std::ref(server)));
  CHECK(answer.status().code() == absl::StatusCode::kCancelled);
  CHECK(clock.elapsed() == 500ms);
  CHECK(after == 0);
  CHECK(server.calls() == 1);
}

TEST_CASE("virtual_clock: what happens without poking the call does not shorten its pause") {
  virtual_clock clock;
  seawall::testing::scripted<int> server(clock, "fail, ok", 42);
  const auto p =
      seawall::compose(seawall::retry({.backoff = {.initial = 1s, .jitter = seawall::jitter::none}}));
  int happened = 0;
  clock.at(instant() + 1s, [&] { ++happened; });
  CHECK(seawall::testing::run(clock, p, seawall::idempotent(std::ref(server))).ok());
  CHECK(clock.elapsed() == 1s);
  CHECK(happened == 1);
}
