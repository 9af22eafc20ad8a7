// SPDX-License-Identifier: Apache-2.0
// Caches and coalesced calls on threads that all want the same few keys. SEAWALL_CALLS=<count> for more.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "seawall/cache.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/random.hpp"
#include "seawall/status.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;
using namespace std::chrono_literals;

namespace {

using answer = absl::StatusOr<std::string>;

constexpr int threads = 4;
constexpr std::size_t keys = 6;

int calls_wanted() {
  const char* const text = std::getenv("SEAWALL_CALLS");
  return text != nullptr ? std::atoi(text) : 3'000;
}

/// Counts who works on a key at the same time.
struct dependency {
  std::array<std::atomic<int>, keys> working{};
  std::atomic<int> at_once{0};
  std::atomic<int> asked{0};

  answer fetch(std::size_t key, random_source& random) {
    if (working[key].fetch_add(1) != 0) ++at_once;
    ++asked;
    for (auto spins = random.up_to(200); spins > 0; --spins) {
      if (spins % 50 == 0) std::this_thread::yield();
    }
    const bool fails = random.unit() < 0.2;
    working[key].fetch_sub(1);
    // Without a text, which copies share: Debian's Abseil is not instrumented for ThreadSanitizer, which takes the last one's
    // delete for a race.
    if (fails) return absl::UnavailableError("");
    return "answer to " + std::to_string(key);
  }
};

/// Calls with random keys from all threads; what is answered must be the answer to the key. `often(thread,
/// random)` comes in between.
/// Returns how many were rejected before they began: a thread may have slept for longer than its caller's hurry.
template <class Pipeline, class Often>
int call_from_all(const Pipeline& p, dependency& d, Often often) {
  std::atomic<int> wrong{0}, too_late{0};
  on_threads(threads, [&](int thread) {
    random_source random(static_cast<std::uint64_t>(thread));
    for (int i = 0; i < calls_wanted(); ++i) {
      const std::size_t key = random.up_to(keys - 1);
      const std::string name = std::to_string(key);
      std::stop_source stop;
      call_options o{.key = name};
      const bool hurried = random.unit() < 0.1;
      if (hurried) o.deadline = steady_clock::now() + 20us;
      if (random.unit() < 0.1) o.stop = stop.get_token();
      const answer a = p.run(o, [&] {
        if (random.unit() < 0.05) stop.request_stop();
        return d.fetch(key, random);
      });
      if (a.ok() && *a != "answer to " + name) ++wrong;
      const auto why = rejection_of(a.status());
      if (why && why->why == reason::deadline_expired) ++too_late;
      often(thread, random);
    }
  });
  CHECK(wrong == 0);
  return too_late;
}

}  // namespace

TEST_CASE("cache never: two refreshes of a key in flight, with callers that fail, hurry and go") {
  cache<answer> store({.ttl = 1ns, .stale_while_revalidate = 1h, .lease = 1h, .max_waiting = 100});
  dependency d;
  call_from_all(compose(cached(store)), d, [](int, random_source&) {});
  CHECK(d.at_once == 0);
  CHECK(d.asked > 0);
  CHECK(store.snapshot().refreshing == 0);
  CHECK(store.snapshot().waiting == 0);
  CHECK(store.snapshot().entries <= keys);
}

TEST_CASE(
    "cache: on threads that put, invalidate, clear, reconfigure and look, answers stay with their keys") {
  cache_options<answer> o{.ttl = 50us,
                          .stale_while_revalidate = 50us,
                          .stale_if_error = 1ms,
                          .negative_ttl = 10us,
                          .lease = 100us,
                          .max_entries = 4,
                          .max_waiting = 2,
                          .shards = 2};
  cache<answer> store(o);
  dependency d;
  call_from_all(compose(cached(store)), d, [&](int thread, random_source& random) {
    const std::string name = std::to_string(random.up_to(keys - 1));
    const double what = random.unit();
    if (what < 0.1) store.put(name, "answer to " + name);
    if (what > 0.9) store.invalidate(name);
    if (what > 0.8 && what < 0.82) store.clear();
    if (thread == 0 && what > 0.7 && what < 0.72) {
      auto changed = o;
      changed.max_entries = 2 + random.up_to(8);
      store.reconfigure(changed);
    }
    if (what > 0.6 && what < 0.65) {
      const auto got = store.get(name);
      if (got && !got.negative()) CHECK(*got.value() == "answer to " + name);
      CHECK(store.snapshot().entries <= 12);
    }
  });
  CHECK(store.snapshot().refreshing == 0);
}

TEST_CASE("coalesce never: two calls of a key at work at once, or one that waits for ever") {
  for (const auto on_failure : {leader_failure::shared, leader_failure::next_tries}) {
    coalescer<answer> flights({.on_failure = on_failure, .lease = 1h, .max_waiting = 100});
    dependency d;
    const int too_late = call_from_all(compose(coalesce(flights)), d, [](int, random_source&) {});
    CHECK(d.at_once == 0);
    const coalesce_snapshot s = flights.snapshot();
    CHECK(s.flying == 0);
    CHECK(s.waiting == 0);
    CHECK(s.led + s.joined == static_cast<std::uint64_t>(threads * calls_wanted() - too_late));
  }
}

TEST_CASE("coalesce: with leases that run out all the time, everybody is answered") {
  coalescer<answer> flights({.lease = 5us, .max_keys = 8, .max_waiting = 2, .shards = 2});
  dependency d;
  call_from_all(compose(coalesce(flights)), d, [](int, random_source&) {});
  CHECK(flights.snapshot().waiting == 0);
}
