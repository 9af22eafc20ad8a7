// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BREAKER_MACHINE_HPP
#define SEAWALL_CORE_BREAKER_MACHINE_HPP

// The circuit breaker as a machine: it is told when calls begin and how they end, and says which may begin.
// Closed and open are decided without a lock; everything rare (failures, probes, transitions, controls)
// happens under one mutex.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/breaker_options.hpp"
#include "seawall/core/breaker_rules.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/outcome_ring.hpp"
#include "seawall/core/striped_window.hpp"
#include "seawall/core/wait_list.hpp"
#include "seawall/event.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall::core {

/// Guarantees:
/// 1. Every period between two transitions has a generation; what was admitted in another generation changes
///    nothing.
/// 2. No more than `max_probes` leases are out at once, whatever the concurrency.
/// 3. Time alone leads from open to half-open; rejections change nothing.
///
/// Thread safety: shared objects safe. Listeners and wakers: see `listener` and `wait_list`.
/// Cost: admitting while closed: one load. A success while closed: 2 to 5 loads and at most one
/// read-modify-write. Rejecting while open: 2 loads. The rest: a mutex; a failure also walks the time window.
class breaker_machine {
 public:
  /// What an admitted call holds. Plain data; whoever holds it must settle or release it, or let its lease
  /// run out.
  struct permit {
    std::uint64_t generation = 0;
    instant at = {};
    std::uint32_t probe = 0;  // 0: not a probe
    bool counts = true;
  };

  struct admission {
    enum class kind : std::uint8_t { admitted, rejected, waiting };

    kind how = kind::admitted;
    reason why = reason::none;
    permit held = {};
    duration retry_after = verdict::no_pushback();
    instant look_again = instant::never();  // of `waiting`: when a lease runs out
  };

  /// `options` must be valid; `stripes` as in `striped_window`.
  breaker_machine(circuit_breaker_options options, unsigned stripes, std::string key = {})
      : name_(std::move(options.name)),
        key_(std::move(key)),
        window_(options.over_time.length / options.over_time.buckets, options.over_time.buckets, stripes) {
    options.name.clear();
    const mutex_lock lock(mutex_);
    apply(std::move(options));
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  bool excess_waits() const noexcept { return excess_waits_.load(std::memory_order_relaxed); }
  bool needs_end_time() const noexcept {
    return slow_limit_ns_.load(std::memory_order_relaxed) != never_slow;
  }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }

  /// Admits if it is closed; else nothing has happened, and `try_acquire` decides.
  [[gnu::always_inline]] bool try_acquire_closed(instant now, permit& p) const noexcept {
    const std::uint64_t word = load();
    p = {.generation = generation_of(word), .at = now};
    return mode_of(word) == mode::closed;
  }

  /// `random()` returns a random_source&; it is called only while recovering.
  template <class Random>
  admission try_acquire(instant now, Random&& random) noexcept {
    return acquire(now, nullptr, random);
  }

  /// As `try_acquire`, but an excess caller of a half-open breaker that lets them wait is put into the wait
  /// list. Call again when `node.waker` is poked or `look_again` is reached; `forget` when there is no
  /// interest any more.
  template <class Random>
  admission acquire_or_wait(instant now, wait_node& node, Random&& random) noexcept {
    return acquire(now, &node, random);
  }

  void forget(wait_node& node) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    waiting_.remove(node);
  }

  /// Reports how an admitted call ended.
  template <class Random>
  [[gnu::always_inline]] void settle(const permit& p, const verdict& v, instant now,
                                     Random&& random) noexcept {
    if (!p.counts) return;
    if (v.health == health::silent) return release(p);
    const bool bad = v.health == health::unhealthy;
    const bool slow = is_slow(p, v, now);
    if (bad || slow || p.probe != 0) [[unlikely]] {
      return settle_locked(p, bad, slow, v, now,
                           jitters_.load(std::memory_order_relaxed) ? random().unit() : 0.5);
    }
    settle_success(p, v, now);
  }

  /// The call says nothing: cancelled, abandoned, rejected further in. A probe's place is free again.
  [[gnu::always_inline]] void release(const permit& p) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (p.probe != 0) [[unlikely]]
      give_back(p);
  }

 private:
  [[gnu::noinline]] void give_back(permit p) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (generation_of(load()) == p.generation && take_probe(p.probe)) waiting_.poke_all();
  }

 public:
  // Controls. Each starts a new period, except where it says that nothing changes.

  /// Opens as a trip would; nothing if it is open already.
  void force_open(instant now, double draw) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    if (mode_of(load()) != mode::open) trip(now, "by hand", verdict{}, draw);
  }
  void isolate(instant now) noexcept { enter_by_hand(mode::isolated, now); }
  void disable(instant now) noexcept { enter_by_hand(mode::disabled, now); }
  void metrics_only(instant now) noexcept { enter_by_hand(mode::metrics_only, now); }
  /// Closes and forgets everything.
  void reset(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    trips_ = 0;
    enter(mode::closed, "by hand");
  }

  /// Closed, and nothing counted that a fresh breaker would not have: forgetting it would change nothing.
  bool idle(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    const mode m = mode_of(load());
    const bool closed =
        m == mode::closed || (m == mode::recovering && now >= ramp_from_ + options_.recovery.length);
    const auto& times = failure_times_;
    const bool burst =
        times.size() != 0 && now - times[times.size() - 1] < options_.failures_in_period.within;
    const breaker_counts c = counts(now);
    return closed && !burst && consecutive_ == 0 && c.over_time.bad == 0 && c.over_time.slow == 0 &&
           c.last_calls.bad == 0 && c.last_calls.slow == 0;
  }

  /// For drivers with timers: when the state will next change by itself, and the change.
  instant next_transition() const noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (mode_of(load()) == mode::open) return open_until();
    return mode_of(load()) == mode::recovering ? ramp_from_ + options_.recovery.length : instant::never();
  }
  void tick(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) { const section in(*this, now); }

  breaker_snapshot snapshot(instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    breaker_snapshot s;
    s.name = name_;
    s.state = seen_state(now);
    s.counts = counts(now);
    s.last_trip = last_trip_;
    s.at_last_trip = at_last_trip_;
    s.trips = trips_;
    if (s.state == breaker_state::open) s.time_left = open_until() - now;
    if (mode_of(load()) == mode::recovering)
      s.admitted_share = admitted_share(options_.recovery, now - ramp_from_);
    s.probes = static_cast<std::uint32_t>(probes_.size());
    s.probes_succeeded = probes_succeeded_;
    s.probes_failed = probes_failed_;
    s.waiting = waiting_.size();
    s.transitions = transitions_;
    return s;
  }

  breaker_memento save(instant now) const noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    breaker_memento m{.state = seen_state(now), .time_left = {}, .trips = trips_};
    if (m.state == breaker_state::open) m.time_left = open_until() - now;
    return m;
  }
  void restore(const breaker_memento& m, instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    trips_ = m.trips;
    if (m.state == breaker_state::open)
      open_until_ns_.store((now + m.time_left).ns(), std::memory_order_relaxed);
    enter(mode_for(m.state), "restored");
  }

  /// `options` must be valid, with the same number of buckets. Windows, state and probes under way are kept.
  void reconfigure(circuit_breaker_options options) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    options.name.clear();
    window_.set_width(options.over_time.length / options.over_time.buckets);
    const bool counted = counts_time_.load(std::memory_order_relaxed);
    apply(std::move(options));
    // A window that no rule asked for has holes: it starts empty, rather than half full.
    if (!counted) window_.reset();
    waiting_.poke_all();
  }
  std::uint32_t buckets() const noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    return options_.over_time.buckets;
  }

 private:
  using mode = breaker_mode;

  struct lease {
    std::uint32_t probe;
    instant ends;
  };

  struct transition {
    breaker_state from;
    breaker_state to;
    std::string_view why;
  };

  static constexpr std::int64_t never_slow = seawall::detail::int64_max;

  // state_: generation << 8 | mode.
  static mode mode_of(std::uint64_t word) noexcept { return static_cast<mode>(word & 0xff); }
  static std::uint64_t generation_of(std::uint64_t word) noexcept { return word >> 8; }
  // Acquire: whoever sees a state sees the end of its open time, and the emptied window.
  std::uint64_t load() const noexcept { return state_.load(std::memory_order_acquire); }
  instant open_until() const noexcept {
    return instant::from_ns(open_until_ns_.load(std::memory_order_relaxed));
  }

  [[gnu::always_inline]] bool is_slow(const permit& p, const verdict& v, instant now) const noexcept {
    const std::int64_t limit = slow_limit_ns_.load(std::memory_order_relaxed);
    return limit != never_slow && (v.slow || (now - p.at).ns() >= limit);
  }

  // Admission.

  template <class Random>
  admission acquire(instant now, wait_node* node, Random&& random) noexcept {
    const std::uint64_t word = load();
    const bool queued = node != nullptr && node->linked;  // changed by this call alone
    if (mode_of(word) == mode::closed && !queued) [[likely]]
      return admit(word, now);
    if (mode_of(word) == mode::open && !queued) {
      if (const instant until = open_until(); now < until) return rejected(reason::open, until - now);
    }
    return acquire_locked(now, node, mode_of(word) == mode::recovering ? random().unit() : 0.0);
  }

  static admission admit(std::uint64_t word, instant now) noexcept {
    return {.held = {.generation = generation_of(word), .at = now}};
  }
  static admission rejected(reason why, duration left = verdict::no_pushback()) noexcept {
    return {.how = admission::kind::rejected, .why = why, .retry_after = left};
  }

  admission acquire_locked(instant now, wait_node* node, double draw) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    admission a = decide(now, draw);
    if (node == nullptr) return a;
    if (a.why == reason::half_open && may_wait(*node)) {
      a.how = admission::kind::waiting;
      if (!node->linked) waiting_.push_back(*node);
    } else {
      waiting_.remove(*node);
    }
    return a;
  }

  bool may_wait(const wait_node& node) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto& rules = options_.half_open;
    return rules.excess_calls == circuit_breaker_options::excess::waits &&
           (node.linked || waiting_.size() < rules.max_waiting);
  }

  admission decide(instant now, double draw) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t word = load();
    switch (mode_of(word)) {
      case mode::open: return rejected(reason::open, open_until() - now);
      case mode::half_open: return admit_probe(now);
      case mode::recovering:
        return draw < admitted_share(options_.recovery, now - ramp_from_) ? admit(word, now)
                                                                          : rejected(reason::recovering);
      case mode::isolated: return rejected(reason::isolated);
      case mode::disabled: {
        admission a = admit(word, now);
        a.held.counts = false;
        return a;
      }
      case mode::closed:
      case mode::metrics_only: break;
    }
    return admit(word, now);
  }

  admission admit_probe(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // A loop, as `max_probes` may have been made smaller while more were under way.
    while (probes_.size() >= options_.half_open.max_probes) {
      lease& oldest = *std::min_element(probes_.begin(), probes_.end(),
                                        [](const lease& a, const lease& b) { return a.ends < b.ends; });
      if (now < oldest.ends) {
        admission a = rejected(reason::half_open);
        a.look_again = oldest.ends;
        return a;
      }
      take_probe(oldest.probe);
    }
    if (++last_probe_ == 0) ++last_probe_;  // 0 means "not a probe"
    probes_.push_back({.probe = last_probe_, .ends = now + options_.half_open.lease});
    admission a = admit(load(), now);
    a.held.probe = last_probe_;
    return a;
  }

  // Results.

  [[gnu::always_inline]] void settle_success(const permit& p, const verdict& v, instant now) noexcept {
    if (generation_of(load()) != p.generation) [[unlikely]]
      return;
    if (attention_.load(std::memory_order_relaxed)) [[unlikely]]
      return settle_locked(p, false, false, v, now, 0.5);
    if (!counts_time_.load(std::memory_order_relaxed)) return;
    const auto ticket = window_.add(now);
    // A reset that came in between has either dropped this addition or is seen here.
    if (generation_of(load()) != p.generation) [[unlikely]]
      window_.undo(ticket);
  }

  // By value: a reference would make the success path write both to memory.
  [[gnu::noinline]] void settle_locked(permit p, bool bad, bool slow, verdict v, instant now,
                                       double draw) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    if (generation_of(load()) != p.generation) return;
    if (p.probe != 0) {
      if (take_probe(p.probe)) settle_probe(!bad && !slow, v, now, draw);
      return;
    }
    count(bad, slow, now);
    if ((!bad && !slow) || mode_of(load()) == mode::metrics_only) return;
    if (const std::string_view why = trip_reason(now); !why.empty()) trip(now, why, v, draw);
  }

  bool take_probe(std::uint32_t id) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (lease& l : probes_) {
      if (l.probe != id) continue;
      l = probes_.back();
      probes_.pop_back();
      return true;
    }
    return false;
  }

  void settle_probe(bool good, const verdict& v, instant now, double draw) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto& rules = options_.half_open;
    ++(good ? probes_succeeded_ : probes_failed_);
    if (probes_succeeded_ >= rules.successes) {
      trips_ = 0;
      ramp_from_ = now;
      enter(options_.recovery.length > duration::zero() ? mode::recovering : mode::closed,
            "probes succeeded");
    } else if (probes_failed_ > rules.of - rules.successes) {
      trip(now, "probe failed", v, draw);
    } else {
      waiting_.poke_all();
    }
  }

  void count(bool bad, bool slow, instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    consecutive_ = bad ? consecutive_ + 1 : 0;
    if (bad) failure_times_.push(now);
    last_calls_.push(bad, slow);
    if (counts_time_.load(std::memory_order_relaxed)) window_.add(now, bad, slow);
    pay_attention();
  }

  // While it is false, a success changes nothing but the time window.
  void pay_attention() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool ring_moves = last_calls_.capacity() != 0 && !last_calls_.unmoved_by_success();
    attention_.store(consecutive_ != 0 || ring_moves, std::memory_order_relaxed);
  }

  std::string_view trip_reason(instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto& burst = options_.failures_in_period;
    if (burst.failures != 0 && failure_times_.full() && now - failure_times_[0] < burst.within) {
      return "failures in period";
    }
    return judge(options_, counts(now));
  }

  breaker_counts counts(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return {.over_time = counts_time_.load(std::memory_order_relaxed) ? window_.sum(now) : window_counts{},
            .last_calls = last_calls_.counts(),
            .consecutive_failures = consecutive_};
  }

  // Transitions.

  void trip(instant now, std::string_view why, const verdict& v, double draw) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (trips_ != UINT32_MAX) ++trips_;
    last_trip_ = why;
    at_last_trip_ = counts(now);
    open_until_ns_.store((now + open_time(options_, trips_, v, draw)).ns(), std::memory_order_relaxed);
    enter(mode::open, why);
  }

  void enter_by_hand(mode m, instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    if (mode_of(load()) != m) enter(m, "by hand");
  }

  // Begins a period: a new generation that has counted nothing.
  void enter(mode m, std::string_view why) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t word = load();
    // The state first: a success that sees an emptied bucket must also see that its generation is over.
    state_.store((generation_of(word) + 1) << 8 | static_cast<std::uint64_t>(m), std::memory_order_release);
    window_.reset();
    last_calls_.clear();
    failure_times_.clear();
    consecutive_ = 0;
    pay_attention();
    probes_.clear();
    probes_succeeded_ = probes_failed_ = 0;
    waiting_.poke_all();
    const transition t{public_state(mode_of(word)), public_state(m), why};
    if (t.from != t.to) {
      ++transitions_;
      (pending_[0] ? pending_[1] : pending_[0]) = t;
    }
  }

  // What time alone brings about.
  void pass_time(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t word = load();
    if (mode_of(word) == mode::open && now >= open_until()) {
      enter(mode::half_open, "open time over");
    } else if (mode_of(word) == mode::recovering && now >= ramp_from_ + options_.recovery.length) {
      // The same period goes on: the generation stays, and so does what has been counted.
      state_.store(generation_of(word) << 8 | static_cast<std::uint64_t>(mode::closed),
                   std::memory_order_release);
    }
  }

  breaker_state seen_state(instant now) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const mode m = mode_of(load());
    if (m == mode::open && now >= open_until()) return breaker_state::half_open;
    return public_state(m);
  }

  // Holds the mutex, begins with what time alone brings about, and tells of transitions when the mutex is
  // free again.
  class ABSL_SCOPED_LOCKABLE section {
   public:
    section(breaker_machine& m, instant now) noexcept ABSL_EXCLUSIVE_LOCK_FUNCTION(m.mutex_)
        : machine_(m), now_(now) {
      m.mutex_.lock();
      m.pass_time(now);
    }
    ~section() ABSL_UNLOCK_FUNCTION() {
      const auto happened = std::exchange(machine_.pending_, {});
      listener* const events = machine_.options_.events;
      machine_.mutex_.unlock();
      if (events == nullptr) return;
      for (const auto& t : happened) {
        if (!t) continue;
        events->on(event::state_changed{"circuit_breaker", machine_.name_, machine_.key_, to_string(t->from),
                                        to_string(t->to), t->why, now_});
      }
    }
    section(const section&) = delete;
    section& operator=(const section&) = delete;

   private:
    breaker_machine& machine_;
    instant now_;
  };

  void apply(circuit_breaker_options options) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    last_calls_.set_capacity(options.last_calls.calls);
    failure_times_.set_capacity(options.failures_in_period.failures);
    // Room for every lease now, so that admitting a probe does not allocate.
    probes_.reserve(options.half_open.max_probes);
    const bool slow_rule = options.slow.limit > duration::zero();
    slow_limit_ns_.store(slow_rule ? options.slow.limit.ns() : never_slow, std::memory_order_relaxed);
    excess_waits_.store(options.half_open.excess_calls == circuit_breaker_options::excess::waits,
                        std::memory_order_relaxed);
    jitters_.store(options.open_jitter > 0.0, std::memory_order_relaxed);
    rejections_.store(options.rejections, std::memory_order_relaxed);
    counts_time_.store(options.over_time.failure_rate > 0 || slow_rule || options.trip_when,
                       std::memory_order_relaxed);
    options_ = std::move(options);
    pay_attention();
  }

  // Read by every call, written on transitions.
  alignas(64) std::atomic<std::uint64_t> state_{0};
  std::atomic<std::int64_t> open_until_ns_{0};
  std::atomic<std::int64_t> slow_limit_ns_{never_slow};
  std::atomic<bool> attention_{false};
  std::atomic<bool> counts_time_{true};
  std::atomic<bool> jitters_{false};
  std::atomic<bool> excess_waits_{false};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  const std::string name_;
  const std::string key_;
  striped_window window_;

  alignas(64) mutable mutex mutex_;
  circuit_breaker_options options_ ABSL_GUARDED_BY(mutex_);
  outcome_ring last_calls_ ABSL_GUARDED_BY(mutex_);
  recent<instant> failure_times_ ABSL_GUARDED_BY(mutex_);
  std::vector<lease> probes_ ABSL_GUARDED_BY(mutex_);
  wait_list waiting_ ABSL_GUARDED_BY(mutex_);
  std::array<std::optional<transition>, 2> pending_ ABSL_GUARDED_BY(mutex_);
  instant ramp_from_ ABSL_GUARDED_BY(mutex_);
  std::string_view last_trip_ ABSL_GUARDED_BY(mutex_);  // a literal
  breaker_counts at_last_trip_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t transitions_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t consecutive_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t trips_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t probes_succeeded_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t probes_failed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t last_probe_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_BREAKER_MACHINE_HPP
