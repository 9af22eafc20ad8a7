// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_THROTTLE_MACHINE_HPP
#define SEAWALL_CORE_THROTTLE_MACHINE_HPP

// Client-side adaptive throttling as a machine: it is told how calls end, and says which may begin ("Site
// Reliability Engineering", Beyer et al., 2016, chapter 21). Without refusals in the window nothing is looked
// at but one word.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/core/striped_window.hpp"
#include "seawall/core/throttle_options.hpp"
#include "seawall/event.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall::core {

/// What the end of a call says to a throttle.
enum class throttle_sign : std::uint8_t { accepted, refused, nothing };

constexpr throttle_sign sign_of(const verdict& v, throttle_counts counts) noexcept {
  if (v.success) return throttle_sign::accepted;
  if (v.health == health::silent) {
    // Silent and `always` is a policy further in, silent and `never` somebody who gave up: the dependency had
    // no say.
    const bool quota = v.again == again::if_idempotent || (v.again == again::never && v.has_pushback());
    return quota ? throttle_sign::refused : throttle_sign::nothing;
  }
  if (v.has_pushback() || v.again == again::always) return throttle_sign::refused;
  const bool failed = v.health == health::unhealthy && counts == throttle_counts::failures;
  return failed ? throttle_sign::refused : throttle_sign::accepted;
}

/// max(0, (requests - K * accepts) / (requests + 1)).
constexpr double rejection_probability(double requests, double accepts, double multiplier) noexcept {
  const double excess = requests - multiplier * accepts;
  return excess > 0 ? excess / (requests + 1) : 0.0;
}

/// Guarantees:
/// 1. Requests are calls that have ended and calls that were rejected here: one in flight is on neither side,
///    so that a slow dependency is not taken for one that refuses.
/// 2. While requests <= K * accepts, nothing is rejected and no random number is drawn.
/// 3. Up to 255 requests in the window, each decision is made on the exact counts; beyond, on counts that are
///    at most 1/128 of the requests old.
/// 4. Every 1/floor_per_second a call passes, if there is one.
///
/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: admitting without refusals: one load; settling: `striped_window::add`. With refusals in the window:
/// a mutex and a walk over the window at the end of each bucket, and whenever as many refusals came as could
/// make it throttle. While it throttles: 5 loads, one read-modify-write and a draw, a mutex and a walk now
/// and then; a rejection makes two striped read-modify-writes.
class throttle_machine {
 public:
  static constexpr std::size_t max_priorities = 8;

  /// `options` must be valid; `stripes` as in `striped_window`.
  throttle_machine(throttle_options options, unsigned stripes, std::string key = {})
      : name_(std::move(options.name)),
        key_(std::move(key)),
        buckets_(options.buckets),
        window_(options.window / options.buckets, options.buckets, stripes) {
    const mutex_lock lock(mutex_);
    apply(options);
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  std::uint32_t buckets() const noexcept { return buckets_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }

  /// Admits if nobody can be rejected; else nothing has happened, and `try_acquire` decides.
  [[gnu::always_inline]] bool try_acquire_calm(instant now) const noexcept {
    // Relaxed, as all that decisions are made on: figures a moment old are as good.
    return now.ns() < calm_until_ns_.load(std::memory_order_relaxed);
  }

  /// `random()` returns a random_source&; it is called only if the probability is not zero.
  template <class Random>
  bool try_acquire(instant now, int priority, Random&& random) noexcept {
    if (try_acquire_calm(now)) return true;
    if (stale(now)) review(now);
    const double p = probability(multiplier_of(priority));
    if (p <= 0) return true;
    if (random().unit() < p) return take_floor(now) || turn_away(now);
    put_off_floor(now);
    return true;
  }

  /// Reports how an admitted call ended.
  [[gnu::always_inline]] void settle(const verdict& v, instant now) noexcept {
    if (v.success) [[likely]] {
      window_.add(now);
    } else {
      settle_failure(v, now);
    }
  }

  throttle_snapshot snapshot(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const window_counts c = window_.sum(now);
    const mutex_lock lock(mutex_);
    throttle_snapshot s;
    s.name = name_;
    s.throttling = throttling_.load(std::memory_order_relaxed) && now < ceases();
    s.requests = c.calls;
    s.accepts = c.calls - c.bad;
    s.throttled = c.slow;
    s.rejection_probability = core::rejection_probability(static_cast<double>(s.requests),
                                                          static_cast<double>(s.accepts), multiplier_of(0));
    s.transitions = transitions_;
    return s;
  }

  /// Nothing refused and nobody rejected: forgetting it would change nothing.
  bool idle(instant now) noexcept { return window_.sum(now).bad == 0; }

  /// `options` must be valid, with the same number of buckets. What was counted is kept.
  void reconfigure(const throttle_options& options) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    window_.set_width(options.window / options.buckets);
    apply(options);
    // The next decision looks at everything anew.
    review_at_ns_.store(always_ns, std::memory_order_relaxed);
    calm_until_ns_.store(always_ns, std::memory_order_relaxed);
  }

 private:
  static constexpr std::int64_t never_ns = seawall::detail::int64_max;
  static constexpr std::int64_t always_ns = seawall::detail::int64_min;

  struct transition {
    std::string_view from;
    std::string_view to;
    std::string_view why;
  };

  [[gnu::noinline]] void settle_failure(verdict v, instant now) noexcept {
    switch (sign_of(v, counts_.load(std::memory_order_relaxed))) {
      case throttle_sign::nothing: return;
      case throttle_sign::accepted: window_.add(now); return;
      case throttle_sign::refused: break;
    }
    window_.add(now, true, false);
    if (stale(now)) review(now);
  }

  double probability(double multiplier) const noexcept {
    const std::uint64_t f = figures_.load(std::memory_order_relaxed);
    return core::rejection_probability(static_cast<double>(f >> 32), static_cast<double>(f & 0xffffffff),
                                       multiplier);
  }
  double multiplier_of(int priority) const noexcept {
    double found = multiplier_.load(std::memory_order_relaxed);
    const std::size_t count = priorities_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < count && priority >= at_least_[i].load(std::memory_order_relaxed); ++i)
      found = multipliers_[i].load(std::memory_order_relaxed);
    return found;
  }

  // The figures may be too old to decide on. Counts down: a decision while it throttles, a refusal at any
  // time.
  bool stale(instant now) noexcept {
    return left_.fetch_sub(1, std::memory_order_relaxed) <= 1 ||
           now.ns() >= review_at_ns_.load(std::memory_order_relaxed);
  }

  void review(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    bool ceased = false;
    listener* events = nullptr;
    {
      const mutex_lock lock(mutex_);
      ceased = throttling_.load(std::memory_order_relaxed) && now >= ceases();
      if (ceased) {
        throttling_.store(false, std::memory_order_relaxed);
        ++transitions_;
      }
      events = events_;
      take_in(window_.sum(now), now);
    }
    if (ceased) tell(events, {"throttling", "passing", "no call rejected lately"}, now);
  }

  void take_in(window_counts c, instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t bad = c.bad;
    std::uint64_t requests = c.calls, accepts = c.calls - c.bad;
    const double spare = multiplier_.load(std::memory_order_relaxed) * static_cast<double>(accepts) -
                         static_cast<double>(requests);
    // Each refusal takes one of what is to spare; accepts that grow old are seen at the edge.
    const double decisions = spare >= 0 ? spare + 1 : static_cast<double>(requests / 128);
    left_.store(bad == 0 ? 1 : static_cast<std::int32_t>(std::clamp(decisions, 1.0, 1e9)),
                std::memory_order_relaxed);
    for (; requests > 0xffffffff; accepts /= 2) requests /= 2;
    figures_.store(requests << 32 | accepts, std::memory_order_relaxed);

    const instant ceasing = throttling_.load(std::memory_order_relaxed) ? ceases() : instant::never();
    const instant next = std::min(bad == 0 ? instant::never() : edge_after(now), ceasing);
    review_at_ns_.store(next.ns(), std::memory_order_relaxed);
    calm_until_ns_.store(spare >= 0 ? next.ns() : always_ns, std::memory_order_relaxed);
  }

  instant edge_after(instant now) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::int64_t into = now.ns() % width_.ns();
    if (into < 0) into += width_.ns();
    return now + (width_ - duration::from_ns(into));
  }
  instant ceases() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return instant::from_ns(last_rejection_ns_.load(std::memory_order_relaxed)) + width_;
  }

  // False, for the convenience of the caller.
  bool turn_away(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    window_.add(now, true, true);
    last_rejection_ns_.store(now.ns(), std::memory_order_relaxed);
    if (!throttling_.load(std::memory_order_relaxed)) begin(now);
    return false;
  }

  [[gnu::noinline]] void begin(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    listener* events = nullptr;
    {
      const mutex_lock lock(mutex_);
      if (throttling_.load(std::memory_order_relaxed)) return;
      throttling_.store(true, std::memory_order_relaxed);
      ++transitions_;
      events = events_;
    }
    tell(events, {"passing", "throttling", "too few requests are accepted"}, now);
  }

  void tell(listener* events, const transition& t, instant now) const noexcept {
    if (events != nullptr)
      events->on(event::state_changed{"throttle", name_, key_, t.from, t.to, t.why, now});
  }

  // The floor: a call passes that the draw rejects, if none has passed for an interval.
  bool take_floor(instant now) noexcept {
    const std::int64_t interval = floor_interval_ns_.load(std::memory_order_relaxed);
    std::int64_t from = floor_from_ns_.load(std::memory_order_relaxed);
    while (interval != never_ns && now.ns() >= from) {
      // By exchange: of two threads at once, one passes.
      if (floor_from_ns_.compare_exchange_weak(from, floor_after(now, interval), std::memory_order_relaxed))
        return true;
    }
    return false;
  }
  void put_off_floor(instant now) noexcept {
    const std::int64_t interval = floor_interval_ns_.load(std::memory_order_relaxed);
    if (interval != never_ns) floor_from_ns_.store(floor_after(now, interval), std::memory_order_relaxed);
  }
  static std::int64_t floor_after(instant now, std::int64_t interval) noexcept {
    return (now + duration::from_ns(interval)).ns();
  }

  void apply(const throttle_options& o) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    width_ = o.window / o.buckets;
    events_ = o.events;
    multiplier_.store(o.multiplier, std::memory_order_relaxed);
    for (std::size_t i = 0; i < o.priorities.size(); ++i) {
      at_least_[i].store(o.priorities[i].at_least, std::memory_order_relaxed);
      multipliers_[i].store(o.priorities[i].multiplier, std::memory_order_relaxed);
    }
    priorities_.store(o.priorities.size(), std::memory_order_relaxed);
    floor_interval_ns_.store(o.floor_per_second > 0
                                 ? static_cast<std::int64_t>(std::min(1e9 / o.floor_per_second, 9e18))
                                 : never_ns,
                             std::memory_order_relaxed);
    counts_.store(o.counts, std::memory_order_relaxed);
    rejections_.store(o.rejections, std::memory_order_relaxed);
  }

  // Read by every call, written by reviews.
  alignas(64) std::atomic<std::int64_t> calm_until_ns_{never_ns};  // until then all may pass
  std::atomic<std::int64_t> review_at_ns_{never_ns};
  std::atomic<std::uint64_t> figures_{0};  // requests << 32 | accepts
  std::atomic<double> multiplier_{2.0};    // the lowest
  std::atomic<std::size_t> priorities_{0};
  std::array<std::atomic<int>, max_priorities> at_least_{};
  std::array<std::atomic<double>, max_priorities> multipliers_{};
  std::atomic<std::int64_t> floor_interval_ns_{never_ns};
  std::atomic<throttle_counts> counts_{throttle_counts::refusals};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  const std::string key_;
  const std::uint32_t buckets_;
  striped_window window_;

  // Written by every decision while it throttles.
  alignas(64) std::atomic<std::int32_t> left_{1};  // decisions and refusals until the next review
  std::atomic<std::int64_t> floor_from_ns_{always_ns};
  std::atomic<std::int64_t> last_rejection_ns_{always_ns};
  std::atomic<bool> throttling_{false};  // a call was rejected lately; changed under the mutex

  mutable mutex mutex_;
  duration width_ ABSL_GUARDED_BY(mutex_);
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t transitions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_THROTTLE_MACHINE_HPP
