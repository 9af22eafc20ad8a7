// SPDX-License-Identifier: Apache-2.0
// The stand-alone face: places, options, reservation, reconfiguration, keys.
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "seawall/adaptive_limit.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

const instant start = instant::from_ns(1'000'000'000);

adaptive_limit_options fixed(std::uint32_t n) {
  return {.name = "subject", .min_limit = n, .max_limit = n, .initial_limit = n};
}

}  // namespace

TEST_CASE("adaptive_limit: no more calls than the limit, and a place that is given back is free at once") {
  adaptive_limit l(fixed(2));
  auto a = l.try_acquire(start), b = l.try_acquire(start);
  CHECK(a);
  CHECK(b);
  CHECK_FALSE(l.try_acquire(start));
  a.success(start + 1ms);
  CHECK_FALSE(a);
  CHECK(l.snapshot(start).in_flight == 1);
  CHECK(l.try_acquire(start));
}

TEST_CASE(
    "adaptive_limit: a permit that is dropped, moved or assigned to leaks no place and frees none twice") {
  adaptive_limit l(fixed(2));
  {
    auto a = l.try_acquire(start);
    auto b = std::move(a);
    a = l.try_acquire(start);
    CHECK(l.snapshot().in_flight == 2);
    a = std::move(b);
    CHECK(l.snapshot().in_flight == 1);
    a.release();
    a.release();
    a.success(start);
    CHECK(l.snapshot().in_flight == 0);
    a = l.try_acquire(start);
  }
  CHECK(l.snapshot().in_flight == 0);
  CHECK(l.snapshot().windows == 0);
}

TEST_CASE("adaptive_limit: a share of the limit is kept for important calls") {
  auto options = fixed(10);
  options.reserved_share = 0.3;
  adaptive_limit l(options);
  std::vector<adaptive_limit::permit> held;
  for (int i = 0; i < 7; ++i) held.push_back(l.try_acquire(start, 0));
  for (const auto& p : held) CHECK(p);
  CHECK_FALSE(l.try_acquire(start, 0));
  CHECK_FALSE(l.try_acquire(start, -1));
  for (int i = 0; i < 3; ++i) held.push_back(l.try_acquire(start, 1));
  for (const auto& p : held) CHECK(p);
  CHECK_FALSE(l.try_acquire(start, 1));
  // Even the least important call gets through a limit of one when nothing else is under way.
  auto one = fixed(1);
  one.reserved_share = 0.9;
  adaptive_limit narrow(one);
  CHECK(narrow.try_acquire(start, -5));
}

TEST_CASE("adaptive_limit: options are refused with field, value and range") {
  const auto field = [](const adaptive_limit_options& o) {
    return validate(o).value_or(option_error{}).field;
  };
  CHECK(field({}).empty());
  CHECK(field({.min_limit = 0}) == "min_limit");
  CHECK(field({.min_limit = 3, .max_limit = 2}) == "min_limit");
  CHECK(field({.max_limit = 1'000'001}) == "max_limit");
  CHECK(field({.min_limit = 2, .initial_limit = 1}) == "initial_limit");
  CHECK(field({.max_limit = 9, .initial_limit = 10}) == "initial_limit");
  CHECK(field({.reserved_share = 0.95}) == "reserved_share");
  CHECK(field({.algorithm = aimd_limit{.backoff = 1.0}}) == "algorithm.backoff");
  CHECK(field({.algorithm = aimd_limit{.slow = 0s}}) == "algorithm.slow");
  CHECK(field({.algorithm = vegas_limit{.smoothing = 0}}) == "algorithm.smoothing");
  CHECK(field({.algorithm = vegas_limit{.probe_every = 0}}) == "algorithm.probe_every");
  CHECK(field({.algorithm = gradient2_limit{.tolerance = 0.5}}) == "algorithm.tolerance");
  CHECK(field({.algorithm = gradient2_limit{.smoothing = 2}}) == "algorithm.smoothing");
  CHECK(field({.algorithm = gradient2_limit{.queue = 10'001}}) == "algorithm.queue");
  CHECK(field({.algorithm = gradient2_limit{.long_window = 9}}) == "algorithm.long_window");
  CHECK_THROWS_AS(adaptive_limit({.min_limit = 0}), std::invalid_argument);
  CHECK(adaptive_limit::create({.reserved_share = 2}).status().message() ==
        "adaptive_limit: reserved_share is 2; must be at least 0 and at most 0.9");
}

TEST_CASE("adaptive_limit: reconfiguring keeps permits, and refuses what cannot be changed") {
  adaptive_limit l(fixed(4));
  auto a = l.try_acquire(start), b = l.try_acquire(start);
  CHECK(l.reconfigure(fixed(0))->field == "min_limit");
  auto other = fixed(4);
  other.algorithm = aimd_limit{};
  CHECK(l.reconfigure(other)->field == "algorithm");
  CHECK(l.snapshot().limit == 4);
  CHECK_FALSE(l.reconfigure(fixed(1)));
  CHECK(l.snapshot().limit == 1);
  CHECK(l.snapshot().in_flight == 2);
  CHECK_FALSE(l.try_acquire(start));
  a.success(start + 1s);
  b.success(start + 1s);
  CHECK(l.try_acquire(start));
}

TEST_CASE("adaptive_limit: one for each key; what was learned a minute ago may be forgotten") {
  keyed<adaptive_limit> shards(fixed(1), {.max_keys = 2});
  auto held = shards.get("a", start)->try_acquire(start);
  CHECK_FALSE(shards.get("a", start)->try_acquire(start));
  CHECK(shards.get("b", start)->try_acquire(start));
  CHECK_FALSE(shards.get("a", start)->idle(start));
  held.success(start + 1s);
  CHECK_FALSE(shards.get("a", start)->idle(start + 60s));
  CHECK(shards.get("a", start)->idle(start + 61s));
}
