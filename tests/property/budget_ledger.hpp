// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BUDGET_LEDGER_HPP
#define SEAWALL_TESTS_PROPERTY_BUDGET_LEDGER_HPP

// A retry budget that is slow and obvious: every deposit and every withdrawal with its time, in exact fractions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "property/support.hpp"

namespace property {

/// In thousandths, so that nothing is rounded.
struct ledger_rates {
  std::int64_t ratio = 0;  // of a repetition for each call
  std::int64_t floor = 0;  // of repetitions, for each window
};

class budget_ledger {
 public:
  budget_ledger(ledger_rates rates, duration width, std::int64_t buckets)
      : rates_(rates), width_(width), buckets_(buckets) {}

  void deposit(instant now) { deposits_.push_back(now); }

  bool try_withdraw(instant now) {
    if (remaining(now) == 0) return false;
    withdrawals_.push_back(now);
    return true;
  }

  std::uint64_t calls(instant now) const { return in_window(deposits_, now); }
  std::uint64_t repetitions(instant now) const { return in_window(withdrawals_, now); }
  std::uint64_t remaining(instant now) const {
    const std::int64_t left = bound_in_thousandths(now) - thousand(repetitions(now));
    return left < 0 ? 0 : static_cast<std::uint64_t>(left / 1000);
  }
  /// What the window that ends now has earned.
  std::int64_t bound_in_thousandths(instant now) const {
    return rates_.ratio * static_cast<std::int64_t>(calls(now)) + rates_.floor;
  }

  /// A bucket that changes its width: what lies in it is from then on as old as its beginning.
  void reconfigure(ledger_rates rates, duration width, instant known) {
    rates_ = rates;
    if (width == width_) return;
    for (auto* list : {&deposits_, &withdrawals_}) {
      std::erase_if(*list, [&](instant t) { return !is_in_window(t, known); });
      for (instant& t : *list) t = instant::from_ns(bucket_of(t, width_) * width_.ns());
    }
    width_ = width;
  }

 private:
  static std::int64_t thousand(std::uint64_t n) { return static_cast<std::int64_t>(n) * 1000; }

  bool is_in_window(instant t, instant now) const {
    return bucket_of(t, width_) + buckets_ > bucket_of(now, width_);
  }
  std::uint64_t in_window(const std::vector<instant>& list, instant now) const {
    return static_cast<std::uint64_t>(
        std::count_if(list.begin(), list.end(), [&](instant t) { return is_in_window(t, now); }));
  }

  ledger_rates rates_;
  duration width_;
  std::int64_t buckets_;
  std::vector<instant> deposits_;
  std::vector<instant> withdrawals_;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BUDGET_LEDGER_HPP
