// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_RATE_LEASES_HPP
#define SEAWALL_CORE_RATE_LEASES_HPP

// Permits that processors hold in advance, so that threads seldom meet at the limiter they share. One word a
// stripe: how many are left, and until when they may be used.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "seawall/core/stripe.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Guarantees, for leases of at most L permits and S stripes:
/// 1. A stripe never holds more than L. So within any time x, at most burst + rate * x + S * L permits are
///    granted, and after a quiet time as long as a lease lasts, burst + rate * x.
/// 2. At most S * L permits are held and perhaps never used at any one moment. A lease lasts for as long as 8
///    * S * L permits take to be earned: what expires unused is at most an eighth of the rate.
///
/// Thread safety: shared objects safe. Cost: `take`: one load and one compare-and-exchange on a cache line of
/// the processor's own; 128 bytes a stripe.
class rate_leases {
 public:
  static constexpr std::uint32_t most = 1000;

  /// `stripes`: a power of two, at most max_stripes; 0: there are none.
  explicit rate_leases(unsigned stripes)
      : mask_(stripes - 1), stripes_(stripes != 0 ? std::make_unique<stripe[]>(stripes) : nullptr) {}

  explicit operator bool() const noexcept { return stripes_ != nullptr; }
  unsigned stripes() const noexcept { return mask_ + 1; }

  /// One try: another thread on this processor may have come in between.
  [[gnu::always_inline]] bool take(instant now, std::uint32_t permits) noexcept {
    std::atomic<std::int64_t>& word = own();
    // Relaxed, here and below: the word is all there is.
    std::int64_t seen = word.load(std::memory_order_relaxed);
    return count_of(seen) >= permits && now.ns() < end_of(seen) &&
           word.compare_exchange_strong(seen, seen - permits, std::memory_order_relaxed);
  }

  /// Adds to what this stripe holds, never to more than `limit`, at most `most`. Usable until `end`.
  void put(instant now, std::uint32_t permits, std::uint32_t limit, instant end) noexcept {
    std::atomic<std::int64_t>& word = own();
    std::int64_t seen = word.load(std::memory_order_relaxed);
    std::int64_t next = 0;
    do {
      const std::uint32_t left = now.ns() < end_of(seen) ? count_of(seen) : 0;
      next = rounded_up(end.ns()) | std::min(left + permits, limit);
    } while (!word.compare_exchange_weak(seen, next, std::memory_order_relaxed));
  }

  /// What was taken from a lease and will not be used: to what is left of it, if that may still be used.
  void give_back(std::uint32_t permits, std::uint32_t limit) noexcept {
    std::atomic<std::int64_t>& word = own();
    std::int64_t seen = word.load(std::memory_order_relaxed);
    while (!word.compare_exchange_weak(seen, end_of(seen) | std::min(count_of(seen) + permits, limit),
                                       std::memory_order_relaxed)) {
    }
  }

  /// Nobody holds any.
  void revoke() noexcept {
    for (unsigned i = 0; i < stripes_in_use(); ++i) stripes_[i].word.store(0, std::memory_order_relaxed);
  }

  std::uint64_t held(instant now) const noexcept {
    std::uint64_t total = 0;
    for (unsigned i = 0; i < stripes_in_use(); ++i) {
      const std::int64_t seen = stripes_[i].word.load(std::memory_order_relaxed);
      if (now.ns() < end_of(seen)) total += count_of(seen);
    }
    return total;
  }

 private:
  // word: the end in ns, a multiple of 1024, plus how many are left.
  static constexpr std::int64_t count_mask = 1023;
  struct alignas(128) stripe {
    std::atomic<std::int64_t> word{0};
  };

  static std::uint32_t count_of(std::int64_t word) noexcept {
    return static_cast<std::uint32_t>(word & count_mask);
  }
  static std::int64_t end_of(std::int64_t word) noexcept { return word & ~count_mask; }
  static std::int64_t rounded_up(std::int64_t ns) noexcept {
    return seawall::detail::saturating_add(ns, count_mask) & ~count_mask;
  }
  std::atomic<std::int64_t>& own() noexcept { return stripes_[stripe_hint() & mask_].word; }
  unsigned stripes_in_use() const noexcept { return stripes_ != nullptr ? stripes() : 0; }

  const unsigned mask_;
  const std::unique_ptr<stripe[]> stripes_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_RATE_LEASES_HPP
