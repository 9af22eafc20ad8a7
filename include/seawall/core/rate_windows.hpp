// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_RATE_WINDOWS_HPP
#define SEAWALL_CORE_RATE_WINDOWS_HPP

// Rate limits that count in windows, as many dependencies do: fixed window, sliding window counter, sliding
// window log. Each is a place in time that only moves forwards: who asks comes after all who were given a
// time before, now or later.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "seawall/core/rate_options.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// `permits` within `per`. Exact in whole nanoseconds; the windows of all but the log are aligned to
/// multiples of `per`.
///
/// - fixed window: as many in each window.
/// - sliding counter: those in this window, and of those in the window before it the share that a window
///   ending now covers.
/// - sliding log: permit number n no earlier than `per` after permit number n - permits.
///
/// An instant older than the newest is taken for the newest.
/// Thread safety: none; the owner's mutex.
/// Cost: constant; the log: for each permit, and 16 bytes for each.
class rate_windows {
 public:
  /// `a` is not gcra; `permits` at least 1, `per` at least 1 ns for each.
  rate_windows(rate_algorithm a, std::uint32_t permits, duration per) : algorithm_(a) { set(permits, per); }

  struct answer {
    bool granted = false;
    instant at = {};           // when they may be used, or when they could have been had
    std::uint64_t number = 0;  // of what was granted, for `take_back`
  };

  /// Takes `permits`, at most all of a window, for the first instant from `now` on at which they can be had,
  /// if that is no later than `latest`.
  answer take(instant now, std::uint32_t permits, instant latest) noexcept {
    newest_ = seen(now);
    const place next = next_place(newest_, permits);
    // Whoever comes a little late with the time is not told to wait for it.
    const instant at = next.last == newest_ ? now : next.last;
    if (at > latest) return {.at = at};
    if (algorithm_ == rate_algorithm::sliding_log) write(next.last, permits);
    before_ = std::exchange(here_, next);
    can_undo_ = true;
    return {.granted = true, .at = at, .number = ++number_};
  }

  /// As if they had never been taken: true if nothing was taken since. Else nothing has happened.
  bool take_back(std::uint64_t number, std::uint32_t permits) noexcept {
    if (number != number_ || !can_undo_) return false;
    can_undo_ = false;
    here_ = before_;
    if (algorithm_ == rate_algorithm::sliding_log) written_ -= permits;
    return true;
  }

  /// Nothing more is granted before `until`.
  void hold(instant until) noexcept { held_until_ = std::max(held_until_, until); }

  /// When `permits` could be had; never before `now`.
  instant next(instant now, std::uint32_t permits) const noexcept {
    return next_place(seen(now), permits).last;
  }

  /// What could be had at once.
  std::uint32_t available(instant now) const noexcept {
    const instant at = seen(now);
    std::uint32_t least = 0, most = permits_;
    while (least < most) {
      const std::uint32_t middle = most - (most - least) / 2;
      if (next_place(at, middle).last <= at)
        least = middle;
      else
        most = middle - 1;
    }
    return least;
  }

  /// What has been counted stays counted.
  void set(std::uint32_t permits, duration per) {
    if (algorithm_ == rate_algorithm::sliding_log) resize(permits);
    permits_ = permits;
    per_ = per;
    if (here_.window != no_window) here_.window = floor_div(here_.last.ns(), per_.ns());
    can_undo_ = false;
  }

  void reset() noexcept {
    newest_ = held_until_ = long_ago;
    here_ = {};
    written_ = oldest_ = 0;
    can_undo_ = false;
  }

  /// Nothing counts any more.
  bool idle(instant now) const noexcept { return held_until_ <= now && next(now, permits_) <= now; }

 private:
  static constexpr instant long_ago = instant::from_ns(seawall::detail::int64_min);
  static constexpr std::int64_t no_window = seawall::detail::int64_min;

  // How far the permits have been given away.
  struct place {
    instant last = long_ago;          // when the newest permit may be used
    std::int64_t window = no_window;  // in which that is
    std::uint32_t count = 0;          // in that window
    std::uint32_t before = 0;         // in the one before it
  };

  // Where no window overflows: a clock that says `never()` has stopped.
  instant seen(instant now) const noexcept {
    return std::min(std::max(newest_, now), instant::from_ns(seawall::detail::int64_max / 2));
  }

  static std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b - static_cast<std::int64_t>(a % b < 0);
  }

  place next_place(instant now, std::uint32_t permits) const noexcept {
    const instant at = std::max({now, here_.last, held_until_});
    if (algorithm_ == rate_algorithm::sliding_log) return {.last = free_in_log(at, permits)};
    place p = moved_to(here_, at, floor_div(at.ns(), per_.ns()));
    // Twice at most: two windows on, nothing counts any more.
    for (;;) {
      p.last = std::max(p.last, free_in_window(p, permits));
      if (floor_div(p.last.ns(), per_.ns()) == p.window) break;
      p = moved_to(p, p.last, p.window + 1);
    }
    p.count += permits;
    return p;
  }

  static place moved_to(const place& from, instant at, std::int64_t window) noexcept {
    place p{.last = at, .window = window};
    if (window == from.window) {
      p.count = from.count;
      p.before = from.before;
    } else if (from.window != no_window && window == from.window + 1) {
      p.before = from.count;
    }
    return p;
  }

  // The first instant in the window of `p` that has room, or the end of that window.
  instant free_in_window(const place& p, std::uint32_t permits) const noexcept {
    const instant end = instant::from_ns((p.window + 1) * per_.ns());
    if (std::uint64_t{p.count} + permits > permits_) return end;
    if (algorithm_ == rate_algorithm::fixed_window) return p.last;
    const std::int64_t room = permits_ - p.count - permits, before = p.before;
    if (room >= before) return p.last;
    // before * (time left in the window) / per <= room, in integers and without overflow.
    const std::int64_t left = per_.ns() / before * room + per_.ns() % before * room / before;
    return end - duration::from_ns(left);
  }

  instant free_in_log(instant at, std::uint32_t permits) const noexcept {
    if (written_ - oldest_ + permits <= permits_) return at;
    return std::max(at, log_[(written_ + permits - permits_ - 1) % log_.size()] + per_);
  }
  void write(instant at, std::uint32_t permits) noexcept {
    for (std::uint32_t i = 0; i < permits; ++i) log_[written_++ % log_.size()] = at;
    if (written_ - oldest_ > log_.size()) oldest_ = written_ - log_.size();
  }
  // Room for as many again, so that what is taken back leaves those before it.
  void resize(std::uint32_t permits) {
    std::vector<instant> log(std::size_t{permits} * 2);
    const std::uint64_t kept = std::min<std::uint64_t>(written_ - oldest_, log.size());
    for (std::uint64_t i = 0; i < kept; ++i) log[i] = log_[(written_ - kept + i) % log_.size()];
    log_ = std::move(log);
    written_ = kept;
    oldest_ = 0;
  }

  const rate_algorithm algorithm_;
  std::uint32_t permits_ = 1;
  duration per_ = duration::from_ns(1);
  instant newest_ = long_ago;
  instant held_until_ = long_ago;
  place here_;
  place before_;  // the last permits were granted
  std::uint64_t number_ = 0;
  bool can_undo_ = false;
  // Of the log: entries oldest_ ... written_ - 1, a ring.
  std::vector<instant> log_;
  std::uint64_t written_ = 0;
  std::uint64_t oldest_ = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_RATE_WINDOWS_HPP
