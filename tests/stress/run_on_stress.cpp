// SPDX-License-Identifier: Apache-2.0
// Callers that wait while attempts block on the threads of a pool: time-outs end the call while the attempt goes on, attempts are
// taken out of the queue, the queue is full, callers are stopped by others, and the pool shuts down under them.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "elsewhere.hpp"
#include "seawall/seawall.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using stress::dice;

struct in_operations;
struct in_results;
using alive_operations = stress::counted<in_operations>;
struct answer : stress::counted<in_results> {
  std::uint64_t seed = 0;
};
using result = absl::StatusOr<answer>;

std::atomic<std::uint64_t> attempts{0};
std::atomic<std::int64_t> running{0};

/// Blocks a little, until it is told to stop, or not at all.
class blocking_operation {
 public:
  explicit blocking_operation(std::uint64_t seed) : seed_(seed) {}

  result operator()(const attempt& a) const {
    ++attempts;
    struct mark {
      mark() { ++running; }
      ~mark() { --running; }
    } const m;
    dice d(seed_ * 8 + a.number());
    switch (d.below(20)) {
      case 0: std::this_thread::sleep_for(std::chrono::microseconds(d.below(200))); break;
      case 1: {  // its own token
        const std::stop_token stop = a.stop_token();
        while (!stop.stop_requested()) std::this_thread::yield();
        break;
      }
      case 2:
        while (!a.stop_requested()) std::this_thread::yield();
        break;
      case 3: throw std::runtime_error("stress");
      case 4:
      case 5:
      case 6: return absl::UnavailableError("busy");
      default: break;
    }
    answer right;
    right.seed = seed_;
    return right;
  }

 private:
  std::uint64_t seed_;
  alive_operations mark_;
};

seawall::circuit_breaker shared_breaker(
    {.name = "shared",
     .consecutive_failures = 8,
     .open_for = 200us,
     .half_open = {.max_probes = 1,
                   .successes = 1,
                   .of = 2,
                   .lease = 2ms,
                   .excess_calls = seawall::circuit_breaker_options::excess::waits}});
const auto everything =
    seawall::compose(seawall::deadline({.after = 3ms}),
                     seawall::retry({.max_attempts = 4, .backoff = {.initial = 20us, .max = 200us}}),
                     seawall::breaker(shared_breaker), seawall::attempt_timeout({.after = 300us}));
const auto backup = seawall::compose(seawall::deadline({.after = 1ms}));
const auto with_backup =
    seawall::compose(seawall::deadline({.after = 2ms}), seawall::fallback_to(backup, blocking_operation(1)),
                     seawall::attempt_timeout({.after = 200us}));

/// False if somebody else's answer came.
bool call_once(seawall::pool_scheduler& pool, dice& d, std::stop_source& stop) {
  const std::uint64_t seed = d.next();
  const blocking_operation op(seed);
  result r;
  switch (d.below(4)) {
    case 0: r = everything.run_on(pool, seawall::idempotent(op)); break;
    case 1: r = everything.run_on({.stop = stop.get_token()}, pool, seawall::non_idempotent(op)); break;
    case 2: r = with_backup.run_on(pool, op); return !r.ok() || r->seed == seed || r->seed == 1;
    default:
      r = backup.run([&](const attempt& outer) {
        return everything.run_on(outer, {.stop = stop.get_token()}, pool, seawall::idempotent(op));
      });
  }
  return !r.ok() || r->seed == seed;
}

TEST_CASE("stress: callers that wait get one answer, and their own, whatever becomes of the attempts") {
  const std::uint64_t calls = stress::calls_wanted(200'000);
  const std::uint64_t in_a_round = 4'000;
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> made{0};
  for (std::uint64_t first = 0; first < calls; first += in_a_round) {
    seawall::pool_scheduler pool({.threads = 4, .queue_max = 4});
    stress::elsewhere others(1, property::seed() + first);
    property::in_threads(4, [&](unsigned t) {
      dice d(property::seed() + first * 4 + t);
      std::stop_source stop;
      for (std::uint64_t i = t; i < in_a_round; i += 4) {
        if (!call_once(pool, d, stop)) ++wrong;
        ++made;
        if (d.chance(20)) {
          others.give([s = stop]() mutable { s.request_stop(); });
          if (d.chance(50)) stop = std::stop_source();
        }
        if (stop.stop_requested()) stop = std::stop_source();
        // Somebody shuts it down while the others are at it.
        if (t == 0 && i > in_a_round - 200 && d.chance(5)) pool.shut_down();
      }
    });
    pool.shut_down();
    REQUIRE(running == 0);
    REQUIRE(stress::counted<in_results>::alive == 0);
  }
  CHECK(wrong == 0);
  // One is the fallback's own.
  CHECK(alive_operations::alive == 1);
  MESSAGE(made.load(), " calls, ", attempts.load(), " attempts");
}

}  // namespace
