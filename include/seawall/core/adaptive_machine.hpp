// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_ADAPTIVE_MACHINE_HPP
#define SEAWALL_CORE_ADAPTIVE_MACHINE_HPP

// A limit on calls in flight that finds its own value, as a machine: it is told when calls begin and how they
// end. The count is exact and lock-free; what a call teaches is entered under a mutex that nobody waits for.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "seawall/core/knee_law.hpp"
#include "seawall/core/limit_laws.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/watched_room.hpp"
#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// The law by which an adaptive limit moves.
using limit_algorithm = std::variant<knee_limit, aimd_limit, vegas_limit, gradient2_limit>;

/// Nothing here has to be set. See docs/adaptive_limit.md.
struct adaptive_limit_options {
  std::string name = {};
  limit_algorithm algorithm = knee_limit{};  ///< the law; fixed for life
  /// Safety bounds, not tuning: [1, 1e6], `min_limit` <= `max_limit`.
  std::uint32_t min_limit = 1;
  std::uint32_t max_limit = 10'000;
  /// Where to begin, within the bounds; 0: 4, from where `knee_limit` doubles, and 20 for the others, as
  /// published.
  std::uint32_t initial_limit = 0;
  /// A share of the limit that is kept for calls whose priority is at least `reserved_from`: [0, 0.9]. The
  /// others are admitted while fewer than the rest of the limit, but at least one, are in flight.
  double reserved_share = 0.0;
  int reserved_from = 1;
  rejection_detail rejections = rejection_detail::full;
  listener* events = nullptr;  ///< outlives the limit
};

/// What an adaptive limit knows.
struct adaptive_limit_snapshot {
  std::string name = {};
  std::uint32_t limit = 0;                                ///< in force
  double settled_limit = 0;                               ///< the same without probes, and before rounding
  std::uint32_t in_flight = 0;                            ///< may exceed a limit that has just fallen
  core::limit_phase phase = core::limit_phase::cruising;  ///< of `knee_limit`
  duration latency =
      {};  ///< mean of the last window at the limit (`knee_limit`), or of the last call; 0: not known
  duration baseline = {};     ///< what it is compared with; 0: none
  std::uint64_t windows = 0;  ///< that have ended (`knee_limit`), or calls that have been looked at
};

namespace core {

/// Guarantees:
/// 1. No call is admitted while as many are in flight as the limit says, whatever the concurrency.
/// 2. A call that is released frees its place and teaches nothing.
/// 3. The limit stays within its bounds, and does not grow while less than half of it is used.
///
/// Thread safety: shared objects safe. Listeners: see `listener`.
/// Cost: admitting: a load and a read-modify-write; rejecting: a load; settling: a read-modify-write, and a
/// mutex that is only tried: a call that finds it taken is not a sample.
class adaptive_machine {
 public:
  /// `options` must be valid.
  adaptive_machine(adaptive_limit_options options, std::string key)
      : name_(std::move(options.name)),
        key_(std::move(key)),
        algorithm_(options.algorithm.index()),
        law_(make(options)) {
    const mutex_lock lock(mutex_);
    apply(options);
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }

  [[gnu::always_inline]] bool try_acquire(int priority) noexcept { return room_.try_take(priority); }

  /// A call that began at `begun` has ended like this.
  void settle(instant begun, const verdict& v, instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    limit_sample s{.now = now,
                   .latency = static_cast<double>((now - begun).ns()),
                   .in_flight = static_cast<double>(room_.put_back())};
    if (s.latency >= 0 && classify(v, s.how)) try_to_learn(s);
    room_.tell(now);  // of the place, and of those that have been added
  }

  void release(instant now = watched_room::time_unknown()) noexcept { room_.give(now); }

  /// Where calls may wait for a place; see core/admission_machine.hpp.
  watched_room& room() noexcept { return room_; }

  adaptive_limit_snapshot snapshot() const ABSL_LOCKS_EXCLUDED(mutex_) {
    limit_law_view seen;
    {
      const mutex_lock lock(mutex_);
      seen = std::visit([](const auto& law) { return law.view(); }, law_);
    }
    return {.name = name_,
            .limit = room_.places(),
            .settled_limit = seen.settled,
            .in_flight = room_.taken(),
            .phase = seen.phase,
            .latency = duration::from_ns(static_cast<std::int64_t>(seen.latency)),
            .baseline = duration::from_ns(static_cast<std::int64_t>(seen.baseline)),
            .windows = seen.windows};
  }

  /// `options` must be valid, with the same algorithm.
  void reconfigure(const adaptive_limit_options& options) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      const mutex_lock lock(mutex_);
      apply(options);
    }
    room_.tell(watched_room::time_unknown());
  }
  /// Nothing is in flight, and what was learned is a minute old: it is found again in a few windows.
  bool idle(instant now) const noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    return room_.taken() == 0 && (!learned_ || now - last_ >= forgettable);
  }
  /// Which alternative of `limit_algorithm`.
  std::size_t algorithm() const noexcept { return algorithm_; }

 private:
  using any_law = std::variant<knee_law, aimd_law, vegas_law, gradient2_law>;

  static constexpr duration forgettable = std::chrono::minutes(1);

  struct change {
    std::uint32_t from = 0, to = 0;
    std::string_view why = {};
  };

  static any_law make(const adaptive_limit_options& o) {
    const limit_bounds b{static_cast<double>(o.min_limit), static_cast<double>(o.max_limit)};
    const bool own = std::holds_alternative<knee_limit>(o.algorithm);
    const double initial = b.clamp(o.initial_limit != 0 ? o.initial_limit : own ? 4.0 : 20.0);
    struct maker {
      double initial;
      limit_bounds b;
      any_law operator()(const knee_limit&) const { return knee_law(initial, b); }
      any_law operator()(const aimd_limit& a) const { return aimd_law(a, initial, b); }
      any_law operator()(const vegas_limit& a) const { return vegas_law(a, initial, b); }
      any_law operator()(const gradient2_limit& a) const { return gradient2_law(a, initial, b); }
    };
    return std::visit(maker{initial, b}, o.algorithm);
  }

  // False if it says nothing about how much the dependency can do.
  static bool classify(const verdict& v, limit_sample::kind& how) noexcept {
    if (v.has_pushback() || (v.health == health::silent && v.again == again::if_idempotent)) {
      // Pushback that was made on this side, by a breaker's open time or a limit's, was not the dependency's.
      if (v.health == health::silent && v.again == again::always) return false;
      how = limit_sample::kind::overloaded;
      return true;
    }
    if (v.health == health::silent) return false;
    how = v.health == health::healthy && !v.slow ? limit_sample::kind::answered : limit_sample::kind::failed;
    return true;
  }

  void try_to_learn(limit_sample& s) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (!mutex_.try_lock()) return;
    const change c = learn(s);
    listener* const events = events_;
    mutex_.unlock();
    if (c.from != c.to) [[unlikely]]
      tell(events, c, s.now);
  }

  change learn(limit_sample& s) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint32_t before = room_.places();
    s.room = static_cast<double>(room_.low());
    std::visit([&](auto& law) { law.add(s); }, law_);
    learned_ = true;
    last_ = s.now;
    publish();
    const std::uint32_t after = room_.places();
    if (before == after) return {};
    return {before, after, std::visit([](const auto& law) { return law.why(); }, law_)};
  }

  void publish() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const double limit = std::visit([](const auto& law) { return law.limit(); }, law_);
    const double low = std::max(1.0, std::floor(limit * (1 - reserved_share_)));
    room_.set(static_cast<std::uint32_t>(limit), static_cast<std::uint32_t>(low));
  }

  void apply(const adaptive_limit_options& o) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reserved_share_ = o.reserved_share;
    room_.set_reserved_from(o.reserved_from);
    rejections_.store(o.rejections, std::memory_order_relaxed);
    events_ = o.events;
    const limit_bounds b{static_cast<double>(o.min_limit), static_cast<double>(o.max_limit)};
    std::visit([&](auto& law) { law.set_bounds(b); }, law_);
    publish();
  }

  [[gnu::noinline]] void tell(listener* events, const change& c, instant now) const noexcept {
    if (events == nullptr) return;
    events->on(event::limit_changed{.policy = "adaptive_limit",
                                    .name = name_,
                                    .key = key_,
                                    .from = static_cast<double>(c.from),
                                    .to = static_cast<double>(c.to),
                                    .why = c.why,
                                    .at = now});
  }

  watched_room room_;

  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  const std::string key_;
  const std::size_t algorithm_;

  alignas(64) mutable mutex mutex_;
  any_law law_ ABSL_GUARDED_BY(mutex_);
  bool learned_ ABSL_GUARDED_BY(mutex_) = false;
  instant last_ ABSL_GUARDED_BY(mutex_);
  double reserved_share_ ABSL_GUARDED_BY(mutex_) = 0;
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace core
}  // namespace seawall

#endif  // SEAWALL_CORE_ADAPTIVE_MACHINE_HPP
