// SPDX-License-Identifier: Apache-2.0
// What a call costs while it sleeps, in bytes; bench/sleepers says it of a million.
#include <chrono>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/fallback.hpp"
#include "seawall/retry.hpp"
#include "support/memory.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall_test::answer;

TEST_CASE(
    "a call that sleeps in a pipeline of five takes less than 1 KiB, in one allocation, wherever it sleeps") {
  constexpr int calls = 2000;
  seawall::circuit_breaker breaker({.over_time = {.failure_rate = 0}});
  const auto pipeline = seawall::compose(
      seawall::fallback([](const absl::Status&) -> answer { return 0; }), seawall::deadline({.after = 2h}),
      seawall::retry({.backoff = {.initial = 1h, .max = 1h, .jitter = seawall::jitter::none}}),
      seawall::breaker(breaker), seawall::attempt_timeout({.after = 1h}));
  seawall_test::memory_in_use memory;
  seawall_test::held_attempts held;
  {
    net::io_context io;
    const auto fails = seawall::idempotent(
        [](seawall::attempt, seawall::completion<answer> done) { done(absl::UnavailableError("")); });
    const auto hangs = seawall::idempotent(held.operation());
    for (int i = 0; i < calls; ++i) {
      auto handler =
          net::bind_allocator(seawall_test::counting_allocator<std::byte>(memory), [](const answer&) {});
      if (i % 2 == 0) {
        seawall::async_run(pipeline, io, fails, handler);
      } else {
        seawall::async_run(pipeline, io, hangs, handler);
      }
    }
    io.poll();
    CHECK(held.size() == calls / 2);
    CHECK(memory.blocks == calls);
    CHECK(memory.made == calls);
    CHECK(memory.bytes / calls < 1024);
    MESSAGE("bytes for each call: ", memory.bytes / calls);
  }
  held.let_go();
  CHECK(memory.blocks == 0);
}

}  // namespace
