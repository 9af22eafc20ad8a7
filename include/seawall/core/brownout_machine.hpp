// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BROWNOUT_MACHINE_HPP
#define SEAWALL_CORE_BROWNOUT_MACHINE_HPP

// Brownout as a machine: it is told how long requests took, and says which of them get their optional
// content.

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/dimmer_law.hpp"
#include "seawall/core/ladder_machine.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/stripe.hpp"
#include "seawall/core/striped_histogram.hpp"
#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Options of a brownout.
struct brownout_options {
  /// For messages, events and metrics.
  std::string name = {};

  duration set_point = std::chrono::milliseconds(500);  ///< of the percentile: [1 ms, 1 min]
  double percentile = 0.95;                             ///< of the latencies of a period: [0.5, 0.999]

  /// How long latencies are gathered before the dimmer moves: at least the set point, at most 10 min. Short
  /// periods react fast, long ones have more to go by.
  duration period = std::chrono::seconds(1);
  /// A period with fewer latencies goes on: at least 1 / (1 - percentile), at most 1e6.
  std::uint32_t min_samples = 20;

  double dimmer_min = 0.0;  ///< share of the optional content that is always served: [0, 1]

  rejection_detail rejections = rejection_detail::full;

  /// Told when the dimmer moves. Must outlive the brownout.
  listener* events = nullptr;
};

/// What a brownout wants of a ladder.
struct brownout_drive {
  std::uint32_t level = 1;  ///< at least this level,
  double below = 0.1;       ///< once the dimmer is at most here: [0, 1)
  double above = 0.5;       ///< until it is at least here: (below, 1]
};

/// A brownout as an observer sees it.
struct brownout_snapshot {
  std::string name = {};
  double dimmer = 1.0;  ///< share of the optional content that is served
  duration set_point = {};
  duration latency = {};       ///< the percentile in the last whole period; zero before
  double slope = 0.0;          ///< of the load, in capacities for each unit of the dimmer, as estimated
  std::uint64_t periods = 0;   ///< in its life
  bool drives_ladder = false;  ///< its signal wants a level of the ladder just now
};

namespace core {

/// Durations since it was last emptied. Recording is one atomic addition; emptying loses none and counts none
/// twice.
class period_histogram {
 public:
  explicit period_histogram(unsigned stripes)
      : mask_(stripes - 1), stripes_(std::make_unique<stripe[]>(stripes)) {}

  [[gnu::always_inline]] void record(duration d) noexcept {
    stripes_[stripe_hint() & mask_].counts[bins().index_of(d)].fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t total() const noexcept {
    std::uint64_t n = 0;
    for (unsigned s = 0; s <= mask_; ++s) {
      for (const auto& c : stripes_[s].counts) n += c.load(std::memory_order_relaxed);
    }
    return n;
  }

  struct reading {
    std::array<std::uint64_t, 368> counts = {};
    std::uint64_t total = 0;

    /// What a share `p` does not exceed, as if values were spread evenly over their bin.
    duration quantile(double p) const noexcept {
      double left = p * static_cast<double>(total);
      for (unsigned i = 0; i < counts.size(); ++i) {
        const auto here = static_cast<double>(counts[i]);
        if (here > 0 && left <= here) return at(i, left / here);
        left -= here;
      }
      return at(static_cast<unsigned>(counts.size()) - 1, 1);
    }
    double share_above(duration d) const noexcept {
      const unsigned in = bins().index_of(d);
      double above = 0;
      for (unsigned i = in + 1; i < counts.size(); ++i) above += static_cast<double>(counts[i]);
      const double into =
          static_cast<double>((d - bins().begin(in)).ns()) / static_cast<double>(bins().width(in).ns());
      above += static_cast<double>(counts[in]) * (1 - std::clamp(into, 0.0, 1.0));
      return total != 0 ? above / static_cast<double>(total) : 0;
    }

   private:
    static duration at(unsigned i, double into) noexcept {
      return bins().begin(i) +
             duration::from_ns(static_cast<std::int64_t>(into * static_cast<double>(bins().width(i).ns())));
    }
  };
  reading take() noexcept {
    reading r;
    for (unsigned s = 0; s <= mask_; ++s) {
      for (std::size_t i = 0; i < r.counts.size(); ++i) {
        const std::uint64_t n = stripes_[s].counts[i].exchange(0, std::memory_order_relaxed);
        r.counts[i] += n;
        r.total += n;
      }
    }
    return r;
  }

 private:
  // From 8 us to more than a minute.
  static latency_bins bins() noexcept {
    return latency_bins(duration::from_ns(std::int64_t{1} << 13U), duration::from_ns(std::int64_t{1} << 36U));
  }
  struct alignas(128) stripe {
    std::array<std::atomic<std::uint32_t>, 368> counts = {};
  };

  const unsigned mask_;
  const std::unique_ptr<stripe[]> stripes_;
};

/// Guarantees:
/// 1. The dimmer moves at the end of a period, by the latencies of that period alone, and stays where it is
///    without any.
/// 2. At 1 nothing is drawn and all optional content is served; it is never below `dimmer_min`.
///
/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: `serve_optional`: a load, and a draw below 1; `observe`: a load and one read-modify-write; a walk
/// over 1.5 KiB a stripe and a mutex once a period.
class brownout_machine {
 public:
  /// `options` must be valid; `stripes` is a power of two.
  brownout_machine(brownout_options options, unsigned stripes)
      : name_(std::move(options.name)), seen_(stripes) {
    const mutex_lock lock(mutex_);
    apply(options);
  }

  const std::string& name() const noexcept { return name_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }
  double dimmer() const noexcept { return dimmer_.load(std::memory_order_relaxed); }

  /// Whether the next request gets its optional content. `random()` returns a random_source&; called only
  /// below 1.
  template <class Random>
  [[gnu::always_inline]] bool serve_optional(Random&& random) const {
    const double share = dimmer();
    return share >= 1 || random().unit() < share;
  }

  /// A request was answered.
  [[gnu::always_inline]] void observe(duration took, instant now) {
    seen_.record(took);
    if (now.ns() >= edge_ns_.load(std::memory_order_relaxed)) [[unlikely]]
      end_period(now);
  }

  /// From now on it says to `signal` what it wants; an empty one: to none.
  void drive(ladder_signal signal, const brownout_drive& rule) ABSL_LOCKS_EXCLUDED(mutex_) {
    auto made =
        signal ? std::make_shared<driven>(driven{.signal = std::move(signal), .rule = rule}) : nullptr;
    const mutex_lock lock(mutex_);
    driven_.swap(made);
    wants_level_ = false;
  }

  brownout_snapshot snapshot() ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    brownout_snapshot s;
    s.name = name_;
    s.dimmer = dimmer();
    s.set_point = set_point_;
    s.latency = latency_;
    s.slope = law_.slope();
    s.periods = periods_;
    s.drives_ladder = wants_level_;
    return s;
  }

  /// `options` must be valid. The dimmer and the estimated slope are kept.
  void reconfigure(const brownout_options& options) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    apply(options);
    law_.forget_latency();
  }

 private:
  struct driven {
    ladder_signal signal;
    brownout_drive rule;
    bool told = false;     // that the level is wanted; guarded by the mutex, as is
    bool telling = false;  // somebody is at it
  };
  // Ends in any case: the signal may throw.
  struct turn {
    brownout_machine& mine;
    driven& to;
    ~turn() {
      const mutex_lock lock(mine.mutex_);
      to.telling = false;
    }
  };

  [[gnu::noinline]] void end_period(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    double before = 1, after = 1;
    listener* events = nullptr;
    {
      const mutex_lock lock(mutex_);
      if (now.ns() < edge_ns_.load(std::memory_order_relaxed)) return;  // another thread was first
      const bool first = std::exchange(first_, false);
      edge_ns_.store((now + period_).ns(), std::memory_order_relaxed);
      if (first) began_ = now;
      if (first || seen_.total() < min_samples_) return;
      before = dimmer();
      after = decide(seen_.take(), now - began_);
      began_ = now;
      events = events_;
      if (driven_) wants_level_ = wants_level(after, driven_->rule);
    }
    if (events != nullptr && after != before)
      events->on(event::limit_changed{"brownout", name_, {}, before, after, "latency", now});
    tell_ladder(now);
  }

  // One thread at a time, and for the others as well: wishes that overtake each other would leave the ladder
  // with an earlier one.
  void tell_ladder(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    for (;;) {
      std::shared_ptr<driven> to;
      bool wanted = false;
      {
        const mutex_lock lock(mutex_);
        if (!driven_ || driven_->telling || driven_->told == wants_level_) return;
        to = driven_;
        wanted = to->told = wants_level_;
        to->telling = true;
      }
      const turn mine{*this, *to};
      to->signal.want(wanted ? to->rule.level : 0, wanted ? "little optional content is left" : "", now);
    }
  }

  double decide(const period_histogram::reading& r, duration lasted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    latency_ = r.quantile(percentile_);
    const auto sp = static_cast<double>(set_point_.ns());
    // After a pause the change of the latency says little about the load: no longer than two periods.
    const double length = static_cast<double>(std::min(lasted, period_ * 2).ns()) / sp;
    const double dimmer = law_.next({.latency = static_cast<double>(latency_.ns()) / sp,
                                     .above = r.share_above(set_point_),
                                     .may_be_above = 1 - percentile_,
                                     .length = length},
                                    dimmer_min_);
    dimmer_.store(dimmer, std::memory_order_relaxed);
    ++periods_;
    return dimmer;
  }
  bool wants_level(double dimmer, const brownout_drive& rule) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return wants_level_ ? dimmer < rule.above : dimmer <= rule.below;
  }

  void apply(const brownout_options& o) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    set_point_ = o.set_point;
    percentile_ = o.percentile;
    period_ = o.period;
    min_samples_ = o.min_samples;
    dimmer_min_ = o.dimmer_min;
    events_ = o.events;
    rejections_.store(o.rejections, std::memory_order_relaxed);
    if (dimmer() < o.dimmer_min) dimmer_.store(law_.raise(o.dimmer_min), std::memory_order_relaxed);
  }

  // Read by every request.
  alignas(64) std::atomic<double> dimmer_{1.0};
  std::atomic<std::int64_t> edge_ns_{seawall::detail::int64_min};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  period_histogram seen_;

  alignas(64) mutable mutex mutex_;
  dimmer_law law_ ABSL_GUARDED_BY(mutex_);
  duration set_point_ ABSL_GUARDED_BY(mutex_);
  double percentile_ ABSL_GUARDED_BY(mutex_) = 0.95;
  duration period_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t min_samples_ ABSL_GUARDED_BY(mutex_) = 20;
  double dimmer_min_ ABSL_GUARDED_BY(mutex_) = 0;
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
  instant began_ ABSL_GUARDED_BY(mutex_);
  bool first_ ABSL_GUARDED_BY(mutex_) = true;
  duration latency_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t periods_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<driven> driven_ ABSL_GUARDED_BY(mutex_);
  bool wants_level_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_BROWNOUT_MACHINE_HPP
