// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BUDGET_MACHINE_HPP
#define SEAWALL_CORE_BUDGET_MACHINE_HPP

// The ledger of a retry budget: how many calls there were lately, and how many repetitions.

#include <atomic>
#include <cmath>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/core/striped_window.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Guarantee: within any window, repetitions <= ratio * calls + floor. Counted in millionths, so that no
/// fraction is lost.
///
/// Thread safety: shared objects safe.
/// Cost: `deposit`: as `striped_window::add`. `try_withdraw`: two mutexes and a walk over the window; only
/// failures do it.
class budget_machine {
 public:
  budget_machine(duration bucket_width, unsigned buckets, unsigned stripes)
      : calls_(bucket_width, buckets, stripes), repetitions_(bucket_width, buckets, 1) {}

  /// `ratio` of the calls, plus `floor` repetitions a window.
  void set_rates(double ratio, double floor) noexcept {
    ratio_millionths_.store(static_cast<std::uint64_t>(std::llround(ratio * 1e6)), std::memory_order_relaxed);
    floor_millionths_.store(static_cast<std::uint64_t>(std::llround(floor * 1e6)), std::memory_order_relaxed);
  }
  void set_width(duration bucket_width) ABSL_LOCKS_EXCLUDED(withdrawing_) {
    const mutex_lock lock(withdrawing_);
    calls_.set_width(bucket_width);
    repetitions_.set_width(bucket_width);
  }

  /// A call begins.
  [[gnu::always_inline]] void deposit(instant now) noexcept { calls_.add(now); }

  /// May a call be repeated? If so, the repetition is entered.
  bool try_withdraw(instant now) noexcept ABSL_LOCKS_EXCLUDED(withdrawing_) {
    // Checked and entered as one step: two threads cannot spend the same balance.
    const mutex_lock lock(withdrawing_);
    if (balance_millionths(now) < million) return false;
    repetitions_.add(now);
    return true;
  }

  /// Whole repetitions that would be granted at `now`.
  std::uint64_t remaining(instant now) noexcept ABSL_LOCKS_EXCLUDED(withdrawing_) {
    const mutex_lock lock(withdrawing_);
    return balance_millionths(now) / million;
  }
  std::uint64_t calls(instant now) noexcept { return calls_.sum(now).calls; }
  std::uint64_t repetitions(instant now) noexcept { return repetitions_.sum(now).calls; }

 private:
  static constexpr std::uint64_t million = 1'000'000;

  std::uint64_t balance_millionths(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(withdrawing_) {
    const std::uint64_t earned = calls_.sum(now).calls * ratio_millionths_.load(std::memory_order_relaxed) +
                                 floor_millionths_.load(std::memory_order_relaxed);
    const std::uint64_t spent = repetitions_.sum(now).calls * million;
    return earned > spent ? earned - spent : 0;
  }

  striped_window calls_;
  striped_window repetitions_;
  std::atomic<std::uint64_t> ratio_millionths_{0};
  std::atomic<std::uint64_t> floor_millionths_{0};
  mutex withdrawing_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_BUDGET_MACHINE_HPP
