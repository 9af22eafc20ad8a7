// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_LADDER_MACHINE_HPP
#define SEAWALL_CORE_LADDER_MACHINE_HPP

// The ladder of levels of service as a machine: it is told what signals want and what people set, and says
// which level it is. Whoever asks reads one word; everything else happens under a mutex, and seldom.

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
#include "seawall/core/degradation_options.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/event.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Guarantees:
/// 1. The automatic level is never better than what any signal wants. It becomes worse at once, and better by
///    `step` levels whenever no signal has wanted it or a worse one for `hold`.
/// 2. The level is the automatic one, moved into the bounds set by hand. What is done by hand disturbs
///    nothing of what signals do: once released, the level is the one that they would have made alone.
/// 3. Steps upwards are made at the instant at which they are due, whoever asks and when: two ladders that
///    are told the same are the same, however often their level is read.
/// 4. Time never runs backwards: an instant before the latest one told is taken for that.
///
/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: `level()`: a load; `level(now)`: two; all else: a mutex and a walk over the signals.
class ladder_machine {
 public:
  static constexpr std::size_t max_levels = 16;
  static constexpr std::uint32_t no_signal = UINT32_MAX;

  /// `options` must be valid.
  explicit ladder_machine(degradation_options options)
      : name_(std::move(options.name)),
        levels_(std::move(options.levels)),
        first_read_only_(find_read_only(levels_)),
        signals_(options.max_signals),
        worst_(last()) {
    const mutex_lock lock(mutex_);
    apply(options);
  }

  const std::string& name() const noexcept { return name_; }
  const std::vector<service_level>& levels() const noexcept { return levels_; }
  std::uint32_t last() const noexcept { return static_cast<std::uint32_t>(levels_.size() - 1); }
  std::string_view level_name(std::uint32_t level) const noexcept { return levels_[level].name; }
  /// From which on nothing is written; the number of levels if there is none.
  std::uint32_t first_read_only() const noexcept { return first_read_only_; }
  std::size_t max_signals() const noexcept { return signals_.size(); }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }

  /// As last decided: steps upwards that have become due since are not made.
  [[gnu::always_inline]] std::uint32_t level() const noexcept {
    // Relaxed: nothing is published through it, and a level a moment old is as good.
    return level_.load(std::memory_order_relaxed);
  }
  [[gnu::always_inline]] std::uint32_t level(instant now) {
    if (now.ns() >= review_at_ns_.load(std::memory_order_relaxed)) [[unlikely]]
      review(now);
    return level();
  }
  /// The level for a call whose caller runs at `callers`.
  [[gnu::always_inline]] std::uint32_t level(instant now, std::uint32_t callers) {
    const std::uint32_t own = level(now);
    if (callers <= own || !heeds_callers_.load(std::memory_order_relaxed)) [[likely]]
      return own;
    return std::min(callers, last());
  }

  /// By hand: signals move it between these two, `best` <= `worst` <= `last()`.
  void bound(std::uint32_t best, std::uint32_t worst, std::string_view why, instant now)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    change(now, why.empty() ? "by hand" : "by hand: ", why, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      best_ = best;
      worst_ = worst;
    });
  }
  void release(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    change(now, "released", {}, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      best_ = 0;
      worst_ = last();
    });
  }

  /// A place for a signal, or `no_signal` if all are taken.
  std::uint32_t add_signal(std::string_view name) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    auto free = std::find_if(signals_.begin(), signals_.end(), [](const signal& s) { return !s.taken; });
    // One whose withdrawal nobody has looked at yet will do: it stays pending.
    if (free == signals_.end())
      free = std::find_if(signals_.begin(), signals_.end(), [](const signal& s) { return s.leaving; });
    if (free == signals_.end()) return no_signal;
    *free = {.name = std::string(name), .taken = true};
    return static_cast<std::uint32_t>(free - signals_.begin());
  }
  /// `level` is at most `last()`.
  void want(std::uint32_t which, std::uint32_t level, std::string_view why, instant now)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    change(now, why, {}, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      signal& s = signals_[which];
      s.why = why;
      why_ = s.name.empty() ? "a signal" : s.name;
      if (!why.empty()) why_.append(": ").append(why);
      s.wants = level;  // last: memory may be short for the texts
    });
  }
  /// Its place is free again, and its wish withdrawn when the ladder is next told the time.
  void remove_signal(std::uint32_t which) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    signals_[which].leaving = true;
    review_at_ns_.store(always_ns, std::memory_order_relaxed);
  }

  degradation_snapshot snapshot(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (now.ns() >= review_at_ns_.load(std::memory_order_relaxed)) review(now);
    const mutex_lock lock(mutex_);
    degradation_snapshot s;
    s.name = name_;
    s.level = level();
    s.level_name = levels_[s.level].name;
    s.read_only = s.level >= first_read_only_;
    s.why = last_why_;
    s.since = since_;
    s.automatic = automatic_;
    s.best = best_;
    s.worst = worst_;
    s.by_hand = best_ != 0 || worst_ != last();
    s.next_step = next_step();
    for (const signal& g : signals_) {
      if (g.taken && !g.leaving) s.signals.push_back({g.name, g.wants, g.why});
    }
    s.transitions = transitions_;
    return s;
  }

  /// `options` must be valid, with the same levels and as many signals.
  void reconfigure(const degradation_options& options) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    apply(options);
    // A shorter hold may be over by now.
    review_at_ns_.store(always_ns, std::memory_order_relaxed);
  }

 private:
  static constexpr std::int64_t never_ns = seawall::detail::int64_max;
  static constexpr std::int64_t always_ns = seawall::detail::int64_min;

  struct signal {
    std::string name = {};
    std::string why = {};
    std::uint32_t wants = 0;
    bool taken = false;
    bool leaving = false;
  };
  struct transition {
    std::uint32_t from, to;
    instant at;
  };
  /// What listeners are told once the mutex is free: steps upwards that were due, and then what was done now.
  struct news {
    listener* events = nullptr;
    transition steps[max_levels];
    std::size_t count = 0;
    std::optional<transition> done = {};
    std::string why = {};
  };

  static std::uint32_t find_read_only(const std::vector<service_level>& levels) noexcept {
    const auto first =
        std::find_if(levels.begin(), levels.end(), [](const service_level& l) { return l.read_only; });
    return static_cast<std::uint32_t>(first - levels.begin());
  }

  [[gnu::noinline]] void review(instant now) {
    change(now, recovering, {}, []() {});
  }

  // `mutate` may write `why_`, in place of the two texts.
  template <class Mutate>
  void change(instant now, std::string_view why, std::string_view more, Mutate&& mutate)
      ABSL_LOCKS_EXCLUDED(mutex_) {
    news n;
    {
      const mutex_lock lock(mutex_);
      latest_ = std::max(latest_, now);
      n.events = events_;
      step_up(n);
      for (signal& s : signals_) {
        if (s.leaving) s = {};
      }
      why_.assign(why).append(more);
      mutate();
      judge();
      step_up(n);  // at once, if there is no hold
      n.done = show(latest_);
      if (n.done) last_why_ = n.why = why_;
      review_at_ns_.store(next_step().ns(), std::memory_order_relaxed);
    }
    tell(n);
  }

  // The steps upwards that have become due.
  void step_up(news& n) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (next_step() <= latest_) {
      const instant at = next_step();
      automatic_ -= std::min(step_, automatic_ - wished());
      calm_since_ = automatic_ > wished() ? at : instant::never();
      if (const auto t = show(at)) {
        n.steps[n.count++] = *t;
        last_why_ = recovering;
      }
    }
  }
  // What signals want now.
  void judge() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint32_t wanted = wished();
    if (wanted >= automatic_) {
      automatic_ = wanted;
      calm_since_ = instant::never();
    } else if (calm_since_ == instant::never()) {
      calm_since_ = latest_;
    }
  }
  // The level becomes what the automatic one and the hand make it.
  std::optional<transition> show(instant at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint32_t from = level(), to = std::clamp(automatic_, best_, worst_);
    if (to == from) return std::nullopt;
    level_.store(to, std::memory_order_relaxed);
    since_ = at;
    ++transitions_;
    return transition{from, to, at};
  }

  std::uint32_t wished() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::uint32_t worst = 0;
    for (const signal& s : signals_) worst = std::max(worst, s.wants);
    return worst;
  }
  instant next_step() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return calm_since_ == instant::never() ? instant::never() : calm_since_ + hold_;
  }

  void tell(const news& n) const {
    if (n.events == nullptr) return;
    for (std::size_t i = 0; i < n.count; ++i) tell(*n.events, n.steps[i], recovering);
    if (n.done) tell(*n.events, *n.done, n.why);
  }
  void tell(listener& events, const transition& t, std::string_view why) const {
    events.on(
        event::state_changed{"degradation", name_, {}, level_name(t.from), level_name(t.to), why, t.at});
  }

  void apply(const degradation_options& o) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    hold_ = o.hold;
    step_ = o.step;
    events_ = o.events;
    heeds_callers_.store(o.heeds_callers, std::memory_order_relaxed);
    rejections_.store(o.rejections, std::memory_order_relaxed);
  }

  static constexpr std::string_view recovering = "recovering";

  // Read by every call, written by changes.
  alignas(64) std::atomic<std::uint32_t> level_{0};
  std::atomic<std::int64_t> review_at_ns_{never_ns};
  std::atomic<bool> heeds_callers_{false};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  const std::vector<service_level> levels_;
  const std::uint32_t first_read_only_;

  alignas(64) mutable mutex mutex_;
  std::vector<signal> signals_;  // its size never changes, what is in it is guarded
  duration hold_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t step_ ABSL_GUARDED_BY(mutex_) = 1;
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::uint32_t automatic_ ABSL_GUARDED_BY(mutex_) = 0;
  instant calm_since_ ABSL_GUARDED_BY(mutex_) = instant::never();  // no signal wants `automatic_` since then
  std::uint32_t best_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t worst_ ABSL_GUARDED_BY(mutex_);
  instant latest_ ABSL_GUARDED_BY(mutex_) = instant::from_ns(always_ns);
  std::string why_ ABSL_GUARDED_BY(mutex_);
  std::string last_why_ ABSL_GUARDED_BY(mutex_);
  instant since_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t transitions_ ABSL_GUARDED_BY(mutex_) = 0;
};

/// One wish of a ladder: "at least this level". Move-only; dropping it withdraws the wish. Must not outlive
/// the ladder.
/// Thread safety: distinct objects safe; `want` may be called from several threads, moving not.
class ladder_signal {
 public:
  ladder_signal() = default;
  ladder_signal(ladder_machine& ladder, std::string_view name)
      : ladder_(&ladder), which_(ladder.add_signal(name)) {
    if (which_ == ladder_machine::no_signal) ladder_ = nullptr;
  }
  ladder_signal(ladder_signal&& o) noexcept : ladder_(std::exchange(o.ladder_, nullptr)), which_(o.which_) {}
  ladder_signal& operator=(ladder_signal&& o) noexcept {
    if (this != &o) {
      drop();
      ladder_ = std::exchange(o.ladder_, nullptr);
      which_ = o.which_;
    }
    return *this;
  }
  ~ladder_signal() { drop(); }

  /// False: the ladder had no room for another signal, or the wish has been dropped. Wishes then change
  /// nothing.
  explicit operator bool() const noexcept { return ladder_ != nullptr; }

  /// The ladder be at least at `level` from now on; 0: this signal wants nothing. Worse than the worst level
  /// is the worst one. `why` goes into the events, after the name of the signal.
  void want(std::uint32_t level, std::string_view why, instant now) {
    if (ladder_ != nullptr) ladder_->want(which_, std::min(level, ladder_->last()), why, now);
  }

  /// Withdraws the wish; the ladder hears of it when it is next told the time.
  void drop() noexcept {
    if (auto* const l = std::exchange(ladder_, nullptr)) l->remove_signal(which_);
  }

 private:
  ladder_machine* ladder_ = nullptr;
  std::uint32_t which_ = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_LADDER_MACHINE_HPP
