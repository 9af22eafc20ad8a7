// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_RATE_MACHINE_HPP
#define SEAWALL_CORE_RATE_MACHINE_HPP

// The rate limiter as a machine: it is told who wants permits and when, and says from when on they may be
// used. GCRA and leases decide without a lock; what is rare (returned reservations, changes of the rate) and
// the algorithms that count in windows happen under one mutex.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/gcra.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/rate_leases.hpp"
#include "seawall/core/rate_options.hpp"
#include "seawall/core/rate_windows.hpp"
#include "seawall/event.hpp"
#include "seawall/quota.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall::core {

/// Guarantees:
/// 1. Whoever is given a time keeps it: what comes later, a lower rate included, does not move it.
/// 2. What is not used and given back before its time goes to the next caller that it serves, at that same
///    time; if nobody was given permits since, it is as if it had never been taken.
/// 3. A refusal is immediate: nobody waits for what cannot be had in time.
///
/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: granting at once with gcra: seven loads and one compare-and-exchange; from a lease: see
/// `rate_leases`. A refusal by gcra: loads alone. The rest: a mutex.
class rate_machine {
 public:
  enum class origin : std::uint8_t { nowhere, gcra, lease, window, quota };

  /// What was granted. Plain data.
  struct held {
    instant at = {};          // from when on it may be used
    std::uint64_t begin = 0;  // of gcra: the full time before and after; of windows: `end` is its number
    std::uint64_t end = 0;
    std::uint32_t permits = 0;
    origin from = origin::nowhere;
    bool waits = false;  // counted among those who wait
  };

  struct admission {
    enum class kind : std::uint8_t {
      granted,
      ask_again,  // a shared quota: at `what.at`; it counts as waiting until then
      rejected,
    };

    kind how = kind::granted;
    reason why = reason::none;
    bool ever = true;  // false: more than there can be at once
    held what = {};
    duration retry_after = verdict::no_pushback();  // of a refusal: when it could be had
    instant latest = {};                            // of `ask_again`: not beyond
  };

  /// `options` must be valid; `stripes` as in `rate_leases`, at least 1.
  rate_machine(rate_limiter_options options, unsigned stripes, std::string key = {})
      : name_(std::move(options.name)),
        key_(std::move(key)),
        algorithm_(options.algorithm),
        quota_(options.quota),
        straight_(quota_ == nullptr && algorithm_ == rate_algorithm::gcra),
        scale_(options.permits, options.per, horizon_of(options)),
        gcra_(scale_, {}),
        leases_(options.lease > 1 ? stripes : 0) {
    options.name.clear();
    const mutex_lock lock(mutex_);
    if (algorithm_ != rate_algorithm::gcra && quota_ == nullptr)
      windows_.emplace(algorithm_, options.permits, options.per);
    apply(std::move(options), instant());
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }
  bool heeds_pushback() const noexcept { return heeds_pushback_.load(std::memory_order_relaxed); }

  /// How far into the future full buckets and waiters reach, at the smallest share of the rate.
  static duration horizon_of(const rate_limiter_options& o) noexcept {
    const double refill = static_cast<double>(o.per.ns()) / o.permits * o.depth() / o.smallest_share();
    // A little more, for what is rounded.
    return duration::from_ns(seawall::detail::saturating_from_double(refill * 1.001)) + o.max_wait +
           o.pushback.pause_max + std::chrono::milliseconds(1);
  }
  /// Fixed, since the ticks are.
  duration horizon() const noexcept { return scale_.horizon(); }

  /// Grants at once, in the usual case; else nothing has happened, and `take` decides.
  [[gnu::always_inline]] bool take_straight(instant now, std::uint32_t permits, held& h) noexcept {
    if (permits > burst_.load(std::memory_order_relaxed)) [[unlikely]]
      return false;
    if (leases_) {
      h.permits = permits;
      h.from = origin::lease;
      return leases_.take(now, permits);
    }
    gcra::answer a;
    if (!straight_ || !gcra_.try_take(now, permits, a)) return false;
    h = {.at = now, .begin = a.begin, .end = a.end, .permits = permits, .from = origin::gcra};
    return true;
  }

  /// Now or not at all.
  admission take(instant now, std::uint32_t permits) noexcept { return seek(now, permits, now); }

  /// Now, or later within `max_wait` and before `deadline`. A grant whose time is later than `now` counts as
  /// waiting until it is `used` or given back.
  admission reserve(instant now, std::uint32_t permits, instant deadline) noexcept {
    admission a = seek(now, permits, now);
    const duration longest = duration::from_ns(max_wait_ns_.load(std::memory_order_relaxed));
    if (a.how == admission::kind::granted || longest == duration::zero() || a.retry_after < duration::zero())
      return a;
    const instant latest = std::min(now + longest, deadline - duration::from_ns(1));
    if (now + a.retry_after > latest) return rejected(reason::wait_timed_out, a.retry_after);
    if (!join_waiters()) return rejected(reason::queue_full, a.retry_after);
    if (quota_ != nullptr) {
      a.how = admission::kind::ask_again;
      a.what = {.at = now + a.retry_after, .permits = permits, .waits = true};
      a.latest = latest;
      return a;
    }
    a = seek(now, permits, latest);
    a.what.waits = a.how == admission::kind::granted && a.what.at > now;
    if (!a.what.waits) leave_waiters();
    if (a.how == admission::kind::rejected) a.why = reason::wait_timed_out;
    return a;
  }

  /// After `ask_again`, once its time has come.
  admission reserve_again(instant now, held& waiting, instant latest) noexcept {
    admission a = ask_quota(now, waiting.permits);
    if (a.how == admission::kind::rejected && a.retry_after >= duration::zero() &&
        now + a.retry_after <= latest) {
      a.how = admission::kind::ask_again;
      waiting.at = now + a.retry_after;
      a.latest = latest;
      a.what = waiting;
      return a;
    }
    used(waiting);
    if (a.how == admission::kind::rejected) a.why = reason::wait_timed_out;
    return a;
  }

  /// The holder acts: it waits no longer.
  void used(held& h) noexcept {
    if (std::exchange(h.waits, false)) leave_waiters();
  }

  /// It will not be used.
  void give_back(held& h, instant now) noexcept {
    const bool waited = h.waits;
    used(h);
    switch (std::exchange(h.from, origin::nowhere)) {
      case origin::nowhere: return;
      case origin::lease: return leases_.give_back(h.permits, lease_.load(std::memory_order_relaxed));
      case origin::quota: return quota_->give_back(h.permits, now);
      case origin::gcra:
      case origin::window: return take_back(h, waited);
    }
  }

  /// An attempt ended with pushback; `wish` is negative if no time was said.
  void pushed_back(instant now, duration wish) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    news told;
    {
      const mutex_lock lock(mutex_);
      const duration pause = std::min(wish, options_.pushback.pause_max);
      if (windows_) {
        if (pause > duration::zero()) windows_->hold(now + pause);
      } else {
        now = covered(now);
        pass_time(now, told);
        if (options_.slows()) slow_down(now, told);
        if (pause > duration::zero()) gcra_.hold(now, now + pause);
      }
      if (pause > duration::zero()) {
        leases_.revoke();
        told.add(rate_now(), 0, "pause");
      }
      ++pushbacks_;
      told.to = options_.events;
    }
    tell(told, now);
  }

  /// Nothing would be lost by forgetting it.
  bool idle(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (quota_ != nullptr) return waiting_.load(std::memory_order_relaxed) == 0;
    const bool full = windows_ ? windows_->idle(now) : gcra_.ahead(now) <= 0 && share_ == 1.0;
    return full && waiting_.load(std::memory_order_relaxed) == 0;
  }

  /// Forgets what was granted, and what the dependency asked for. Those who wait keep their times.
  void reset(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    forget_returned();
    leases_.revoke();
    if (windows_) return windows_->reset();
    share_ = 1.0;
    next_step_ = instant::never();
    gcra_.reset(now);
    gcra_.set_rate(now, rate_of(options_), next_step_);
  }

  rate_limiter_snapshot snapshot(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    rate_limiter_snapshot s;
    s.name = name_;
    s.rate_per_second = rate_now();
    s.share = share_;
    s.leased = leases_.held(now);
    s.waiting = waiting_.load(std::memory_order_relaxed);
    s.pushbacks = pushbacks_;
    if (windows_) {
      s.available = windows_->available(now);
      if (s.available == 0) s.next_in = windows_->next(now, 1) - now;
    } else if (quota_ == nullptr) {
      const gcra_rate r = gcra_.rate();
      const std::int64_t room = r.depth - std::max<std::int64_t>(gcra_.ahead(now), 0);
      s.available = static_cast<std::uint64_t>(std::max<std::int64_t>(room, 0) / r.interval);
      if (s.available == 0) s.next_in = gcra_.time_of(r.interval - room);
    }
    return s;
  }

  /// `options` must be valid, with the same algorithm, quota and lease (or both more than 1), within the
  /// horizon. Permits in the bucket and times given are kept; a rate that was lowered starts over.
  void reconfigure(rate_limiter_options options, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    options.name.clear();
    apply(std::move(options), now);
  }
  rate_limiter_options options() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    return options_;
  }

 private:
  /// Returned before its time: somebody else may have it.
  struct returned {
    instant at;
    std::uint64_t begin;
    std::uint64_t end;
    std::uint32_t permits;

    // `end` is modular: its order is that of the differences.
    friend bool operator<(const returned& a, const returned& b) noexcept {
      return a.at != b.at ? a.at < b.at : static_cast<std::int64_t>(a.end - b.end) < 0;
    }
  };

  // What listeners are told when the mutex is free again.
  struct news {
    struct change {
      double from;
      double to;
      std::string_view why;
    };
    void add(double was, double is, std::string_view why) noexcept { changes[count++] = {was, is, why}; }

    change changes[3] = {};
    std::size_t count = 0;
    listener* to = nullptr;
  };
  void tell(const news& n, instant now) const noexcept {
    if (n.to == nullptr) return;
    for (std::size_t i = 0; i < n.count; ++i) {
      const auto& c = n.changes[i];
      n.to->on(event::limit_changed{"rate_limiter", name_, key_, c.from, c.to, c.why, now});
    }
  }

  static admission rejected(reason why, duration retry_after = verdict::no_pushback()) noexcept {
    return {.how = admission::kind::rejected, .why = why, .retry_after = retry_after};
  }
  static admission granted(const held& h) noexcept { return {.what = h}; }
  static duration until(instant at, instant now) noexcept { return std::max(at - now, duration::zero()); }

  // Admission.

  admission seek(instant now, std::uint32_t permits, instant latest) noexcept {
    if (now == instant::never()) return rejected(reason::limit_reached);
    // More than there can ever be at once: no time to wait for.
    if (permits > burst_.load(std::memory_order_relaxed))
      return {.how = admission::kind::rejected, .why = reason::limit_reached, .ever = false};
    if (quota_ != nullptr) return ask_quota(now, permits);
    if (leases_ && latest == now && leases_.take(now, permits))
      return granted({.at = now, .permits = permits, .from = origin::lease});
    instant freed = instant::never();
    if (returned_count_.load(std::memory_order_relaxed) != 0) {
      if (auto again = claim(now, permits, latest, freed)) return granted(*again);
    }
    admission a = algorithm_ == rate_algorithm::gcra ? seek_gcra(now, permits, latest)
                                                     : seek_window(now, permits, latest);
    if (a.how == admission::kind::rejected) a.retry_after = std::min(a.retry_after, until(freed, now));
    return a;
  }

  admission ask_quota(instant now, std::uint32_t permits) noexcept {
    const quota_answer a = quota_->take(permits, now);
    if (a.granted) return granted({.at = now, .permits = permits, .from = origin::quota});
    return rejected(reason::limit_reached, a.retry_after);
  }

  admission seek_gcra(instant now, std::uint32_t permits, instant latest) noexcept {
    const bool leases = leases_ && latest == now;
    const std::uint32_t most = leases ? lease_.load(std::memory_order_relaxed) + permits : permits;
    instant t = now;
    gcra::answer a = gcra_.take(t, permits, most, latest);
    for (; a.what == gcra::said::review; a = gcra_.take(t, permits, most, latest)) t = review(t);
    if (a.what == gcra::said::later) return rejected(reason::limit_reached, until(a.at, now));
    if (!leases)
      return granted({.at = a.at, .begin = a.begin, .end = a.end, .permits = permits, .from = origin::gcra});
    if (a.permits > permits)
      leases_.put(now, a.permits - permits, lease_.load(std::memory_order_relaxed), now + lease_time());
    return granted({.at = a.at, .permits = permits, .from = origin::lease});
  }

  admission seek_window(instant now, std::uint32_t permits, instant latest) noexcept
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    const rate_windows::answer a = windows_->take(now, permits, latest);
    if (!a.granted) return rejected(reason::limit_reached, until(a.at, now));
    return granted({.at = a.at, .end = a.number, .permits = permits, .from = origin::window});
  }

  duration lease_time() const noexcept {
    const std::int64_t permits =
        std::int64_t{8} * leases_.stripes() * (lease_.load(std::memory_order_relaxed) + 1);
    return gcra_.time_of(seawall::detail::saturating_multiply(gcra_.rate().interval, permits));
  }

  bool join_waiters() noexcept {
    if (waiting_.fetch_add(1, std::memory_order_relaxed) < max_waiting_.load(std::memory_order_relaxed))
      return true;
    leave_waiters();
    return false;
  }
  void leave_waiters() noexcept { waiting_.fetch_sub(1, std::memory_order_relaxed); }

  // Returned permits.

  void take_back(const held& h, bool waited) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (windows_ ? windows_->take_back(h.end, h.permits) : gcra_.take_back(h.begin, h.end))
      return unwind(h.begin);
    // Permits whose time had come when they were granted are lost: those after them have been placed.
    if (!waited || returned_.size() == returned_.capacity()) return;
    const returned r{h.at, h.begin, h.end, h.permits};
    returned_.insert(std::upper_bound(returned_.begin(), returned_.end(), r), r);
    count_returned();
  }

  // Those that were returned earlier, and are the last now.
  void unwind(std::uint64_t end) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (!windows_ && !returned_.empty() && returned_.back().end == end &&
           gcra_.take_back(returned_.back().begin, end)) {
      end = returned_.back().begin;
      returned_.pop_back();
    }
    count_returned();
  }

  // `first_at`: when there is one that would do.
  std::optional<held> claim(instant now, std::uint32_t permits, instant latest, instant& first_at) noexcept
      ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    const auto over =
        std::find_if(returned_.begin(), returned_.end(), [now](const returned& r) { return r.at >= now; });
    returned_.erase(returned_.begin(), over);
    count_returned();
    const auto first = std::find_if(returned_.begin(), returned_.end(),
                                    [permits](const returned& r) { return r.permits >= permits; });
    if (first == returned_.end()) return std::nullopt;
    first_at = first->at;
    if (first->at > latest) return std::nullopt;
    held h{.at = first->at,
           .begin = first->begin,
           .end = first->end,
           .permits = permits,
           .from = windows_ ? origin::window : origin::gcra};
    if (!windows_) h.end = h.begin + (h.end - h.begin) / first->permits * permits;
    first->begin = h.end;
    first->permits -= permits;
    if (first->permits == 0) returned_.erase(first);
    count_returned();
    return h;
  }

  void forget_returned() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    returned_.clear();
    count_returned();
  }
  void count_returned() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    returned_count_.store(static_cast<std::uint32_t>(returned_.size()), std::memory_order_relaxed);
  }

  // The rate.

  // What `gcra` asks for. Returns the instant to go on with.
  instant review(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    news told;
    {
      const mutex_lock lock(mutex_);
      now = covered(now);
      pass_time(now, told);
      told.to = options_.events;
    }
    tell(told, now);
    return now;
  }

  instant covered(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    cold_ = options_.warms_up() && -gcra_.ahead(now) >= gcra_.ticks_of(options_.warm_up.length);
    return gcra_.covers(now) ? now : gcra_.cover(now, next_step_);
  }

  // What time alone brings about.
  void pass_time(instant now, news& told) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (cold_) {
      cold_ = false;
      const double was = rate_now();
      begin_ramp(now, options_.warm_up.initial_share, options_.warm_up.length);
      gcra_.drain(now, rate_of(options_), next_step_);
      told.add(was, rate_now(), "cold start");
    } else if (share_ < 1.0 && now >= next_step_) {
      const double was = rate_now();
      step(now);
      gcra_.set_rate(now, rate_of(options_), next_step_);
      told.add(was, rate_now(), "recovery");
    }
  }

  void slow_down(instant now, news& told) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto& rules = options_.pushback;
    if (now < may_slow_at_) return;
    may_slow_at_ = now + rules.recovery / steps;
    const double was = rate_now();
    // A share that is smaller already, as after a cold start, stays.
    const double least = std::min(share_, rules.least_share);
    begin_ramp(now, std::max(share_ * rules.slow_to, least), rules.recovery);
    gcra_.set_rate(now, rate_of(options_), next_step_);
    told.add(was, rate_now(), "pushback");
  }

  // The share of the rate grows in so many steps.
  static constexpr int steps = 16;

  void begin_ramp(instant now, double share, duration length) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    share_ = ramp_from_ = share;
    ramp_began_ = now;
    ramp_step_ = length / steps;
    next_step_ = now + ramp_step_;
  }
  void step(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t done = std::min<std::int64_t>((now - ramp_began_).ns() / ramp_step_.ns(), steps);
    share_ = ramp_from_ + (1.0 - ramp_from_) * static_cast<double>(done) / steps;
    next_step_ = ramp_began_ + ramp_step_ * (done + 1);
    if (done < steps) return;
    share_ = 1.0;
    next_step_ = instant::never();
  }

  gcra_rate rate_of(const rate_limiter_options& o) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::int64_t interval = scale_.interval(o.permits, o.per);
    if (share_ < 1.0)
      interval = seawall::detail::saturating_from_double(static_cast<double>(interval) / share_);
    return {interval, interval * o.depth()};
  }
  double rate_now() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return options_.permits / options_.per.seconds() * share_;
  }

  void apply(rate_limiter_options options, instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // Room for all that may be returned now, so that returning does not allocate.
    if (options.max_wait > duration::zero()) returned_.reserve(options.max_waiting);
    if (windows_) {
      windows_->set(options.permits, options.per);
    } else if (quota_ == nullptr) {
      share_ = 1.0;
      next_step_ = instant::never();
      if (gcra_.began()) now = gcra_.covers(now) ? now : gcra_.cover(now, next_step_);
      gcra_.set_rate(now, rate_of(options), next_step_);
      gcra_.set_idle(options.warms_up() ? options.warm_up.length : duration::infinite());
    }
    burst_.store(options.depth(), std::memory_order_relaxed);
    lease_.store(options.lease - 1, std::memory_order_relaxed);
    max_wait_ns_.store(options.max_wait.ns(), std::memory_order_relaxed);
    max_waiting_.store(options.max_waiting, std::memory_order_relaxed);
    heeds_pushback_.store(options.slows() || options.pushback.pause_max > duration::zero(),
                          std::memory_order_relaxed);
    rejections_.store(options.rejections, std::memory_order_relaxed);
    options_ = std::move(options);
  }

  const std::string name_;
  const std::string key_;
  const rate_algorithm algorithm_;
  quota_source* const quota_;
  const bool straight_;  // gcra alone decides
  const gcra_scale scale_;
  std::atomic<std::uint32_t> burst_{1};
  std::atomic<std::uint32_t> lease_{0};  // that a stripe holds at most, the one used at once left out
  std::atomic<std::int64_t> max_wait_ns_{0};
  std::atomic<std::uint32_t> max_waiting_{0};
  std::atomic<std::uint32_t> returned_count_{0};
  std::atomic<bool> heeds_pushback_{false};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  gcra gcra_;
  rate_leases leases_;
  std::atomic<std::uint32_t> waiting_{0};

  mutable mutex mutex_;
  rate_limiter_options options_ ABSL_GUARDED_BY(mutex_);
  std::optional<rate_windows> windows_;  // there or not for life; guarded by mutex_
  std::vector<returned> returned_ ABSL_GUARDED_BY(mutex_);
  double share_ ABSL_GUARDED_BY(mutex_) = 1.0;
  double ramp_from_ ABSL_GUARDED_BY(mutex_) = 1.0;
  instant ramp_began_ ABSL_GUARDED_BY(mutex_);
  duration ramp_step_ ABSL_GUARDED_BY(mutex_);
  instant next_step_ ABSL_GUARDED_BY(mutex_) = instant::never();
  instant may_slow_at_ ABSL_GUARDED_BY(mutex_) = instant::from_ns(seawall::detail::int64_min);
  bool cold_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t pushbacks_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_RATE_MACHINE_HPP
