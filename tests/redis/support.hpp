// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_REDIS_SUPPORT_HPP
#define SEAWALL_TESTS_REDIS_SUPPORT_HPP

// Processes that share a quota (here each is a redis_quota object: what a process has of it), load on them, and a ledger of
// everything that was granted to anyone.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "redis/redis_server.hpp"
#include "seawall/adapt/redis.hpp"
#include "seawall/time.hpp"

namespace redis_test {

using seawall::duration;
using seawall::instant;
using seawall::quota_fallback;
using seawall::quota_state;
using seawall::redis_quota;
using seawall::redis_quota_options;

/// Quick to notice, quick to come back: a test waits for both.
inline redis_quota_options options_for(const redis_server& server, std::uint32_t processes) {
  return {.name = "orders",
          .port = server.port(),
          .key = "orders",
          .permits = 500,
          .per = 1s,
          .burst = 50,
          .max_lease = 20,
          .lease_time = 1s,
          .probe_max = 100ms,
          .fallback = quota_fallback::share,
          .processes = processes};
}

/// All grants, and what they would have filled: a bucket that leaks at the rate. Its highest level is, over all stretches of
/// time, the most by which the grants exceed rate * time.
class ledger {
 public:
  void add(const std::vector<instant>& grants) {
    grants_.insert(grants_.end(), grants.begin(), grants.end());
  }
  std::size_t size() const { return grants_.size(); }
  std::size_t between(instant from, instant to) const {
    return static_cast<std::size_t>(
        std::count_if(grants_.begin(), grants_.end(), [&](instant i) { return i >= from && i < to; }));
  }
  double most_above(double per_second) {
    std::sort(grants_.begin(), grants_.end());
    double level = 0;
    double highest = 0;
    for (std::size_t i = 0; i < grants_.size(); ++i) {
      if (i > 0) level -= std::min(level, (grants_[i] - grants_[i - 1]).seconds() * per_second);
      highest = std::max(highest, ++level);
    }
    return highest;
  }

 private:
  std::vector<instant> grants_;
};

/// As many processes, and a thread for each that takes all it can get.
class processes_under_load {
 public:
  explicit processes_under_load(const std::vector<redis_quota_options>& all) {
    for (const redis_quota_options& o : all) quotas_.push_back(std::make_unique<redis_quota>(o));
    for (const auto& q : quotas_) q->wait_until_answered(10s);
    grants_.resize(all.size());
    begun_ = seawall::steady_clock::now();
    for (std::size_t i = 0; i < all.size(); ++i) threads_.emplace_back([this, i] { load(i); });
  }
  ~processes_under_load() { end(); }
  processes_under_load(const processes_under_load&) = delete;
  processes_under_load& operator=(const processes_under_load&) = delete;

  redis_quota& quota(std::size_t i) { return *quotas_[i]; }
  instant begun() const { return begun_; }
  std::uint64_t calls() const { return calls_.load(); }
  bool all_are(quota_state s) const {
    return std::all_of(quotas_.begin(), quotas_.end(),
                       [&](const auto& q) { return q->snapshot().state == s; });
  }
  std::uint64_t locally_granted() const {
    std::uint64_t sum = 0;
    for (const auto& q : quotas_) sum += q->snapshot().locally_granted;
    return sum;
  }
  bool everyone_granted_locally(std::uint64_t least) const {
    return std::all_of(quotas_.begin(), quotas_.end(),
                       [&](const auto& q) { return q->snapshot().locally_granted >= least; });
  }

  /// No more calls; what was granted.
  ledger end() {
    stop_ = true;
    for (auto& t : threads_) t.join();
    threads_.clear();
    ledger all;
    for (const auto& g : grants_) all.add(g);
    return all;
  }

 private:
  void load(std::size_t i) {
    while (!stop_) {
      const auto answer = quotas_[i]->take(1, seawall::steady_clock::now());
      ++calls_;
      if (answer.granted)
        grants_[i].push_back(seawall::steady_clock::now());
      else
        std::this_thread::sleep_for(500us);
    }
  }

  std::vector<std::unique_ptr<redis_quota>> quotas_;
  std::vector<std::vector<instant>> grants_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> calls_{0};
  instant begun_;
};

/// Lets the load run until so much time has gone by: what is measured is a rate.
inline void let_run(duration d) { std::this_thread::sleep_for(d.to_chrono()); }

}  // namespace redis_test

#endif  // SEAWALL_TESTS_REDIS_SUPPORT_HPP
