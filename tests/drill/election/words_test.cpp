// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string_view>
#include <vector>

#include "drill/election/node_process.hpp"
#include "drill/election/statistics.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

using namespace drill::election;
using namespace std::chrono_literals;

TEST_CASE("election drill: what a node says arrives as it was") {
  const node_status s{.part = "leader", .leader = "n2", .term = 7, .committed = 12, .applied = 11};
  CHECK(status_from(to_line(s)) == s);

  const load_figures f{.in_flight = 16,
                       .per_second = 1234.5,
                       .failed = 2,
                       .latency = {.count = 9, .median = 1ms, .p95 = 2ms, .p99 = 3ms, .max = 4ms}};
  const auto back = load_from(to_line(f));
  REQUIRE(back);
  CHECK(back->in_flight == 16);
  CHECK(back->per_second == doctest::Approx(1234.5));
  CHECK(back->failed == 2);
  CHECK(back->latency.count == 9);
  CHECK(back->latency.median == seawall::duration(1ms));
  CHECK(back->latency.p95 == seawall::duration(2ms));
  CHECK(back->latency.p99 == seawall::duration(3ms));
  CHECK(back->latency.max == seawall::duration(4ms));
}

TEST_CASE("election drill: what is no status or figure is none") {
  for (const std::string_view line : {"", "?", "leader n1", "leader n1 x 2 3"})
    CHECK_FALSE(status_from(line));
  for (const std::string_view line : {"", "?", "16 5.0 0 1 2 3"}) CHECK_FALSE(load_from(line));
}

TEST_CASE(
    "election drill: ranks are of what was measured, and the middle of an even number is the lower one") {
  CHECK(summarise({}).count == 0);
  const summary one = summarise({5ms});
  CHECK(one.median == seawall::duration(5ms));
  CHECK(one.max == seawall::duration(5ms));
  CHECK(summarise({3ms, 1ms, 2ms}).median == seawall::duration(2ms));
  std::vector<seawall::duration> hundred;
  for (int i = 100; i > 0; --i) hundred.emplace_back(std::chrono::milliseconds(i));
  const summary s = summarise(hundred);
  CHECK(s.count == 100);
  CHECK(s.median == seawall::duration(50ms));
  CHECK(s.p95 == seawall::duration(95ms));
  CHECK(s.p99 == seawall::duration(99ms));
  CHECK(s.max == seawall::duration(100ms));
}
