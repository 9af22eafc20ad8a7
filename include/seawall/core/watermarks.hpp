// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_WATERMARKS_HPP
#define SEAWALL_CORE_WATERMARKS_HPP

// When what waits has become much, and when it is no longer: two marks, so that a level between them tells
// nothing new.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "seawall/core/queue_options.hpp"

namespace seawall::core {

/// The level, and what of it has been told. Whoever crosses a mark, and hears that he is to tell it, calls
/// `next` until there is nothing to tell: so one tells at a time, and what is told last is how it is.
///
/// Thread safety: none of its own; the owner's mutex, which is not held while something is told. Cost: a few
/// comparisons.
class watermarks {
 public:
  /// Shares of the bounds; `high` 0: never high. `max_bytes` 0: no bound.
  void set(double high, double low, std::uint64_t max_items, std::uint64_t max_bytes) noexcept {
    const bool on = high > 0;
    watched_ = on || level_ == queue_level::high;
    high_items_ = on ? least_of(high, max_items) : UINT64_MAX;
    low_items_ = most_of(low, max_items);
    const bool by_bytes = on && max_bytes != 0;
    high_bytes_ = by_bytes ? least_of(high, max_bytes) : UINT64_MAX;
    low_bytes_ = by_bytes ? most_of(low, max_bytes) : UINT64_MAX;
  }
  /// Somebody has to look.
  bool watched() const noexcept { return watched_; }
  queue_level level() const noexcept { return level_; }

  /// True: whoever asks has to tell it.
  bool see(std::uint64_t items, std::uint64_t bytes) noexcept {
    if (level_ == queue_level::low) {
      if (items < high_items_ && bytes < high_bytes_) [[likely]]
        return false;
      level_ = queue_level::high;
    } else {
      if (items > low_items_ || bytes > low_bytes_) return false;
      level_ = queue_level::low;
    }
    return !std::exchange(telling_, true);
  }
  /// What to tell next; nothing if all has been told.
  std::optional<queue_level> next() noexcept {
    if (level_ == told_) {
      telling_ = false;
      return std::nullopt;
    }
    return told_ = level_;
  }

 private:
  // The least number that is at least this share, but not none, and the largest that is at most this share.
  // No number is both, for a high share and a lower one, as it would be if both were rounded the same way: it
  // would pass both marks for ever. The products are off by a rounding error, which is a whole item where
  // they should be whole numbers.
  static std::uint64_t least_of(double share, std::uint64_t bound) noexcept {
    const auto all = static_cast<double>(bound);
    const double n = std::ceil(share * all);
    return std::max<std::uint64_t>(whole((n - 1) / all >= share ? n - 1 : n), 1);
  }
  static std::uint64_t most_of(double share, std::uint64_t bound) noexcept {
    const auto all = static_cast<double>(bound);
    const double n = std::floor(share * all);
    return whole((n + 1) / all <= share ? n + 1 : n);
  }
  static std::uint64_t whole(double n) noexcept {
    return n < 18446744073709551616.0 ? static_cast<std::uint64_t>(n) : UINT64_MAX;
  }

  bool watched_ = false;
  bool telling_ = false;
  queue_level level_ = queue_level::low;
  queue_level told_ = queue_level::low;
  std::uint64_t high_items_ = UINT64_MAX;
  std::uint64_t low_items_ = 0;
  std::uint64_t high_bytes_ = UINT64_MAX;
  std::uint64_t low_bytes_ = UINT64_MAX;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_WATERMARKS_HPP
