// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_GATE_MACHINE_HPP
#define SEAWALL_CORE_GATE_MACHINE_HPP

// A feature gate as a machine: whether a feature is served, to whom, at which level of service, and a switch
// that ends it.

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/ladder_machine.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/rollout.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Options of a feature gate.
struct feature_gate_options {
  /// For messages, events and metrics; and part of what decides who is in a rollout: another name, other
  /// keys.
  std::string name = {};

  /// The worst level of the gate's ladder at which the feature is served: less than the number of levels.
  std::uint32_t up_to_level = 0;

  /// Share of the keys to which it is served: [0, 100]. Who is in stays in when it grows.
  double percent = 100.0;

  bool killed = false;  ///< served to nobody, whatever else is said

  rejection_detail rejections = rejection_detail::full;

  /// Told of each change. Must outlive the gate.
  listener* events = nullptr;
};

/// A gate as an observer sees it.
struct feature_gate_snapshot {
  std::string name = {};
  bool killed = false;
  double percent = 100.0;
  std::uint32_t up_to_level = 0;
  bool level_serves = true;   ///< the ladder's level is no worse than that
  std::string why = {};       ///< of the last change; empty before the first
  std::uint64_t refused = 0;  ///< calls, in its life
};

/// What a gate says.
enum class gate_answer : std::uint8_t {
  open,
  killed,
  level,    ///< the level of service is too bad for it
  rollout,  ///< the key, or the draw, is not in its share
};

constexpr std::string_view to_string(gate_answer a) noexcept {
  switch (a) {
    case gate_answer::open: return "open";
    case gate_answer::killed: return "killed";
    case gate_answer::level: return "level of service";
    case gate_answer::rollout: return "outside the rollout";
  }
  return "?";
}

namespace core {

/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: asking: two loads of the gate, those of `ladder_machine::level(now)`, and for a part of the keys a
/// hash of the key or a draw.
class gate_machine {
 public:
  /// `options` must be valid; `ladder` may be null, and outlives this.
  gate_machine(feature_gate_options options, ladder_machine* ladder)
      : name_(std::move(options.name)), ladder_(ladder) {
    const mutex_lock lock(mutex_);
    apply(options);
  }

  const std::string& name() const noexcept { return name_; }
  ladder_machine* ladder() const noexcept { return ladder_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }

  /// Before anything is asked of a key: `killed` and `level` are final, `open` means for all keys, `rollout`
  /// for some.
  [[gnu::always_inline]] gate_answer look(instant now, std::uint32_t callers = 0) {
    // Relaxed: nothing is published through these, and a state a moment old is as good.
    const std::uint64_t share = share_.load(std::memory_order_relaxed);
    if (share & killed_bit) [[unlikely]]
      return gate_answer::killed;
    if (ladder_ != nullptr && ladder_->level(now, callers) > up_to_level_.load(std::memory_order_relaxed))
        [[unlikely]]
      return gate_answer::level;
    return share == rollout_share::whole ? gate_answer::open : gate_answer::rollout;
  }
  /// Of a key that `look` leaves to it.
  bool contains(std::string_view key) const noexcept {
    return rollout_share::contains(share_.load(std::memory_order_relaxed) & ~killed_bit,
                                   rollout_place(name_, key));
  }
  /// The same share of calls that have no key.
  bool contains(random_source& random) const noexcept {
    return rollout_share::contains(share_.load(std::memory_order_relaxed) & ~killed_bit, random.next());
  }
  void refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }

  /// `percent` in [0, 100].
  void set_percent(double percent, std::string_view why, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    change(why, now, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { percent_ = percent; });
  }
  void set_killed(bool killed, std::string_view why, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    change(why, now, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { killed_ = killed; });
  }
  /// `options` must be valid.
  void reconfigure(const feature_gate_options& options, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    change("reconfigured", now, [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { apply(options); });
  }

  feature_gate_snapshot snapshot(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::uint32_t level = ladder_ != nullptr ? ladder_->level(now) : 0;
    const mutex_lock lock(mutex_);
    feature_gate_snapshot s;
    s.name = name_;
    s.killed = killed_;
    s.percent = percent_;
    s.up_to_level = up_to_level_.load(std::memory_order_relaxed);
    s.level_serves = level <= s.up_to_level;
    s.why = last_why_;
    s.refused = refused_.load(std::memory_order_relaxed);
    return s;
  }

 private:
  static constexpr std::uint64_t killed_bit = std::uint64_t{1} << 63U;

  template <class Mutate>
  void change(std::string_view why, instant now, Mutate&& mutate) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (why.empty()) why = "by hand";
    listener* events = nullptr;
    std::string from, to;
    {
      const mutex_lock lock(mutex_);
      from = state();
      mutate();
      publish();
      to = state();
      if (from == to) return;
      last_why_ = why;
      events = events_;
    }
    if (events != nullptr) events->on(event::state_changed{"feature_gate", name_, {}, from, to, why, now});
  }

  // "25% up to level 1", "killed".
  std::string state() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (killed_) return "killed";
    std::string out = to_text(percent_) + "%";
    const std::uint32_t level = up_to_level_.load(std::memory_order_relaxed);
    if (ladder_ != nullptr) out.append(" up to '").append(ladder_->level_name(level)).append("'");
    return out;
  }
  void apply(const feature_gate_options& o) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    percent_ = o.percent;
    killed_ = o.killed;
    events_ = o.events;
    up_to_level_.store(o.up_to_level, std::memory_order_relaxed);
    rejections_.store(o.rejections, std::memory_order_relaxed);
    publish();
  }
  void publish() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    share_.store(rollout_share::of_percent(percent_) | (killed_ ? killed_bit : 0), std::memory_order_relaxed);
  }

  // Read by every call.
  alignas(64) std::atomic<std::uint64_t> share_{rollout_share::whole};
  std::atomic<std::uint32_t> up_to_level_{0};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  ladder_machine* const ladder_;

  alignas(64) std::atomic<std::uint64_t> refused_{0};
  mutable mutex mutex_;
  double percent_ ABSL_GUARDED_BY(mutex_) = 100.0;
  bool killed_ ABSL_GUARDED_BY(mutex_) = false;
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::string last_why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_GATE_MACHINE_HPP
