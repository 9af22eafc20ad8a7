// SPDX-License-Identifier: Apache-2.0
// The cache without a pipeline, and what its functions and bounds do.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "seawall/cache.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

using text = absl::StatusOr<std::string>;
using options = cache_options<text>;

std::size_t size_of(const text& t) { return t->size(); }

}  // namespace

TEST_CASE("cache: put and get without a pipeline: fresh, stale, gone") {
  cache<text> store({.ttl = 10s, .stale_while_revalidate = 5s});
  const instant t0;
  CHECK_FALSE(store.get("a", t0));
  CHECK(store.put("a", "x", t0));
  const auto fresh = store.get("a", t0 + 9s);
  REQUIRE(fresh);
  CHECK(*fresh.value() == "x");
  CHECK(fresh.age() == duration(9s));
  CHECK_FALSE(fresh.stale());
  CHECK(store.get("a", t0 + 14s).stale());
  CHECK_FALSE(store.get("a", t0 + 15s));
  CHECK(store.invalidate("a"));
  CHECK_FALSE(store.invalidate("a"));
  store.put("b", "y", t0);
  store.clear();
  CHECK_FALSE(store.get("b", t0));
}

TEST_CASE("cache: a failure that is put is kept only if it is one that is kept") {
  cache<text> store({.negative_ttl = 1s});
  CHECK_FALSE(store.put("a", absl::UnavailableError(""), instant()));
  CHECK(store.put("a", absl::NotFoundError(""), instant()));
  CHECK(store.get("a", instant()).negative());
  CHECK_FALSE(store.get("a", instant() + 1s));
}

TEST_CASE(
    "cache never: memory without bound in a flood of keys: entries and bytes stay within their bounds") {
  cache<text> store({.max_entries = 100, .max_bytes = 2'000, .shards = 4, .size = size_of});
  for (int i = 0; i < 10'000; ++i) {
    store.put("key " + std::to_string(i), std::string(static_cast<std::size_t>(i % 60), 'x'), instant());
    const cache_snapshot s = store.snapshot();
    REQUIRE(s.entries <= 100);
    REQUIRE(s.bytes <= 2'000);
  }
  CHECK(store.snapshot().evictions > 9'000);
}

TEST_CASE("cache: an answer that is too large is not kept, and the one that it replaces is not served") {
  cache<text> store({.max_bytes = 100, .shards = 1, .size = size_of});
  store.put("k", "small", instant());
  store.put("k", std::string(200, 'x'), instant());
  CHECK_FALSE(store.get("k", instant()));
  CHECK(store.snapshot().too_large == 1);
  CHECK(store.snapshot().bytes == 0);
}

TEST_CASE("cache never: a size beyond all bounds wraps around them") {
  cache<text> store({.shards = 1, .size = [](const text&) { return SIZE_MAX; }});
  store.put("k", "x", instant());
  CHECK(store.snapshot().too_large == 1);
  CHECK(store.snapshot().entries == 0);
}

TEST_CASE(
    "cache never: an exception of the size function costs a caller its answer, or leaves the key wedged") {
  bool throws = true;
  cache<text> store({.size = [&](const text& t) {
    if (throws) throw std::runtime_error("cannot be measured");
    return t->size();
  }});
  testing::virtual_clock clock;
  const auto p = compose(cached(store));
  const auto op = [] { return text("x"); };
  CHECK(*testing::run(clock, p, {.key = "k"}, op) == "x");
  CHECK(store.snapshot().not_stored == 1);
  CHECK(store.snapshot().entries == 0);
  CHECK(store.snapshot().refreshing == 0);
  CHECK_THROWS_AS(store.put("k", "y", clock.now()), std::runtime_error);
  throws = false;
  CHECK(*testing::run(clock, p, {.key = "k"}, op) == "x");
  CHECK(store.snapshot().entries == 1);
}

TEST_CASE(
    "cache never: an operation that throws wedges its key; plain values; what was thrown and kept is thrown again") {
  cache<int> store(
      {.ttl = 10s, .stale_if_error = 1min, .negative_ttl = 1s, .keeps = [](const std::exception_ptr&) {
         return true;
       }});
  testing::virtual_clock clock;
  const auto p = compose(cached(store));
  int answer = 7;
  int calls = 0;
  const auto op = [&] {
    ++calls;
    if (answer == 0) throw std::runtime_error("down");
    if (answer < 0) throw std::invalid_argument("no such thing");
    return answer;
  };
  CHECK(testing::run(clock, p, op) == 7);
  CHECK(testing::run(clock, p, op) == 7);
  CHECK(calls == 1);
  clock.advance(10s);
  answer = 0;
  CHECK(testing::run(clock, p, op) == 7);
  CHECK(calls == 2);
  CHECK(store.snapshot().refreshing == 0);
  answer = -1;
  CHECK_THROWS_AS(testing::run(clock, p, op), std::invalid_argument);
  CHECK_THROWS_AS(testing::run(clock, p, op), std::invalid_argument);
  CHECK(calls == 3);
}

TEST_CASE("cache never: a key that throws as the refresh function is told costs its refresh") {
  struct key {
    int* left = nullptr;
    operator std::string_view() const {
      if (left != nullptr && (*left)-- == 0) throw std::runtime_error("key");
      return "k";
    }
  };
  int refreshes = 0;
  cache<text> store({.ttl = 1s, .stale_while_revalidate = 1h, .refresh = [&](auto) { ++refreshes; }});
  int conversions = 1;
  const auto p = compose(cached(store, [&](const call&) { return key{&conversions}; }));
  testing::virtual_clock clock;
  store.put("k", "x", clock.now());
  clock.advance(1s);
  CHECK_THROWS_AS(testing::run(clock, p, [] { return text("y"); }), std::runtime_error);
  CHECK(refreshes == 0);
  CHECK(store.snapshot().refreshing == 0);
}

TEST_CASE("cache never: an operation that is declared to have effects is answered without having them") {
  cache<text> store;
  const auto p = compose(cached(store));
  int charged = 0;
  const auto charge = non_idempotent([&] { return text(std::to_string(++charged)); });
  CHECK(*p.run({.key = "k"}, charge) == "1");
  CHECK(*p.run({.key = "k"}, charge) == "2");
  CHECK(store.snapshot().entries == 0);
  CHECK(store.snapshot().refreshing == 0);
}

TEST_CASE(
    "cache: where the result tells of failures, an operation that throws gives its key back all the same") {
  cache<text> store;
  const auto p = compose(cached(store));
  CHECK_THROWS_AS(p.run([]() -> text { throw std::runtime_error("x"); }), std::runtime_error);
  CHECK(store.snapshot().refreshing == 0);
}

TEST_CASE("cache: a TTL with jitter is never longer, and shorter by no more than the share") {
  cache<text> store({.ttl = 100s, .ttl_jitter = 0.5});
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const std::string key = std::to_string(i);
    store.put(key, "x", instant());
    CHECK(store.get(key, instant() + 49s));
    CHECK_FALSE(store.get(key, instant() + 100s));
    differs = differs || !store.get(key, instant() + 75s);
  }
  CHECK(differs);
}

TEST_CASE(
    "cache: reconfigured while it works: answers stay as far as there is room, times are the new ones") {
  options o{.ttl = 10s, .max_entries = 100, .shards = 1};
  cache<text> store(o);
  for (int i = 0; i < 100; ++i) store.put(std::to_string(i), "x", instant());
  o.max_entries = 10;
  o.stale_while_revalidate = 1h;
  CHECK_FALSE(store.reconfigure(o));
  CHECK(store.snapshot().entries == 10);
  int stale = 0;
  for (int i = 0; i < 100; ++i) stale += store.get(std::to_string(i), instant() + 20s).stale() ? 1 : 0;
  CHECK(stale == 10);
  o.shards = 2;
  CHECK(store.reconfigure(o)->text("cache") == "cache: shards is 2; cannot be changed: 1");
}

TEST_CASE("cache: options that make no sense are refused with field, value and range") {
  CHECK(validate(options{.ttl = 0s})->text("cache") == "cache: ttl is 0s; must be positive");
  CHECK(validate(options{.ttl_jitter = 1})->field == "ttl_jitter");
  CHECK(validate(options{.stale_while_revalidate = -1s})->field == "stale_while_revalidate");
  CHECK(validate(options{.stale_if_error = -1s})->field == "stale_if_error");
  CHECK(validate(options{.negative_ttl = -1s})->field == "negative_ttl");
  CHECK(validate(options{.lease = 0s})->field == "lease");
  CHECK(validate(options{.max_entries = 7})->field == "max_entries");
  CHECK(validate(options{.max_entries = 1'000'000'001})->field == "max_entries");
  CHECK_FALSE(cache<text>::create({.max_entries = SIZE_MAX}).ok());
  CHECK(validate(options{.max_bytes = 7})->field == "max_bytes");
  CHECK(validate(options{.max_fetches = 7})->field == "max_fetches");
  CHECK(validate(options{.shards = 257})->field == "shards");
  CHECK_FALSE(validate(options{}));
  CHECK_FALSE(cache<text>::create({.lease = 0s}).ok());
}
