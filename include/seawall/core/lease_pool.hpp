// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_LEASE_POOL_HPP
#define SEAWALL_CORE_LEASE_POOL_HPP

// What this process holds of a quota that lives elsewhere: permits that were granted to it in advance, until
// when they are good, and what it may grant by itself while the place they come from does not answer. Told
// the time; lease_keeper.hpp decides when to ask for more, and somebody with a thread carries that out.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "seawall/core/stripe.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// A part of the rate that is granted without asking anybody: GCRA (ITU-T I.371), with its bucket empty at
/// the moment from which it may be used, so that what was granted before is not granted again.
///
/// Guarantee: from that moment on, at most time / interval permits; over any stretch of it, `burst` more.
/// Thread safety: shared objects safe. Cost: one read-modify-write.
class local_share {
 public:
  /// `interval` between permits, positive; `infinite()` grants nothing. `burst` at least 1.
  constexpr local_share(duration interval, std::uint64_t burst) noexcept
      : interval_(interval), burst_(static_cast<std::int64_t>(burst)) {}

  /// Takes `permits`, in use since `from`, or returns how long to wait for them; `infinite()` if that would
  /// be in vain.
  duration take(std::uint32_t permits, instant from, instant now) noexcept {
    if (interval_ == duration::infinite()) return interval_;
    // More than the burst is granted to those who have waited for all of it.
    const duration cost = interval_ * std::int64_t{permits};
    const duration tolerance = std::max(interval_ * burst_, cost);
    // Relaxed: nothing is published through it.
    std::int64_t seen = full_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const instant full_at = std::max({instant::from_ns(seen), from + tolerance, now}) + cost;
      if (full_at - now > tolerance) return full_at - now - tolerance;
      if (full_at_ns_.compare_exchange_weak(seen, full_at.ns(), std::memory_order_relaxed))
        return duration::zero();
    }
  }
  void give_back(std::uint64_t permits) noexcept {
    full_at_ns_.fetch_sub((interval_ * static_cast<std::int64_t>(permits)).ns(), std::memory_order_relaxed);
  }

 private:
  const duration interval_;
  const std::int64_t burst_;
  std::atomic<std::int64_t> full_at_ns_{seawall::detail::int64_min};  // the theoretical arrival time
};

/// Guarantees:
/// 1. Takes never exceed deposits: a permit is in one place at any time, and whoever removes it from there
///    has it.
/// 2. Never holds more than `most`. What does not fit is handed back to the keeper, or is lost.
/// 3. Nothing is taken at or after the moment at which the lease expires.
///
/// Takes may be refused while another thread moves the last permits from stripe to stripe.
/// Thread safety: shared objects safe; the functions under "the keeper's" are one thread's.
/// Cost: `take`: two loads and one read-modify-write on a line of the processor's own; one call in some eight
/// of those that a lease is good for moves permits between the lines.
class lease_pool {
 public:
  struct answer {
    bool granted = false;
    bool ask = false;  ///< wake the keeper: said once, until it has asked
    duration retry_after = {};
  };

  /// `stripes` in 1..max_stripes, a power of two. Empty, and on its own from `local_from` on.
  lease_pool(std::uint32_t most, duration local_interval, std::uint64_t local_burst, instant local_from,
             unsigned stripes)
      : most_(most),
        local_(local_interval, local_burst),
        local_from_ns_(local_from.ns()),
        stripe_mask_(stripes - 1),
        stripes_(std::make_unique<stripe[]>(stripes)) {}

  answer take(std::uint32_t permits, instant now) noexcept {
    bool low = false;
    // Relaxed, here and below: the counts are all there is; nothing else is read on their word.
    if (now.ns() < expires_ns_.load(std::memory_order_relaxed)) [[likely]] {
      stripe& mine = own();
      if (remove(mine.left, permits)) [[likely]]
        return {.granted = true};
      if (take_from_reserve(mine, permits, low)) return {.granted = true, .ask = low && ask()};
    }
    return take_dry(permits, now);
  }

  /// Permits that were taken and will not be used. What was granted locally is settled first.
  void give_back(std::uint32_t permits) noexcept {
    std::uint64_t rest = permits;
    std::uint64_t local = locally_taken_.load(std::memory_order_relaxed);
    while (local > 0) {
      const std::uint64_t part = std::min(local, rest);
      if (!locally_taken_.compare_exchange_weak(local, local - part, std::memory_order_relaxed)) continue;
      local_.give_back(part);
      rest -= part;
      break;
    }
    if (rest > 0) put(rest);
  }

  /// Permits held, usable or not.
  std::uint64_t left() const noexcept {
    std::uint64_t sum = reserve_.load(std::memory_order_relaxed);
    for (unsigned i = 0; i <= stripe_mask_; ++i) sum += stripes_[i].left.load(std::memory_order_relaxed);
    return sum;
  }
  instant expires() const noexcept { return instant::from_ns(expires_ns_.load(std::memory_order_relaxed)); }
  /// Is a permit that is not there granted locally?
  bool local_at(instant now) const noexcept {
    return now.ns() >= local_from_ns_.load(std::memory_order_relaxed);
  }
  std::uint64_t locally_granted() const noexcept { return locally_granted_.load(std::memory_order_relaxed); }

  // The keeper's.

  /// Adds what fits and returns the rest. All that is held is good until `expires`.
  std::uint64_t deposit(std::uint64_t permits, instant expires) noexcept {
    expires_ns_.store(expires.ns(), std::memory_order_relaxed);
    const std::uint64_t rest = permits - put(permits);
    low_mark_.store(left() / 2, std::memory_order_relaxed);
    return rest;
  }
  /// Removes up to `permits` and returns how many.
  std::uint64_t withdraw(std::uint64_t permits) noexcept {
    std::uint64_t out = remove_up_to(reserve_, permits);
    for (unsigned i = 0; i <= stripe_mask_ && out < permits; ++i)
      out += remove_up_to(stripes_[i].left, permits - out);
    return out;
  }

  bool asked() const noexcept { return asked_.load(std::memory_order_relaxed); }
  void clear_asked() noexcept { asked_.store(false, std::memory_order_relaxed); }
  /// Permits that were refused since the last time; and the most that one call wanted.
  std::uint64_t collect_refused() noexcept {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i <= stripe_mask_; ++i)
      sum += stripes_[i].refused.exchange(0, std::memory_order_relaxed);
    return sum;
  }
  std::uint32_t collect_widest() noexcept { return widest_.exchange(0, std::memory_order_relaxed); }

  /// From when on what is not there is granted locally; `never()` while all is well.
  instant local_from() const noexcept {
    return instant::from_ns(local_from_ns_.load(std::memory_order_relaxed));
  }
  void allow_local(instant from) noexcept { local_from_ns_.store(from.ns(), std::memory_order_relaxed); }
  /// Permits that were granted locally and are not settled yet.
  std::uint64_t locally_taken() const noexcept { return locally_taken_.load(std::memory_order_relaxed); }
  void settle(std::uint64_t permits) noexcept { remove_up_to(locally_taken_, permits); }
  /// When there may be more; for those who are refused.
  void promise(instant more_at) noexcept { more_at_ns_.store(more_at.ns(), std::memory_order_relaxed); }

 private:
  static constexpr std::size_t line = 64;
  using count = std::atomic<std::uint64_t>;

  struct alignas(line) stripe {
    count left{0};
    count moving{0};  // from the reserve to `left`
    count refused{0};
  };

  [[gnu::always_inline]] stripe& own() noexcept { return stripes_[stripe_hint() & stripe_mask_]; }

  [[gnu::always_inline]] static bool remove(count& from, std::uint64_t permits) noexcept {
    std::uint64_t seen = from.load(std::memory_order_relaxed);
    while (seen >= permits) {
      if (from.compare_exchange_weak(seen, seen - permits, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  static std::uint64_t remove_up_to(count& from, std::uint64_t permits) noexcept {
    std::uint64_t seen = from.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t part = std::min(seen, permits);
      if (from.compare_exchange_weak(seen, seen - part, std::memory_order_relaxed)) return part;
    }
  }

  /// Moves a part of the reserve to a stripe, less `permits`; where that is too little, what lies elsewhere.
  [[gnu::noinline]] bool take_from_reserve(stripe& mine, std::uint64_t permits, bool& low) noexcept {
    std::uint64_t seen = reserve_.load(std::memory_order_relaxed);
    while (seen >= permits) {
      // Ever smaller parts (guided self-scheduling): the last permits do not lie with those who don't need
      // them.
      const std::uint64_t part = std::max(permits, seen / (4 * (std::uint64_t{stripe_mask_} + 1)));
      const std::uint64_t surplus = part - permits;
      // Announced first, so that `put` never overlooks what is on its way: release pairs with its acquire.
      mine.moving.fetch_add(surplus, std::memory_order_relaxed);
      const bool moved = reserve_.compare_exchange_weak(seen, seen - part, std::memory_order_release,
                                                        std::memory_order_relaxed);
      if (moved) mine.left.fetch_add(surplus, std::memory_order_relaxed);
      mine.moving.fetch_sub(surplus, std::memory_order_release);
      if (!moved) continue;
      low = seen - part <= low_mark_.load(std::memory_order_relaxed);
      return true;
    }
    low = true;
    std::uint64_t found = remove_up_to(reserve_, permits);
    for (unsigned i = 0; i <= stripe_mask_ && found < permits; ++i)
      found += remove_up_to(stripes_[i].left, permits - found);
    if (found == permits) return true;
    if (found > 0) put(found);
    return false;
  }

  [[gnu::noinline]] answer take_dry(std::uint32_t permits, instant now) noexcept {
    // A lease is never as large: waiting for it is in vain.
    if (permits > most_) return {.retry_after = duration::infinite()};
    duration wait = instant::from_ns(more_at_ns_.load(std::memory_order_relaxed)) - now;
    if (const instant from = local_from(); now >= from) {
      const duration local_wait = local_.take(permits, from, now);
      if (local_wait == duration::zero()) {
        locally_taken_.fetch_add(permits, std::memory_order_relaxed);
        locally_granted_.fetch_add(permits, std::memory_order_relaxed);
        return {.granted = true, .ask = ask()};
      }
      wait = wait > duration::zero() ? std::min(wait, local_wait) : local_wait;
    }
    own().refused.fetch_add(permits, std::memory_order_relaxed);
    std::uint32_t widest = widest_.load(std::memory_order_relaxed);
    while (widest < permits && !widest_.compare_exchange_weak(widest, permits, std::memory_order_relaxed)) {
    }
    return {.ask = ask(), .retry_after = std::max(wait, shortest_wait)};
  }

  /// True for one of those who find that there is little left.
  bool ask() noexcept {
    return !asked_.load(std::memory_order_relaxed) && !asked_.exchange(true, std::memory_order_relaxed);
  }

  /// Adds what fits, and returns how much that was.
  std::uint64_t put(std::uint64_t permits) noexcept {
    // Acquire pairs with `take_from_reserve`: what has left the reserve is seen in a stripe, or as moving.
    std::uint64_t seen = reserve_.load(std::memory_order_acquire);
    for (;;) {
      std::uint64_t held = seen;
      for (unsigned i = 0; i <= stripe_mask_; ++i) {
        held += stripes_[i].moving.load(std::memory_order_acquire);
        held += stripes_[i].left.load(std::memory_order_relaxed);
      }
      const std::uint64_t part =
          std::min<std::uint64_t>(permits, most_ - std::min<std::uint64_t>(held, most_));
      if (reserve_.compare_exchange_weak(seen, seen + part, std::memory_order_relaxed,
                                         std::memory_order_acquire))
        return part;
    }
  }

  // An answer that is on its way takes about this long, and a caller that comes back at once would only spin.
  static constexpr duration shortest_wait = std::chrono::milliseconds(1);

  // Read by every take, written a few times a second.
  alignas(line) std::atomic<std::int64_t> expires_ns_{seawall::detail::int64_min};
  const std::uint32_t most_;
  // When a stripe is empty, and by the keeper.
  alignas(line) count reserve_{0};  // what no stripe has yet
  count low_mark_{0};               // of the reserve: time to ask
  std::atomic<bool> asked_{false};
  std::atomic<std::uint32_t> widest_{0};
  std::atomic<std::int64_t> more_at_ns_{seawall::detail::int64_min};
  local_share local_;
  std::atomic<std::int64_t> local_from_ns_;
  count locally_taken_{0};
  count locally_granted_{0};
  const unsigned stripe_mask_;
  const std::unique_ptr<stripe[]> stripes_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_LEASE_POOL_HPP
