// SPDX-License-Identifier: Apache-2.0

// How often a bounded cache has what it is asked for: LRU, S3-FIFO (the one that ships, core/s3_fifo.hpp) and
// a simple W-TinyLFU, on Zipf traces, with and without scans. Prints a table in Markdown. Deterministic.
//
//   bench_cache_hit_ratio [requests]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "seawall/core/s3_fifo.hpp"
#include "seawall/random.hpp"

namespace {

using key = std::uint64_t;

/// Ranks 0 to n - 1, the first the most frequent; by inversion of the cumulated weights.
class zipf {
 public:
  zipf(std::size_t n, double exponent) : cumulated_(n) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      cumulated_[i] = sum += std::pow(static_cast<double>(i + 1), -exponent);
  }
  key operator()(seawall::random_source& random) const {
    const double at = random.unit() * cumulated_.back();
    return static_cast<key>(std::upper_bound(cumulated_.begin(), cumulated_.end(), at) - cumulated_.begin());
  }

 private:
  std::vector<double> cumulated_;
};

enum class shape { steady, scans, drift };

/// Scans: a fifth of the requests walk through keys that nobody asks for again, a thousand at a time. Drift:
/// the ranks belong to other keys every tenth of the trace, a tenth of them each time.
std::vector<key> trace(std::size_t requests, std::size_t keys, double exponent, shape s) {
  seawall::random_source random(42);
  const zipf ranks(keys, exponent);
  std::vector<key> out;
  out.reserve(requests);
  key fresh = keys * 100;
  while (out.size() < requests) {
    if (s == shape::scans && random.unit() < 1.0 / 4001) {
      for (int i = 0; i < 1000 && out.size() < requests; ++i) out.push_back(fresh++);
    } else {
      const key shift = s == shape::drift ? out.size() / (requests / 10) * (keys / 10) : 0;
      out.push_back((ranks(random) + shift) % keys);
    }
  }
  return out;
}

class lru {
 public:
  explicit lru(std::size_t capacity) : capacity_(capacity) {}

  bool ask(key k) {
    if (const auto found = index_.find(k); found != index_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return true;
    }
    if (order_.size() == capacity_) {
      index_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(k);
    index_[k] = order_.begin();
    return false;
  }

 private:
  std::size_t capacity_;
  std::list<key> order_;
  std::unordered_map<key, std::list<key>::iterator> index_;
};

class shipped {
 public:
  explicit shipped(std::size_t capacity) : table_(capacity, capacity) {}

  bool ask(key k) {
    const std::string_view text(reinterpret_cast<const char*>(&k), sizeof k);
    const seawall::core::hashed_key hashed(text);
    if (auto* const found = table_.find(hashed)) {
      table_.touch(*found);
      return true;
    }
    decltype(table_)::removed out;
    table_.put(hashed, 1, out);
    return false;
  }

 private:
  seawall::core::s3_fifo<int> table_;
};

/// Einziger, Friedman, Manes: "TinyLFU: A Highly Efficient Cache Admission Policy" (TOS 2017): a window of
/// 1%, a segmented LRU of 99% (80% of it protected), a count-min sketch of 4-bit counters that are halved
/// after ten times the capacity.
class tiny_lfu {
 public:
  explicit tiny_lfu(std::size_t capacity)
      : capacity_(capacity),
        window_max_(std::max<std::size_t>(capacity / 100, 1)),
        protected_max_((capacity - window_max_) * 8 / 10),
        sketch_(4 * capacity) {}

  bool ask(key k) {
    count(k);
    if (const auto found = index_.find(k); found != index_.end()) {
      hit(found->second);
      return true;
    }
    window_.push_front(k);
    index_[k] = {where::window, window_.begin()};
    if (window_.size() > window_max_) leave_window();
    return false;
  }

 private:
  enum class where { window, probation, safe };
  struct place {
    where in;
    std::list<key>::iterator at;
  };

  void hit(place& p) {
    if (p.in == where::window) return window_.splice(window_.begin(), window_, p.at);
    auto& from = p.in == where::safe ? safe_ : probation_;
    safe_.splice(safe_.begin(), from, p.at);
    p.in = where::safe;
    if (safe_.size() <= protected_max_) return;
    probation_.splice(probation_.begin(), safe_, std::prev(safe_.end()));
    index_[probation_.front()].in = where::probation;
  }
  void leave_window() {
    const key candidate = window_.back();
    if (index_.size() > capacity_) {
      auto& from = probation_.empty() ? safe_ : probation_;
      const key victim = from.back();
      if (estimate(candidate) <= estimate(victim)) {
        window_.pop_back();
        index_.erase(candidate);
        return;
      }
      from.pop_back();
      index_.erase(victim);
    }
    probation_.splice(probation_.begin(), window_, std::prev(window_.end()));
    index_[candidate].in = where::probation;
  }

  std::size_t slot(key k, unsigned row) const {
    return seawall::random_source(k * 4 + row).next() % capacity_ + row * capacity_;
  }
  void count(key k) {
    for (unsigned row = 0; row < 4; ++row) {
      auto& c = sketch_[slot(k, row)];
      if (c < 15) ++c;
    }
    if (++counted_ < 10 * capacity_) return;
    counted_ /= 2;
    for (auto& c : sketch_) c /= 2;
  }
  unsigned estimate(key k) const {
    unsigned least = 15;
    for (unsigned row = 0; row < 4; ++row) least = std::min<unsigned>(least, sketch_[slot(k, row)]);
    return least;
  }

  std::size_t capacity_, window_max_, protected_max_;
  std::vector<std::uint8_t> sketch_;
  std::size_t counted_ = 0;
  std::list<key> window_, probation_, safe_;
  std::unordered_map<key, place> index_;
};

template <class Cache>
double hit_ratio(const std::vector<key>& requests, std::size_t capacity) {
  Cache cache(capacity);
  std::size_t hits = 0;
  for (const key k : requests) hits += cache.ask(k) ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(requests.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t requests = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  constexpr std::size_t keys = 100'000;
  std::printf("%zu requests, %zu keys\n\n", requests, keys);
  std::puts("| trace | entries | LRU | S3-FIFO | W-TinyLFU, simple |\n|---|---:|---:|---:|---:|");
  struct kind {
    shape s;
    const char* name;
  };
  for (const kind& k :
       {kind{shape::steady, ""}, kind{shape::scans, ", scans"}, kind{shape::drift, ", drift"}}) {
    for (const double exponent : {0.8, 0.99, 1.1}) {
      const auto asked = trace(requests, keys, exponent, k.s);
      for (const std::size_t capacity : {keys / 1000, keys / 100, keys / 10}) {
        std::printf("| Zipf %.2f%s | %zu | %.3f | %.3f | %.3f |\n", exponent, k.name, capacity,
                    hit_ratio<lru>(asked, capacity), hit_ratio<shipped>(asked, capacity),
                    hit_ratio<tiny_lfu>(asked, capacity));
      }
    }
  }
  return 0;
}
