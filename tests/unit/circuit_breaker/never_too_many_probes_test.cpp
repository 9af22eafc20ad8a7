// SPDX-License-Identifier: Apache-2.0
// Never: admit more probes than permitted under concurrency.
#include <array>
#include <atomic>

#include "support/hand_driven_breaker.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {
constexpr int threads = 8;
}

TEST_CASE("circuit_breaker: threads that find the open time over at the same moment share the probes") {
  for (const std::uint32_t permitted : {1U, 3U}) {
    for (int round = 0; round < 200; ++round) {
      auto options = trips_at_two();
      options.half_open = {.max_probes = permitted};
      hand_driven b(options);
      b.half_open();
      std::array<circuit_breaker::permit, threads> held;
      on_threads(threads, [&](int t) { held[static_cast<std::size_t>(t)] = b.acquire(); });
      std::uint32_t admitted = 0;
      for (const auto& p : held) admitted += p ? 1 : 0;
      REQUIRE(admitted == permitted);
      REQUIRE(b.seen().probes == permitted);
    }
  }
}

TEST_CASE("circuit_breaker: never more probes at once than permitted, while places come and go") {
  constexpr int permitted = 3;
  auto options = trips_at_two();
  options.half_open = {.max_probes = permitted, .successes = 1'000'000, .of = 1'000'000};
  hand_driven b(options);
  b.half_open();
  std::atomic<int> under_way{0};
  std::atomic<int> most{0};
  on_threads(threads, [&](int t) {
    for (int i = 0; i < 3000; ++i) {
      auto probe = b.acquire();
      if (!probe) continue;
      const int now_under_way = ++under_way;
      int seen = most.load();
      while (now_under_way > seen && !most.compare_exchange_weak(seen, now_under_way)) {
      }
      --under_way;
      if ((i + t) % 2 == 0) probe.success(b.now);
    }
  });
  CHECK(most.load() <= permitted);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(b.seen().probes == 0);
}
