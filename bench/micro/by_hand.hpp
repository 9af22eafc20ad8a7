// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_BENCH_MICRO_BY_HAND_HPP
#define SEAWALL_BENCH_MICRO_BY_HAND_HPP

// The floors: what a careful author would write by hand for one call site and one set of policies. Same clock reads, same
// atomic operations (loads included), same checks of the answer; no state machine, no generality, no rare case handled.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "seawall/core/stripe.hpp"
#include "seawall/time.hpp"
#include "subject.hpp"

namespace bench {

inline std::int64_t read_clock() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Calls counted in buckets of one second, striped by processor.
class hand_window {
 public:
  void add(std::int64_t now) noexcept {
    bucket* const own = stripes_[seawall::core::stripe_hint() & mask_].buckets;
    if (now >= edge_.load(std::memory_order_acquire)) [[unlikely]]
      advance(now);
    const std::int64_t epoch = current_.load(std::memory_order_acquire);
    bucket& b = own[epoch & 15];
    if (b.epoch.load(std::memory_order_acquire) != epoch) [[unlikely]]
      empty(b, epoch);
    b.count.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  struct bucket {
    std::atomic<std::int64_t> epoch{-1};
    std::atomic<std::uint64_t> count{0};
  };
  struct alignas(128) stripe {
    bucket buckets[16];
  };
  static constexpr std::int64_t width = 1'000'000'000;

  [[gnu::noinline]] void advance(std::int64_t now) noexcept {
    const std::lock_guard lock(mutex_);
    current_.store(now / width, std::memory_order_release);
    edge_.store((now / width + 1) * width, std::memory_order_release);
  }
  [[gnu::noinline]] void empty(bucket& b, std::int64_t epoch) noexcept {
    const std::lock_guard lock(mutex_);
    b.count.store(0, std::memory_order_relaxed);
    b.epoch.store(epoch, std::memory_order_release);
  }

  std::atomic<std::int64_t> edge_{0};
  std::atomic<std::int64_t> current_{0};
  const unsigned mask_ = seawall::core::default_stripes() - 1;
  stripe stripes_[seawall::core::max_stripes];
  std::mutex mutex_;
};

/// Closed, and counting successes; `over_time`: in a window, else only consecutive failures, which there are none of.
class hand_breaker {
 public:
  explicit hand_breaker(bool over_time) noexcept : over_time_(over_time) {}

  bool admit(std::uint64_t& generation) const noexcept {
    const std::uint64_t state = state_.load(std::memory_order_acquire);
    generation = state >> 8;
    return (state & 0xff) == 0;
  }
  bool still_open(std::int64_t now) const noexcept {
    return now < open_until_.load(std::memory_order_relaxed);
  }
  seawall::duration time_left(std::int64_t now) const noexcept {
    return seawall::duration::from_ns(open_until_.load(std::memory_order_relaxed) - now);
  }
  void open(std::int64_t until) noexcept {
    open_until_.store(until, std::memory_order_relaxed);
    state_.store(1 << 8 | 1, std::memory_order_release);
  }
  bool needs_end_time() const noexcept { return slow_limit_.load(std::memory_order_relaxed) != INT64_MAX; }
  void success(std::uint64_t generation, std::int64_t now) noexcept {
    if (slow_limit_.load(std::memory_order_relaxed) != INT64_MAX) [[unlikely]]
      return;
    if (state_.load(std::memory_order_acquire) >> 8 != generation) [[unlikely]]
      return;
    if (failures_.load(std::memory_order_relaxed)) [[unlikely]]
      return;
    if (!over_time_.load(std::memory_order_relaxed)) return;
    window_.add(now);
    // The breaker looks again after counting: a trip may have come in between.
    if (state_.load(std::memory_order_acquire) >> 8 != generation) [[unlikely]]
      return;
  }

 private:
  std::atomic<std::uint64_t> state_{0};
  std::atomic<std::int64_t> open_until_{0};
  std::atomic<std::int64_t> slow_limit_{INT64_MAX};
  std::atomic<bool> failures_{false};
  std::atomic<bool> over_time_;
  hand_window window_;
};

/// GCRA in whole nanoseconds, by hand: no fractions, no range, no second thoughts.
struct hand_gcra {
  alignas(128) std::atomic<std::int64_t> full_at{0};
  alignas(128) std::int64_t interval = 1;
  std::int64_t depth = 1'000'000'000;

  bool take(std::int64_t now) noexcept {
    std::int64_t seen = full_at.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t after = (seen < now ? now : seen) + interval;
      if (after - now > depth) return false;
      if (full_at.compare_exchange_weak(seen, after, std::memory_order_relaxed)) return true;
    }
  }
};
/// Permits in `Stripes` words.
template <unsigned Stripes>
class hand_permits {
 public:
  explicit hand_permits(std::int64_t limit) {
    for (auto& w : words_) w.free.store(limit / Stripes);
  }
  bool take() noexcept {
    auto& free = own();
    std::int64_t seen = free.load(std::memory_order_relaxed);
    while (seen >= 1) {
      if (free.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
    }
    return false;
  }
  void give() noexcept {
    auto& free = own();
    std::int64_t seen = free.load(std::memory_order_relaxed);
    while (seen >= 0 && !free.compare_exchange_weak(seen, seen + 1, std::memory_order_release,
                                                    std::memory_order_relaxed)) {
    }
  }

 private:
  struct alignas(128) word {
    std::atomic<std::int64_t> free{0};
  };
  std::atomic<std::int64_t>& own() noexcept {
    if constexpr (Stripes == 1) return words_[0].free;
    return words_[seawall::core::stripe_hint() & (Stripes - 1)].free;
  }
  word words_[Stripes];
};

/// What a floor does by hand.
struct policies {
  bool fallback = false;
  bool deadline = false;
  bool retry = false;
  bool budget = false;
  bool breaker = false;
  bool over_time = true;
  bool timeout = false;
  bool rate = false;
  bool permit = false;
};

inline bool good(const absl::Status& s) noexcept { return s.ok(); }
inline bool good(const absl::StatusOr<int>& s) noexcept { return s.ok(); }

inline void substitute(absl::Status& s) { s = absl::OkStatus(); }
inline void substitute(absl::StatusOr<int>& s) { s = 42; }

/// The success path of one call; failures only as far as they cost the success path a comparison.
template <policies P, class R>
struct floor {
  R operator()() {
    const std::int64_t now = read_clock();
    std::int64_t deadline = INT64_MAX;
    if constexpr (P.deadline) {
      deadline = now + after_;
      if (deadline <= now) [[unlikely]]
        return refuse<R>(0);
    }
    if constexpr (P.budget) budget_.add(now);
    if constexpr (std::is_same_v<R, int>) {
      return attempts_of_plain_value(now, deadline);
    } else {
      return attempts(now, deadline);
    }
  }

 private:
  R attempts(std::int64_t now, std::int64_t deadline) {
    for (std::uint32_t tries = 1;; ++tries) {
      std::uint64_t generation = 0;
      if constexpr (P.breaker) {
        if (!breaker_.admit(generation)) [[unlikely]]
          return refuse<R>(0);
      }
      if constexpr (P.rate) {
        if (!rate_.take(now)) [[unlikely]]
          return refuse<R>(0);
      }
      if constexpr (P.permit) {
        if (!permits_.take()) [[unlikely]]
          return refuse<R>(0);
      }
      R r = answer<R>(time_left(now, deadline));
      if constexpr (P.permit) permits_.give();
      if (good(r)) [[likely]] {
        settle(generation, now);
        return r;
      }
      if (!P.retry || tries == max_attempts_) {
        if constexpr (P.fallback) substitute(r);
        return r;
      }
    }
  }

  R attempts_of_plain_value(std::int64_t now, std::int64_t deadline) {
    for (std::uint32_t tries = 1;; ++tries) {
      std::uint64_t generation = 0;
      if constexpr (P.breaker) {
        if (!breaker_.admit(generation)) [[unlikely]]
          return refuse<R>(0);
      }
      try {
        const int r = answer<int>(time_left(now, deadline));
        settle(generation, now);
        return r;
      } catch (...) {
        if (P.retry && tries != max_attempts_) continue;
        if (!P.fallback) throw;
        return 42;
      }
    }
  }

  std::int64_t time_left(std::int64_t now, std::int64_t deadline) const noexcept {
    if constexpr (P.timeout) {
      if (const std::int64_t own = now + attempt_after_; own < deadline) deadline = own;
    }
    return deadline - now;
  }

  void settle(std::uint64_t generation, std::int64_t now) noexcept {
    if constexpr (P.breaker) {
      if (breaker_.needs_end_time()) [[unlikely]]
        now = read_clock();
      breaker_.success(generation, now);
    }
  }

  std::int64_t after_ = 2'000'000'000;
  std::int64_t attempt_after_ = 250'000'000;
  std::uint32_t max_attempts_ = 4;
  hand_window budget_;
  hand_breaker breaker_{P.over_time};
  hand_gcra rate_;
  hand_permits<4> permits_{256};
};

}  // namespace bench

#endif  // SEAWALL_BENCH_MICRO_BY_HAND_HPP
