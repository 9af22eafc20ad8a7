// SPDX-License-Identifier: Apache-2.0

// The adaptive limit on its success path. The floor counts calls in flight, and enters latencies under a mutex that it only
// tries, as the limit does.

#include "seawall/adaptive_limit.hpp"

#include <atomic>
#include <mutex>

#include "by_hand.hpp"

namespace bench {
namespace {

struct permit_now_given {
  seawall::adaptive_limit limit{{.name = "quotes"}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() {
    auto p = limit.try_acquire(now);
    if (!p) return false;
    p.success(now);
    return true;
  }
};

struct floor_now_given {
  std::atomic<std::uint32_t> in_flight{0};
  std::atomic<std::uint32_t> limit{4};
  std::mutex mutex;
  double calls = 0, sum = 0, squares = 0;
  std::int64_t now = read_clock();

  bool operator()() {
    std::uint32_t seen = in_flight.load(std::memory_order_relaxed);
    do {
      if (seen >= limit.load(std::memory_order_relaxed)) return false;
    } while (!in_flight.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
    in_flight.fetch_sub(1, std::memory_order_relaxed);
    const std::unique_lock lock(mutex, std::try_to_lock);
    if (!lock) return true;
    const auto latency = static_cast<double>(now & 1023);
    calls += 1, sum += latency, squares += latency * latency;
    return true;
  }
};

const bool added = [] {
  alone<permit_now_given>("success/adaptive_limit permit, now given/seawall");
  alone<floor_now_given>("success/adaptive_limit permit, now given/floor");
  in_pairs<permit_now_given>("success/adaptive_limit permit, now given/seawall");
  in_pairs<floor_now_given>("success/adaptive_limit permit, now given/floor");
  return true;
}();

}  // namespace
}  // namespace bench
