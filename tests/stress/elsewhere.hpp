// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_STRESS_ELSEWHERE_HPP
#define SEAWALL_TESTS_STRESS_ELSEWHERE_HPP

// What the stress tests share: threads that are not the scheduler's, things that count themselves, and how many calls.
//
// SEAWALL_CALLS=<count> sets how many calls are made; by default fewer under the sanitizers. SEAWALL_SEED as in
// property/support.hpp; interleavings are not replayed, only the choices.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "property/support.hpp"

namespace stress {

using property::dice;

inline std::uint64_t calls_wanted(std::uint64_t usual) {
  return property::from_environment("SEAWALL_CALLS").value_or(usual / property::slowdown);
}

/// Counts its instances: zero at the end, or something leaks.
template <class Tag>
class counted {
 public:
  counted() noexcept { alive.fetch_add(1, std::memory_order_relaxed); }
  counted(const counted&) noexcept : counted() {}
  counted& operator=(const counted&) = default;
  ~counted() { alive.fetch_sub(1, std::memory_order_relaxed); }

  static inline std::atomic<std::int64_t> alive{0};
};

/// Threads that do what they are given, each in a random order of its own.
class elsewhere {
 public:
  elsewhere(unsigned threads, std::uint64_t seed) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, seed, i] { work(dice(seed + i)); });
  }
  elsewhere(const elsewhere&) = delete;
  elsewhere& operator=(const elsewhere&) = delete;
  /// After everything has been done.
  ~elsewhere() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    given_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  template <class F>
  void give(F f) {
    auto e = std::make_unique<errand_of<F>>(std::move(f));
    const std::lock_guard lock(mutex_);
    errands_.push_back(std::move(e));
    given_.notify_one();
  }

 private:
  struct errand {
    virtual ~errand() = default;
    virtual void run() = 0;
  };
  template <class F>
  struct errand_of final : errand {
    explicit errand_of(F g) : f(std::move(g)) {}
    void run() override { f(); }
    F f;
  };

  void work(dice d) {
    for (;;) {
      std::unique_ptr<errand> next;
      {
        std::unique_lock lock(mutex_);
        given_.wait(lock, [this] { return over_ || !errands_.empty(); });
        if (errands_.empty()) return;
        std::swap(errands_[d.below(errands_.size())], errands_.back());
        next = std::move(errands_.back());
        errands_.pop_back();
      }
      next->run();
    }
  }

  std::mutex mutex_;
  std::condition_variable given_;
  std::vector<std::unique_ptr<errand>> errands_;
  bool over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace stress

#endif  // SEAWALL_TESTS_STRESS_ELSEWHERE_HPP
