// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_GCRA_HPP
#define SEAWALL_CORE_GCRA_HPP

// The generic cell rate algorithm (ITU-T I.371, annex A): a token bucket that is one number, the time at
// which the bucket will be full again. Granting is one compare-and-exchange; nothing has to run to refill.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>

#include "seawall/time.hpp"

namespace seawall::core {

/// A rate in ticks. A tick is a part of a nanosecond, so that the time from one permit to the next is a whole
/// number.
struct gcra_rate {
  std::int64_t interval = 1;  ///< from one permit to the next
  std::int64_t depth = 1;     ///< in which an empty bucket fills: burst * interval

  friend bool operator==(const gcra_rate&, const gcra_rate&) = default;
};

/// What a tick is. Exact where `permits / gcd(permits, per in ns)` is at most 2^61 ns / `horizon` (for up to
/// a day: 26,687); elsewhere the interval is rounded up, so that the rate is never exceeded.
class gcra_scale {
 public:
  /// `horizon`: how far into the future a full bucket and a waiter may reach; at least 1 ns, at most 2^60 ns.
  gcra_scale(std::uint32_t permits, duration per, duration horizon) noexcept {
    const std::int64_t most = range / std::max(horizon.ns(), day_ns);
    const std::int64_t exact = permits / std::gcd(std::int64_t{permits}, per.ns());
    if (exact <= most) {
      // Finer than need be: room for other rates later on.
      ticks_ = exact * std::max(std::int64_t{1}, std::min(most, fine) / exact);
    } else {
      while (ticks_ <= most / 2) ticks_ *= 2;
    }
  }

  std::int64_t ticks_per_ns() const noexcept { return ticks_; }
  /// The farthest that a bucket and a waiter may reach.
  duration horizon() const noexcept { return duration::from_ns(range / ticks_); }

  /// At least 1 ns for each permit.
  std::int64_t interval(std::uint32_t permits, duration per) const noexcept {
    const std::int64_t rest = per.ns() % permits * ticks_;
    return per.ns() / permits * ticks_ + rest / permits + (rest % permits != 0 ? 1 : 0);
  }

  static constexpr std::int64_t range = std::int64_t{1} << 61;

 private:
  static constexpr std::int64_t day_ns = 86'400'000'000'000;
  static constexpr std::int64_t fine = 1024;
  std::int64_t ticks_ = 1;
};

/// Guarantees:
/// 1. Grants exactly what a token bucket of depth `depth / interval` grants, refilled continuously, in
///    rational arithmetic.
/// 2. Time never runs backwards: whoever comes with an older instant finds the bucket as the newest has left
///    it. A step far forwards finds it full, and no fuller.
/// 3. Who was given a time keeps it, whatever happens to the rate.
///
/// Thread safety: `try_take`, `take`, `take_back` and `ahead` from any thread. What changes the rate or the
/// range is serialised by the owner, and may run at the same time as those.
/// Cost: `try_take`: six loads and one compare-and-exchange.
class gcra {
 public:
  enum class said : std::uint8_t {
    granted,
    later,   ///< not by `latest`; `at` is when
    review,  ///< `now` is outside the range, or a review is due: the owner calls `cover`
  };
  struct answer {
    said what = said::later;
    std::uint32_t permits = 0;
    instant at = {};          // when the permits may be used
    std::uint64_t begin = 0;  // the full time before and after
    std::uint64_t end = 0;
  };

  gcra(const gcra_scale& scale, const gcra_rate& r) noexcept
      : ticks_(scale.ticks_per_ns()), span_ns_(gcra_scale::range / ticks_) {
    store(r);
  }

  /// The usual case, one try. False: nothing has happened, ask `take`.
  [[gnu::always_inline]] bool try_take(instant now, std::uint32_t permits, answer& a) noexcept {
    // Acquire pairs with `change`: whoever sees a full time of another range or rate sees those as well, or
    // that they are being changed.
    std::uint64_t seen = full_at_.load(std::memory_order_acquire);
    if (!covers(now)) [[unlikely]]
      return false;
    const std::int64_t cost = interval_.load(std::memory_order_acquire) * permits;
    const std::int64_t ahead = ahead_of(seen, now);
    const std::int64_t before = std::max<std::int64_t>(ahead, 0);
    if (before + cost > depth_.load(std::memory_order_acquire) ||
        -ahead >= idle_.load(std::memory_order_relaxed))
      return false;
    a = {.what = said::granted,
         .permits = permits,
         .at = now,
         .begin = at_ticks(now) + static_cast<std::uint64_t>(before)};
    a.end = a.begin + static_cast<std::uint64_t>(cost);
    // Relaxed: nothing else is published with it; what `change` has released stays released through later
    // exchanges.
    return full_at_.compare_exchange_strong(seen, a.end, std::memory_order_relaxed);
  }

  /// Takes `permits` for the first instant from `now` on at which they can be had, if that is no later than
  /// `latest`. If it is `now`, takes as many as there are up to `most`. `permits * interval` must be at most
  /// `depth`, and `latest` within the horizon.
  [[gnu::noinline]] answer take(instant now, std::uint32_t permits, std::uint32_t most,
                                instant latest) noexcept {
    for (;;) {
      std::uint64_t seen = full_at_.load(std::memory_order_acquire);
      if (!covers(now)) return {.what = said::review};
      const std::int64_t ahead = ahead_of(seen, now);
      if (-ahead >= idle_.load(std::memory_order_relaxed)) return {.what = said::review};
      const std::int64_t interval = interval_.load(std::memory_order_acquire);
      const std::int64_t room = depth_.load(std::memory_order_acquire) - std::max<std::int64_t>(ahead, 0);
      answer a = place(now, interval, room, permits, most);
      if (a.at > latest) {
        // Seen amid a change: it says nothing.
        if (full_at_.load(std::memory_order_acquire) != seen) continue;
        return a;
      }
      a.begin = at_ticks(now) + static_cast<std::uint64_t>(std::max<std::int64_t>(ahead, 0));
      a.end = a.begin + static_cast<std::uint64_t>(interval * a.permits);
      if (!full_at_.compare_exchange_weak(seen, a.end, std::memory_order_relaxed)) continue;
      a.what = said::granted;
      return a;
    }
  }

  /// As if they had never been taken: true if nothing was taken since. Else nothing has happened.
  bool take_back(std::uint64_t begin, std::uint64_t end) noexcept {
    return full_at_.compare_exchange_strong(end, begin, std::memory_order_relaxed);
  }

  /// Ticks until the bucket is full; negative: it has been full for so long. For the owner.
  std::int64_t ahead(instant now) const noexcept {
    if (!began_ || is_past(now)) return long_ago;
    return ahead_of(full_at_.load(std::memory_order_acquire), std::max(now, instant::from_ns(anchor_ns_)));
  }
  bool covers(instant now) const noexcept {
    // In this order: whoever sees a new end sees the beginning that was stored before it.
    return now.ns() < until_ns_.load(std::memory_order_acquire) &&
           now.ns() >= from_ns_.load(std::memory_order_acquire);
  }
  gcra_rate rate() const noexcept {
    return {interval_.load(std::memory_order_relaxed), depth_.load(std::memory_order_relaxed)};
  }

  // For the owner, one at a time.

  /// Moves the range to `now`. Returns the instant to go on with: `now`, or the oldest that is still told
  /// apart. `review` is when it wants to be asked again, `never()` if not.
  instant cover(instant now, instant review) noexcept {
    if (began_ && now.ns() < anchor_ns_) return instant::from_ns(anchor_ns_);
    now =
        std::min(now, instant::from_ns(seawall::detail::int64_max - 1));  // within a range: `never()` is not
    review_ = review;
    change(now, rate(), [](std::int64_t ahead) { return ahead; });
    return now;
  }

  /// From now on; the permits in the bucket stay as many, but no more than it holds. `now` must be covered.
  void set_rate(instant now, const gcra_rate& to, instant review) noexcept {
    const gcra_rate was = rate();
    review_ = review;
    if (!began_) return store(to);
    change(now, to, [&](std::int64_t ahead) { return rescaled(ahead, was, to); });
  }

  /// Nothing more is granted before `until`, and no burst then.
  void hold(instant now, instant until) noexcept {
    const gcra_rate r = rate();
    const std::int64_t least = (until - now).ns() * ticks_ + r.depth - r.interval;
    change(now, r, [least](std::int64_t ahead) { return std::max(ahead, least); });
  }

  /// A bucket with one permit, as after a cold start.
  void drain(instant now, const gcra_rate& to, instant review) noexcept {
    review_ = review;
    change(now, to, [&](std::int64_t ahead) { return std::max(ahead, to.depth - to.interval); });
  }

  /// A full bucket, whatever was given away.
  void reset(instant now) noexcept {
    began_ = false;
    cover(now, instant::never());
  }

  /// Full for so long is a reason to call `cover`.
  void set_idle(duration d) noexcept {
    idle_.store(d == duration::infinite() ? seawall::detail::int64_max : ticks_of(d),
                std::memory_order_relaxed);
  }
  bool began() const noexcept { return began_; }
  std::int64_t ticks_of(duration d) const noexcept {
    return seawall::detail::saturating_multiply(d.ns(), ticks_);
  }
  /// Rounded up.
  duration time_of(std::int64_t ticks) const noexcept {
    return duration::from_ns(ticks / ticks_ + (ticks % ticks_ > 0 ? 1 : 0));
  }

 private:
  static constexpr std::int64_t long_ago = -(std::int64_t{1} << 62);

  // Ticks since the clock's zero, modulo 2^64: only differences within the range mean something.
  std::uint64_t at_ticks(instant now) const noexcept {
    return static_cast<std::uint64_t>(now.ns()) * static_cast<std::uint64_t>(ticks_);
  }
  std::int64_t ahead_of(std::uint64_t full_at, instant now) const noexcept {
    return static_cast<std::int64_t>(full_at - at_ticks(now));
  }

  answer place(instant now, std::int64_t interval, std::int64_t room, std::uint32_t permits,
               std::uint32_t most) const noexcept {
    const std::int64_t missing = interval * permits - room;
    if (missing > 0) return {.permits = permits, .at = now + time_of(missing)};
    if (most > permits) permits = static_cast<std::uint32_t>(std::min<std::int64_t>(most, room / interval));
    return {.permits = permits, .at = now};
  }

  static std::int64_t rescaled(std::int64_t ahead, const gcra_rate& was, const gcra_rate& to) noexcept {
    const std::int64_t room = was.depth - ahead;
    if (room < 0) return to.depth - room;  // owed to waiters: the next one comes after them
    const double part = static_cast<double>(room % was.interval) / static_cast<double>(was.interval);
    const auto rest = static_cast<std::int64_t>(part * static_cast<double>(to.interval));
    const std::int64_t permits = std::min(room / was.interval, to.depth / to.interval);
    return to.depth - std::min(to.depth, permits * to.interval + std::min(rest, to.interval - 1));
  }

  // Closes the range, changes what there is, opens it again. A thread that began before it and saw any of it
  // fails at its exchange, as the full time has moved; one that comes amid it is told to see the owner, who
  // serialises.
  template <class F>
  void change(instant now, const gcra_rate& to, F&& adjusted) noexcept {
    until_ns_.store(seawall::detail::int64_min, std::memory_order_relaxed);
    std::uint64_t seen = full_at_.load(std::memory_order_relaxed);
    // Release: see `try_take`.
    while (!full_at_.compare_exchange_weak(
        seen, at_ticks(now) + static_cast<std::uint64_t>(adjusted(owed(seen, now))),
        std::memory_order_release, std::memory_order_relaxed)) {
    }
    store(to);
    began_ = true;
    // Some room for those whose instant is a little older.
    anchor_ns_ = seawall::detail::saturating_subtract(now.ns(), span_ns_ / 4);
    from_ns_.store(anchor_ns_, std::memory_order_release);
    until_ns_.store(std::min(seawall::detail::saturating_add(anchor_ns_, span_ns_), review_.ns()),
                    std::memory_order_release);
  }

  // At least 0; `now` may be after the range.
  std::int64_t owed(std::uint64_t full_at, instant now) const noexcept {
    if (!began_ || is_past(now)) return 0;
    return std::max<std::int64_t>(ahead_of(full_at, now), 0);
  }
  // A full time lies at most a range beyond the end of the range: it has passed.
  bool is_past(instant now) const noexcept {
    return seawall::detail::saturating_subtract(now.ns(), anchor_ns_) / 2 >= span_ns_;
  }

  void store(const gcra_rate& r) noexcept {
    interval_.store(r.interval, std::memory_order_release);
    depth_.store(r.depth, std::memory_order_release);
  }

  // Written by every permit. What is beside it is read with it.
  alignas(64) std::atomic<std::uint64_t> full_at_{0};
  const std::int64_t ticks_;
  std::atomic<std::int64_t> interval_{1};
  std::atomic<std::int64_t> depth_{1};
  std::atomic<std::int64_t> idle_{seawall::detail::int64_max};
  // Instants in [from, until) are told apart; until is int64_min while that changes.
  std::atomic<std::int64_t> from_ns_{0};
  std::atomic<std::int64_t> until_ns_{seawall::detail::int64_min};

  // The owner's.
  const std::int64_t span_ns_;
  std::int64_t anchor_ns_ = 0;
  instant review_ = instant::never();
  bool began_ = false;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_GCRA_HPP
