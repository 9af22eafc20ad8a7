// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_STRIPED_PERMITS_HPP
#define SEAWALL_CORE_STRIPED_PERMITS_HPP

// A count of free permits that is exact and yet lets two processors take and give without fighting for one
// cache line. While there are plenty, each stripe holds a part of them; when one runs dry, all are gathered
// in the centre, where one word knows exactly how many are left. A refusal is only ever given there. Who
// waits for permits is another matter (bulkhead_machine).

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>

#include "seawall/core/stripe.hpp"

namespace seawall::core {

/// Permits lie in the stripes, in the centre, or with those who have taken them; none is ever anywhere else.
/// Three phases, of which the owner, under its mutex, decides:
/// - *spread*: in the stripes. Who finds too few in his own goes to the owner.
/// - *gathered*: in the centre; the stripes are closed. Too few there means too few.
/// - *held*: with the owner. Everybody must go to him; so nothing is given back past somebody who waits.
///
/// Thread safety: shared objects safe; `hold` and `let_go` under the owner's mutex.
/// Cost: taking and giving: a load and one read-modify-write, of the thread's own stripe while spread, of the
/// centre while gathered. A refusal: two loads. `hold` and `let_go`: one write a stripe, when the phase was
/// or becomes *spread*.
class striped_permits {
 public:
  enum class answer : std::uint8_t {
    done,
    refused,        ///< taking only: there are fewer, at this moment
    ask_owner,      ///< nothing has happened
    may_be_spread,  ///< giving only: done, and there have been plenty for a while; hold them and let go
  };

  /// As many stripes as leave each at least four permits of `limit`, at most `most`, a power of two. Held, at
  /// first.
  striped_permits(std::uint32_t limit, unsigned most)
      : mask_(stripes_for(limit, most) - 1),
        stripes_(mask_ != 0 ? std::make_unique<stripe[]>(mask_ + 1) : nullptr),
        words_(stripes_ ? stripes_.get() : &centre_) {}

  /// The usual case: the thread's own stripe has enough. If not, nothing has happened, and `take` decides.
  [[gnu::always_inline]] bool try_take(std::uint32_t permits) noexcept {
    auto& own = words_[stripe_hint() & mask_].word;
    std::int64_t seen = own.load(std::memory_order_relaxed);
    while (seen >= std::int64_t{permits}) {
      // Acquire: with a limit of one, what the last holder did happens before.
      if (own.compare_exchange_weak(seen, seen - permits, std::memory_order_acquire,
                                    std::memory_order_relaxed)) [[likely]]
        return true;
    }
    return false;
  }

  /// From the centre.
  answer take(std::uint32_t permits) noexcept {
    std::int64_t seen = centre_.word.load(std::memory_order_relaxed);
    do {
      if (seen < 0 || (seen & spread) != 0) return answer::ask_owner;
      if (count_of(seen) < permits) return answer::refused;
      // Acquire: see `try_take`.
    } while (!centre_.word.compare_exchange_weak(seen, seen - permits, std::memory_order_acquire,
                                                 std::memory_order_relaxed));
    return answer::done;
  }

  [[gnu::always_inline]] answer give(std::uint32_t permits) noexcept {
    auto& own = words_[stripe_hint() & mask_].word;
    std::int64_t seen = own.load(std::memory_order_relaxed);
    while (seen >= 0) {
      // Release: pairs with the acquire of whoever takes them.
      if (own.compare_exchange_weak(seen, seen + permits, std::memory_order_release,
                                    std::memory_order_relaxed)) [[likely]]
        return answer::done;
    }
    return give_to_centre(permits);
  }

  /// The owner's. Everything free that was not held yet; whoever takes or gives from now on must ask.
  [[nodiscard]] std::int64_t hold() noexcept {
    std::int64_t free = 0;
    if (is_spread_) {
      // Acquire and release: what was given to one stripe may be taken from another next time.
      for (unsigned i = 0; i <= mask_; ++i)
        free += stripes_[i].word.exchange(closed, std::memory_order_acq_rel);
      is_spread_ = false;
    }
    // Who found his stripe closed has given to the centre before this, or asks.
    const std::int64_t seen = centre_.word.exchange(closed, std::memory_order_acq_rel);
    return seen < 0 ? free : free + count_of(seen);
  }

  /// The owner's, who holds all: `free`, not negative, can be taken without asking again. Spread if there are
  /// plenty.
  void let_go(std::int64_t free) noexcept {
    is_spread_ = stripes_ != nullptr && free >= plenty_.load(std::memory_order_relaxed);
    if (!is_spread_) return centre_.word.store(free, std::memory_order_release);
    const std::int64_t each = free / (mask_ + 1);
    centre_.word.store(spread, std::memory_order_relaxed);
    for (unsigned i = 0; i <= mask_; ++i) {
      stripes_[i].word.store(i == 0 ? free - each * mask_ : each, std::memory_order_release);
    }
  }

  /// The owner's. So many free ones are worth spreading.
  void set_plenty(std::int64_t permits) noexcept { plenty_.store(permits, std::memory_order_relaxed); }

  /// Roughly: permits move while one looks.
  std::int64_t free() const noexcept {
    std::int64_t total = 0;
    for (unsigned i = 0; stripes_ && i <= mask_; ++i) {
      const std::int64_t seen = stripes_[i].word.load(std::memory_order_relaxed);
      if (seen > 0) total += seen;
    }
    const std::int64_t seen = centre_.word.load(std::memory_order_relaxed);
    return seen < 0 ? total : total + count_of(seen);
  }

 private:
  // Of a stripe: the number of free permits, or `closed`. Of the centre: the number in the low half; in the
  // high half how often permits were given back since they were gathered, up to `enough`, and `spread`; or
  // `closed` while all are held.
  struct alignas(128) stripe {
    std::atomic<std::int64_t> word{closed};
  };
  static constexpr std::int64_t closed = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t spread = std::int64_t{1} << 62;
  static constexpr std::int64_t once = std::int64_t{1} << 32;
  // Gathering and spreading cost a write to each stripe: not more often than once for so many returns.
  static constexpr std::int64_t enough = 1024;

  static std::int64_t count_of(std::int64_t word) noexcept { return word & 0xffff'ffff; }
  static unsigned stripes_for(std::uint32_t limit, unsigned most) noexcept {
    unsigned n = 1;
    while (n < most && n * 2 * 4 <= limit) n *= 2;
    return n;
  }

  [[gnu::noinline]] answer give_to_centre(std::uint32_t permits) noexcept {
    std::int64_t seen = centre_.word.load(std::memory_order_relaxed);
    bool often = false;
    std::int64_t step = 0;
    do {
      if (seen < 0) return answer::ask_owner;
      often = (seen & ~spread) / once >= enough;
      step = permits + (often || !stripes_ ? 0 : once);
      // Release: see `give`.
    } while (!centre_.word.compare_exchange_weak(seen, seen + step, std::memory_order_release,
                                                 std::memory_order_relaxed));
    const bool plenty = count_of(seen) >= plenty_.load(std::memory_order_relaxed);
    return often && plenty ? answer::may_be_spread : answer::done;
  }

  const unsigned mask_;
  std::atomic<std::int64_t> plenty_{1};
  bool is_spread_ = false;  // guarded by the owner's mutex
  const std::unique_ptr<stripe[]> stripes_;
  stripe centre_;
  stripe* const words_;  // the stripes; the centre alone where there are none
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_STRIPED_PERMITS_HPP
