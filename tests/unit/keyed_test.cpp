// SPDX-License-Identifier: Apache-2.0
// One breaker for each key: what it isolates, and how it stays bounded.
#include "seawall/keyed.hpp"

#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/hand_driven_breaker.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

constexpr instant t0 = instant::from_ns(3'600'000'000'000);

void fail_twice(circuit_breaker& b, instant now = t0) {
  b.try_acquire(now).failure(now);
  b.try_acquire(now).failure(now);
}

bool is_open(circuit_breaker& b, instant now = t0) { return b.snapshot(now).state == breaker_state::open; }

// Three shards of which one is dead; ten minutes of 30 calls a second, spread evenly. The share of calls that succeed.
template <class Breaker>
double success_ratio_with_a_dead_shard(Breaker& b) {
  testing::virtual_clock clock;
  const auto pipe = compose(breaker(b));
  const std::array<std::string, 3> shards = {"eu-1", "eu-2", "us-1"};
  int calls = 0;
  int succeeded = 0;
  for (; clock.elapsed() < duration(10min); clock.advance(100ms)) {
    for (const std::string& shard : shards) {
      ++calls;
      const absl::Status s = testing::run(clock, pipe, {.key = shard}, [&] {
        return shard == "us-1" ? absl::UnavailableError("dead") : absl::OkStatus();
      });
      succeeded += s.ok() ? 1 : 0;
    }
  }
  return static_cast<double>(succeeded) / calls;
}

circuit_breaker_options sensitive() {
  return {.name = "shards", .over_time = {.failure_rate = 0.3, .minimum_calls = 20}, .open_for = 10s};
}

}  // namespace

TEST_CASE("keyed: one dead shard of three leaves the other two alone") {
  keyed<circuit_breaker> by_shard(sensitive());
  const double ratio = success_ratio_with_a_dead_shard(by_shard);
  MESSAGE("success ratio with a breaker of each key: " << ratio);
  CHECK(ratio >= 0.66);
  CHECK(ratio <= 2.0 / 3.0);
}

TEST_CASE("keyed: the same workload through one breaker for all shards goes down with the dead one") {
  circuit_breaker global(sensitive());
  const double ratio = success_ratio_with_a_dead_shard(global);
  MESSAGE("success ratio with one breaker: " << ratio);
  CHECK(ratio < 0.1);
}

TEST_CASE("keyed: a key has one instance of its own, made at first use") {
  keyed<circuit_breaker> b(trips_at_two());
  CHECK(b.size() == 0);
  const auto a1 = b.get("a", t0);
  const auto a2 = b.get("a", t0);
  const auto other = b.get("b", t0);
  CHECK(a1 == a2);
  CHECK(a1 != other);
  CHECK(b.size() == 2);
}

TEST_CASE("keyed: instances share options and name, and know their key") {
  keyed<circuit_breaker> b(trips_at_two());
  CHECK(b.get("a", t0)->name() == "subject");
  CHECK(b.get("a", t0)->machine().key() == "a");
  fail_twice(*b.get("a", t0));
  CHECK(is_open(*b.get("a", t0)));
  CHECK_FALSE(is_open(*b.get("b", t0)));
}

TEST_CASE("keyed: the empty key, long keys and keys with zeros in them are keys like others") {
  keyed<circuit_breaker> b(trips_at_two());
  const std::string lengthy(10'000, 'k');
  const std::string with_zero("a\0b", 3);
  fail_twice(*b.get(with_zero, t0));
  CHECK(is_open(*b.get(std::string("a\0b", 3), t0)));
  CHECK_FALSE(is_open(*b.get("a", t0)));
  CHECK_FALSE(is_open(*b.get("", t0)));
  CHECK(b.get(lengthy, t0) == b.get(std::string(10'000, 'k'), t0));
  CHECK(b.size() == 4);
}

TEST_CASE("keyed: a key is copied, not referred to") {
  keyed<circuit_breaker> b(trips_at_two());
  std::string key = "short";
  const auto first = b.get(key, t0);
  key = "other";
  CHECK(b.get("short", t0) == first);
  CHECK(b.get("other", t0) != first);
}

TEST_CASE("keyed: remembers no more keys than it may") {
  for (const std::size_t bound : {1U, 7U, 255U, 256U, 1024U}) {
    keyed<circuit_breaker> b(trips_at_two(), {.max_keys = bound});
    for (std::size_t i = 0; i < 3 * bound; ++i) b.get(std::to_string(i), t0);
    CHECK(b.size() <= bound);
    CHECK(b.size() > bound / 2);
  }
}

TEST_CASE("keyed: beyond the bound the key used least recently goes") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 3});
  const std::weak_ptr<circuit_breaker> first = b.get("1", t0);
  const std::weak_ptr<circuit_breaker> second = b.get("2", t0);
  b.get("3", t0);
  b.get("1", t0);
  b.get("4", t0);
  CHECK(second.expired());
  CHECK_FALSE(first.expired());
  CHECK(b.size() == 3);
}

TEST_CASE("keyed: a key that has learned something is not forgotten") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 2});
  fail_twice(*b.get("dead", t0));
  b.get("2", t0);
  for (int i = 3; i < 20; ++i) b.get(std::to_string(i), t0);
  CHECK(is_open(*b.get("dead", t0)));
}

TEST_CASE("keyed: a key that is in use is not forgotten") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 2});
  const auto in_use = b.get("1", t0);
  b.get("2", t0);
  for (int i = 3; i < 20; ++i) b.get(std::to_string(i), t0);
  CHECK(b.get("1", t0) == in_use);
}

TEST_CASE("keyed: a key whose failures have left the window may be forgotten") {
  auto options = trips_at_two();
  options.over_time = {.failure_rate = 1.0, .minimum_calls = 100};
  keyed<circuit_breaker> b(options, {.max_keys = 1});
  const std::weak_ptr<circuit_breaker> first = b.get("1", t0);
  first.lock()->try_acquire(t0).failure(t0);
  first.lock()->try_acquire(t0).success(t0);
  b.get("2", t0);
  CHECK_FALSE(first.expired());
  b.get("2", t0 + 10s);
  CHECK(first.expired());
}

TEST_CASE("keyed: keys that find no room share one instance, which says so") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 1});
  fail_twice(*b.get("dead", t0));
  const auto second = b.get("2", t0);
  const auto third = b.get("3", t0);
  CHECK(second == third);
  CHECK(second->machine().key() == "(beyond max_keys)");
  CHECK_FALSE(is_open(*second));
  CHECK(b.size() == 1);
}

TEST_CASE("keyed: an instance outlives the memory of its key") {
  auto b = std::make_unique<keyed<circuit_breaker>>(trips_at_two());
  const auto held = b->get("1", t0);
  b.reset();
  fail_twice(*held);
  CHECK(is_open(*held));
}

TEST_CASE("keyed: a call in flight keeps its breaker, though others push its key out") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 1});
  testing::virtual_clock clock(t0);
  const auto pipe = compose(breaker(b));
  for (int i = 0; i < 2; ++i) {
    const absl::Status s = testing::run(clock, pipe, {.key = "1"}, [&] {
      for (int k = 2; k < 10; ++k) b.get(std::to_string(k), t0);
      return absl::UnavailableError("down");
    });
    CHECK_FALSE(s.ok());
  }
  CHECK(is_open(*b.get("1", t0)));
}

TEST_CASE("keyed: new options reach the keys known, the keys to come and the keys beyond the bound") {
  auto options = trips_at_two();
  keyed<circuit_breaker> b(options, {.max_keys = 2});
  const auto known = b.get("known", t0);
  options.consecutive_failures = 1;
  REQUIRE_FALSE(b.reconfigure(options));
  const auto to_come = b.get("to come", t0);
  const auto beyond = b.get("beyond", t0);
  for (const auto& each : {known, to_come, beyond}) {
    each->try_acquire(t0).failure(t0);
    CHECK(is_open(*each));
  }
}

TEST_CASE("keyed: bad new options are refused, and no key has changed") {
  auto options = trips_at_two();
  keyed<circuit_breaker> b(options);
  const auto known = b.get("known", t0);
  options.consecutive_failures = 1;
  options.over_time.buckets = 11;
  const auto error = b.reconfigure(options);
  REQUIRE(error);
  CHECK(error->field == "over_time.buckets");
  for (const auto& each : {known, b.get("to come", t0)}) {
    each->try_acquire(t0).failure(t0);
    CHECK_FALSE(is_open(*each));
  }
}

TEST_CASE("keyed: for_each shows every key once") {
  keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 1000});
  for (int i = 0; i < 100; ++i) b.get(std::to_string(i), t0);
  std::multiset<std::string> seen;
  b.for_each([&](const std::string& key, circuit_breaker& policy) {
    CHECK(policy.machine().key() == key);
    seen.insert(key);
  });
  CHECK(seen.size() == 100);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 100);
}

TEST_CASE("keyed: a slow rule anywhere is a slow rule for the layer") {
  auto options = trips_at_two();
  keyed<circuit_breaker> b(options);
  const auto pipe = compose(breaker(b));
  CHECK_FALSE(pipe.needs_end_time());
  options.slow.limit = 1s;
  REQUIRE_FALSE(b.reconfigure(options));
  CHECK(pipe.needs_end_time());
}

TEST_CASE("keyed: threads that ask for the same keys get the same instances") {
  for (int round = 0; round < 20; ++round) {
    keyed<circuit_breaker> b(trips_at_two(), {.max_keys = 512});
    std::array<std::vector<std::shared_ptr<circuit_breaker>>, 4> got;
    on_threads(4, [&](int t) {
      for (int i = 0; i < 50; ++i) got[static_cast<std::size_t>(t)].push_back(b.get(std::to_string(i), t0));
    });
    for (const auto& each : got) REQUIRE(each == got[0]);
    REQUIRE(b.size() == 50);
  }
}
