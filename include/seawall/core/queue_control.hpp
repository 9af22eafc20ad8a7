// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_QUEUE_CONTROL_HPP
#define SEAWALL_CORE_QUEUE_CONTROL_HPP

// What time does to those who wait: CoDel, patience, expiry, aging. Pure rules that are told the time and
// know nothing of what is queued, so that a queue of items and a line of waiting calls obey the same ones.

#include <cmath>
#include <cstdint>

#include "seawall/core/queue_options.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// CoDel, asked for each item that is about to be served.
///
/// Both laws act on a *standing* queue: even the least sojourn time (waiting time of an item) of an interval
/// is above the target. A burst that empties within an interval is left alone. They differ in what is
/// dropped. RFC 8289, section 5, drops one packet and then another after `interval / sqrt(n)`, which is
/// enough of a signal for TCP. Where a drop is a rejection and the senders are many who do not know of each
/// other, arrivals do not slow down: at twice the capacity that law needs 20 s to drop half of 2000 requests
/// a second, and all that is served meanwhile comes too late. `codel_law::sojourn` drops whatever has waited
/// longer than twice the target, until a whole interval has seen a short sojourn again (as `folly::Codel`;
/// Maurer, "Fail at Scale", ACM Queue 2015).
///
/// Thread safety: none of its own. Cost: a few comparisons; a square root for each drop of RFC 8289.
class controlled_delay {
 public:
  explicit controlled_delay(const codel_options& o = {}) noexcept { set(o); }

  /// What was seen is kept.
  void set(const codel_options& o) noexcept {
    target_ = o.target;
    interval_ = o.interval;
    law_ = o.law;
    on_ = o.on;
  }
  bool on() const noexcept { return on_; }
  /// A standing queue was seen, and has not been seen to go.
  bool dropping() const noexcept { return on_ && dropping_; }

  /// Whether to drop an item that has waited for `sojourn`; `last` if there is no other. `now` never goes
  /// back.
  bool drops(duration sojourn, bool last, instant now) noexcept {
    if (!on_) return false;
    return law_ == codel_law::sojourn ? by_sojourn(sojourn, last, now) : by_rfc8289(sojourn, last, now);
  }

 private:
  bool by_sojourn(duration sojourn, bool last, instant now) noexcept {
    // Behind the last there is nobody who would be served sooner without it, and what empties does not stand.
    const duration seen = last ? duration::zero() : sojourn;
    if (now >= interval_ends_) {
      dropping_ = least_ > target_;
      least_ = seen;
      interval_ends_ = now + interval_;
    } else if (seen < least_) {
      least_ = seen;
    }
    return dropping_ && seen > target_ * 2;
  }

  // The pseudocode of RFC 8289, section 5, item by item instead of until one may go.
  bool by_rfc8289(duration sojourn, bool last, instant now) noexcept {
    const bool may_drop = stands(sojourn, last, now);
    if (!may_drop) {
      dropping_ = false;
      return false;
    }
    if (!dropping_) {
      dropping_ = true;
      // It has dropped not long ago: it goes on about where it was.
      const std::uint32_t more = dropped_ - dropped_before_;
      dropped_ = more > 1 && now - drop_next_ < interval_ * 16 ? more : 1;
      dropped_before_ = dropped_;
      drop_next_ = now + pause();
      return true;
    }
    if (now < drop_next_) return false;
    ++dropped_;
    drop_next_ = drop_next_ + pause();
    return true;
  }
  bool stands(duration sojourn, bool last, instant now) noexcept {
    if (sojourn < target_ || last) {
      stands_from_ = instant::never();
      return false;
    }
    if (stands_from_ == instant::never()) stands_from_ = now + interval_;
    return now >= stands_from_;
  }
  duration pause() const noexcept {
    return duration::from_ns(static_cast<std::int64_t>(static_cast<double>(interval_.ns()) /
                                                       std::sqrt(static_cast<double>(dropped_))));
  }

  duration target_;
  duration interval_;
  bool on_ = false;
  codel_law law_ = codel_law::sojourn;
  bool dropping_ = false;
  // sojourn
  duration least_ = {};
  instant interval_ends_ = instant::from_ns(seawall::detail::int64_min);
  // rfc8289
  instant stands_from_ = instant::never();
  instant drop_next_;
  std::uint32_t dropped_ = 0;
  std::uint32_t dropped_before_ = 0;
};

/// The rules that need no memory.
///
/// Thread safety: that of a value. Cost: arithmetic.
class queue_rules {
 public:
  explicit queue_rules(const backpressure_queue_options& o = {}) noexcept
      : service_time_(o.service_time), patience_(o.patience), aging_(o.aging), share_(o.patience_share) {}

  /// From when on an item cannot meet its deadline any more. `never()` if it has none.
  instant hopeless_at(instant deadline) const noexcept { return deadline - service_time_; }

  /// When the patience of one that has waited since `since` ends: while the oldest has none left, the newest
  /// goes first. Those that have waited long will come too late whatever is done, and the newest still come
  /// in time; in the order of arrival, all would be served just too late (Maurer, "Fail at Scale", ACM Queue
  /// 2015). Relative to the deadline there is nothing to tune.
  instant patience_ends(instant since, instant deadline) const noexcept {
    if (deadline == instant::never()) return since + patience_;
    const double time = static_cast<double>((deadline - since).ns());
    return since + duration::from_ns(seawall::detail::saturating_from_double(time * share_));
  }

  /// Smaller goes first. A step of priority is worth a fixed time of waiting, hence the order of two never
  /// changes, and is that of their arrival, moved by their priority: no one's rank need be computed again as
  /// time goes by.
  instant rank(int priority, instant since) const noexcept { return since - aging_ * priority; }

 private:
  duration service_time_;
  duration patience_;
  duration aging_;
  double share_;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_QUEUE_CONTROL_HPP
