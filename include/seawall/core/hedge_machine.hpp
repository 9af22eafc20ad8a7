// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_HEDGE_MACHINE_HPP
#define SEAWALL_CORE_HEDGE_MACHINE_HPP

// What the calls of a hedge share: the delay, taken from the latencies seen, and the judgement of whether
// hedging is of any use at present. The legs of a call are hedge.hpp's affair.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/core/striped_histogram.hpp"
#include "seawall/core/striped_window.hpp"
#include "seawall/event.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// What may be changed while calls run; meaning and ranges are those of `hedge_options`.
struct hedge_rules {
  std::uint32_t max_attempts = 2;
  std::optional<duration> after = {};
  double quantile = 0.95;
  std::uint32_t minimum_samples = 100;
  std::optional<duration> until_known = {};
  duration after_min = {};
  double reissue = 1.0;
  double reached_max = 0;
  double wins_min = 0;
  double load_max = 0;
  duration attempt_needs = {};

  double reached_limit() const noexcept {
    if (reached_max > 0) return reached_max;
    return after ? 0.15 : std::min(3 * (1 - quantile), 1.0);
  }
};

/// Totals since the hedge was made.
struct hedge_totals {
  std::uint64_t hedges = 0;         ///< attempts started because the delay had passed
  std::uint64_t after_failure = 0;  ///< attempts started because another one had failed
  std::uint64_t wins = 0;           ///< calls that were answered by a hedge
  std::uint64_t withheld_slow = 0;
  std::uint64_t withheld_useless = 0;
  std::uint64_t withheld_load = 0;
  std::uint64_t withheld_chance = 0;
  std::uint64_t withheld_budget = 0;
};

/// Two judgements switch hedging off by themselves, each with hysteresis:
///
/// - *slow*: far more calls than expected reach the delay, so that it is not the tail that is slow but
///   everything. Share of the calls of the newest two slices; off at the limit, on again at half of it.
///   Answers an onset of overload.
/// - *useless*: hedges hardly ever come first. Moving average over some 32 hedged calls; off below the limit,
///   on again from twice that. While off, hedges for 0.2% of the calls go on, to find out. Answers a long
///   overload, in which the delay has grown with the latencies.
///
/// Both are made, and the delay is computed, at most ten times a second, by one thread; the others go on with
/// the old ones.
///
/// Thread safety: shared objects safe.
/// Cost: `delay` and `record`, which every call needs: two loads, and a recording in the histogram. The rest
/// is for calls that are slow or fail.
class hedge_machine {
 public:
  /// `latencies` outlives this; its slices are the ones in which shares are taken.
  hedge_machine(striped_histogram& latencies, const hedge_rules& rules)
      : latencies_(latencies), reached_(latencies.width(), 2, 1) {
    set_rules(rules);
  }

  void set_rules(const hedge_rules& rules) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    rules_ = rules;
    max_attempts_.store(rules.max_attempts, std::memory_order_relaxed);
    reissue_.store(rules.reissue, std::memory_order_relaxed);
    load_max_.store(rules.load_max, std::memory_order_relaxed);
    wins_min_.store(rules.wins_min, std::memory_order_relaxed);
    attempt_needs_ns_.store(rules.attempt_needs.ns(), std::memory_order_relaxed);
    reached_.set_width(latencies_.width());
    next_look_ns_.store(seawall::detail::int64_min, std::memory_order_relaxed);
  }

  // Each of these is one number that means something by itself: relaxed.
  std::uint32_t max_attempts() const noexcept { return max_attempts_.load(std::memory_order_relaxed); }
  double reissue() const noexcept { return reissue_.load(std::memory_order_relaxed); }
  double load_max() const noexcept { return load_max_.load(std::memory_order_relaxed); }
  duration attempt_needs() const noexcept {
    return duration::from_ns(attempt_needs_ns_.load(std::memory_order_relaxed));
  }

  /// How long to wait for an attempt before the next one; `infinite()` if that is not known yet.
  [[gnu::always_inline]] duration delay(instant now) noexcept {
    if (now.ns() >= next_look_ns_.load(std::memory_order_relaxed)) [[unlikely]]
      look(now);
    return duration::from_ns(delay_ns_.load(std::memory_order_relaxed));
  }
  [[gnu::always_inline]] void record(duration took, instant now) noexcept { latencies_.record(took, now); }

  /// A call has waited for the delay.
  void count_reached(instant now) noexcept { reached_.add(now); }
  /// What is against a hedge at present; `unit()` is uniform in [0, 1).
  template <class Unit>
  hedge_withheld_by objection(Unit&& unit) const noexcept {
    if (slow_.load(std::memory_order_relaxed)) return hedge_withheld_by::slow;
    if (useless_.load(std::memory_order_relaxed) && unit() >= probes_.load(std::memory_order_relaxed)) {
      return hedge_withheld_by::useless;
    }
    return hedge_withheld_by::nothing;
  }

  /// A call with a hedge has ended: whether one came first.
  void hedged(bool won) noexcept {
    if (won) count(wins_);
    std::uint32_t seen = won_share_.load(std::memory_order_relaxed);
    std::uint32_t next = 0;
    do {
      next = seen - seen / memory + (won ? whole / memory : 0);
    } while (!won_share_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    // A thread that decides on an older share is corrected by the next one.
    const double share = static_cast<double>(next) / whole, least = wins_min_.load(std::memory_order_relaxed);
    if (share < least) useless_.store(true, std::memory_order_relaxed);
    if (share >= 2 * least) useless_.store(false, std::memory_order_relaxed);
  }

  void count_start(hedge_reason why) noexcept {
    count(why == hedge_reason::delay ? hedges_ : after_failure_);
  }
  void count_withheld(hedge_withheld_by why) noexcept {
    switch (why) {
      case hedge_withheld_by::slow: return count(withheld_slow_);
      case hedge_withheld_by::useless: return count(withheld_useless_);
      case hedge_withheld_by::load: return count(withheld_load_);
      case hedge_withheld_by::chance: return count(withheld_chance_);
      case hedge_withheld_by::budget: return count(withheld_budget_);
      case hedge_withheld_by::nothing: return;
    }
  }

  hedge_totals totals() const noexcept {
    const auto value = [](const std::atomic<std::uint64_t>& c) { return c.load(std::memory_order_relaxed); };
    return {.hedges = value(hedges_),
            .after_failure = value(after_failure_),
            .wins = value(wins_),
            .withheld_slow = value(withheld_slow_),
            .withheld_useless = value(withheld_useless_),
            .withheld_load = value(withheld_load_),
            .withheld_chance = value(withheld_chance_),
            .withheld_budget = value(withheld_budget_)};
  }
  bool slow() const noexcept { return slow_.load(std::memory_order_relaxed); }
  bool useless() const noexcept { return useless_.load(std::memory_order_relaxed); }
  striped_histogram& latencies() noexcept { return latencies_; }

 private:
  static constexpr std::uint32_t whole = std::uint32_t{1} << 20;
  static constexpr std::uint32_t memory = 32;
  static constexpr double probing_share = 0.002;
  // Fewer say nothing about a share.
  static constexpr std::uint64_t least_reached = 20;

  static void count(std::atomic<std::uint64_t>& c) noexcept { c.fetch_add(1, std::memory_order_relaxed); }

  duration pause_between_looks() const noexcept {
    return std::min(latencies_.width() / 4, duration(std::chrono::milliseconds(100)));
  }

  [[gnu::noinline]] void look(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    std::int64_t due_ns = next_look_ns_.load(std::memory_order_relaxed);
    const std::int64_t next_ns = (now + pause_between_looks()).ns();
    if (now.ns() < due_ns ||
        !next_look_ns_.compare_exchange_strong(due_ns, next_ns, std::memory_order_relaxed)) {
      return;
    }
    const histogram_reading r = latencies_.read(now);
    const mutex_lock lock(mutex_);
    delay_ns_.store(delay_from(r).ns(), std::memory_order_relaxed);
    judge(r.recent, reached_.sum(now).calls);
  }

  duration delay_from(const histogram_reading& r) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (rules_.after) return *rules_.after;
    if (r.total < rules_.minimum_samples) return rules_.until_known.value_or(duration::infinite());
    return std::max(*r.quantile(rules_.quantile), rules_.after_min);
  }

  void judge(std::uint64_t calls, std::uint64_t reached) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const double share = rules_.reached_limit();
    const double limit = share * static_cast<double>(calls);
    const auto many = static_cast<double>(reached);
    if (reached >= least_reached && many >= limit) slow_.store(true, std::memory_order_relaxed);
    if (reached < least_reached / 2 || many <= limit / 2 || share >= 1.0) {
      slow_.store(false, std::memory_order_relaxed);
    }
    const double due = reached == 0 ? 1.0 : many;
    probes_.store(std::min(probing_share * static_cast<double>(calls) / due, 1.0), std::memory_order_relaxed);
  }

  striped_histogram& latencies_;
  striped_window reached_;

  // Read by every call.
  std::atomic<std::int64_t> next_look_ns_{seawall::detail::int64_min};
  std::atomic<std::int64_t> delay_ns_{seawall::detail::int64_max};
  std::atomic<std::uint32_t> max_attempts_{1};
  // Read by those that are slow or fail.
  std::atomic<double> reissue_{1.0};
  std::atomic<double> load_max_{0};
  std::atomic<double> wins_min_{0};
  std::atomic<std::int64_t> attempt_needs_ns_{0};
  std::atomic<bool> slow_{false};
  std::atomic<bool> useless_{false};
  std::atomic<double> probes_{1.0};                  // share of the calls that reach the delay
  std::atomic<std::uint32_t> won_share_{whole / 2};  // of `whole`

  std::atomic<std::uint64_t> hedges_{0}, after_failure_{0}, wins_{0};
  std::atomic<std::uint64_t> withheld_slow_{0}, withheld_useless_{0}, withheld_load_{0}, withheld_chance_{0},
      withheld_budget_{0};

  mutex mutex_;
  hedge_rules rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_HEDGE_MACHINE_HPP
