// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BULKHEAD_MACHINE_HPP
#define SEAWALL_CORE_BULKHEAD_MACHINE_HPP

// The bulkhead as a machine: it counts permits, keeps those who wait in order, and hands over what is given
// back. As long as nobody waits and nobody is sure of a share, permits are taken and given without a lock;
// else everything happens under one mutex, with all free permits in one hand.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/call.hpp"
#include "seawall/core/bulkhead_options.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/ordered_wait_list.hpp"
#include "seawall/core/striped_permits.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Guarantees:
/// 1. Permits in use never exceed the limit, but for a while after it was made smaller. A refusal means that
///    at some moment of the asking there were too few.
/// 2. While somebody waits, a permit that is given back goes to those whose turn it is; a newcomer takes his
///    place in the order first.
/// 3. Nobody gets a permit at or after the end of his wait; one that reaches him too late, or that he does
///    not want any more, is passed on.
/// 4. Whoever is first in line and needs more permits than there are holds up the others, not the other way
///    round.
/// 5. A partition within its share waits for as long as one call that has borrowed from it, at most.
///
/// Thread safety: shared objects safe. Wakers are poked under the mutex.
/// Cost: see `striped_permits`; while somebody waits, and always with partitions: a mutex, and a walk over
/// the partitions.
class bulkhead_machine {
 public:
  /// What a call asks for.
  struct claim {
    std::uint32_t weight = 1;
    std::uint32_t partition = 0;  // see `partition_named`
    int priority = 0;
    instant deadline = instant::never();  // of the call, for `by_deadline`
    instant until = instant::never();     // the end of its wait
  };

  enum class admission : std::uint8_t { admitted, waiting, limit_reached, queue_full, wait_timed_out };

  /// Of a call that may wait; in the caller's memory. Must be left before it dies; neither copied nor moved.
  class place : ordered_wait_node {
    friend class bulkhead_machine;
    enum class phase : std::uint8_t { out, waits, granted, displaced, unfit, timed_out };

    claim claim_;
    seawall::waker* waker_ = nullptr;
    phase phase_ = phase::out;  // guarded by the machine's mutex
  };

  /// `options` must be valid; `stripes` as in `striped_permits`.
  bulkhead_machine(bulkhead_options options, unsigned stripes, std::string key = {})
      : name_(std::move(options.name)),
        key_(std::move(key)),
        names_(names_of(options)),
        permits_(options.max_concurrent, stripes) {
    options.name.clear();
    const section in(*this);
    for (std::size_t i = 0; i <= names_.size(); ++i) partitions_.emplace_back();
    apply(std::move(options));
  }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }
  duration max_wait() const noexcept {
    return duration::from_ns(max_wait_ns_.load(std::memory_order_relaxed));
  }
  bool waits() const noexcept { return waits_.load(std::memory_order_relaxed); }
  bool weighs() const noexcept { return weight_of_.load(std::memory_order_relaxed) != nullptr; }
  std::uint32_t weight_of(const call& c) const noexcept {
    const auto f = weight_of_.load(std::memory_order_relaxed);
    return f != nullptr ? f(c) : 1;
  }
  std::uint32_t partition_of(const call& c) const noexcept {
    const auto f = partition_of_.load(std::memory_order_relaxed);
    return partition_named(f != nullptr ? f(c) : std::string_view());
  }
  /// The number after all others is that of those who belong to none.
  std::uint32_t partition_named(std::string_view name) const noexcept {
    std::uint32_t i = 0;
    while (i < names_.size() && names_[i] != name) ++i;
    return i;
  }
  const std::vector<std::string>& partition_names() const noexcept { return names_; }

  // Taking.

  /// The usual case, where there are no partitions. If false, nothing has happened, and `try_acquire`
  /// decides.
  [[gnu::always_inline]] bool try_take(std::uint32_t weight) noexcept { return permits_.try_take(weight); }

  /// Does not wait: `admitted` or `limit_reached`.
  admission try_acquire(instant now, const claim& c) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (permits_.try_take(c.weight)) return admission::admitted;
    switch (permits_.take(c.weight)) {
      case permit_answer::done: return admission::admitted;
      case permit_answer::refused: return admission::limit_reached;
      case permit_answer::ask_owner:
      case permit_answer::may_be_spread: break;
    }
    const section in(*this, now);
    return acquire_at_once(c);
  }

  /// Waits if it must. When it returns `waiting`: look again when `w` is poked or `look_again` is reached,
  /// and `leave` when there is no interest any more.
  admission acquire_or_wait(instant now, const claim& c, place& p, waker* w, instant& look_again) noexcept
      ABSL_LOCKS_EXCLUDED(mutex_) {
    if (permits_.try_take(c.weight) || permits_.take(c.weight) == permit_answer::done)
      return admission::admitted;
    const section in(*this, now);
    partition& own = partitions_[c.partition];
    if (waiting_ == 0 && fits(own, c.weight)) return take(own, c.weight);
    if (c.weight > options_.max_concurrent) return admission::limit_reached;
    line_up(p, c);
    if (p.phase_ == place::phase::granted) return leave_with(p, admission::admitted);
    recall(own, c.weight);
    if (own.list.size() > options_.max_waiting && !make_room(own, p))
      return leave_with(p, options_.max_waiting == 0 ? admission::limit_reached : admission::queue_full);
    p.waker_ = w;
    look_again = next_look(p);
    return admission::waiting;
  }

  /// Of a place that waits.
  admission look(instant now, place& p, instant& look_again) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);
    if (p.phase_ == place::phase::waits) grant();  // a share may not be kept for its partition any more
    switch (p.phase_) {
      case place::phase::displaced: return leave_with(p, admission::queue_full);
      case place::phase::unfit: return leave_with(p, admission::limit_reached);
      case place::phase::timed_out: return leave_with(p, admission::wait_timed_out);
      case place::phase::waits:
      case place::phase::granted:
      case place::phase::out: break;
    }
    if (p.claim_.until <= now_) {
      ++timed_out_;
      quit(p);
      return admission::wait_timed_out;
    }
    if (p.phase_ == place::phase::granted) return leave_with(p, admission::admitted);
    look_again = next_look(p);
    return admission::waiting;
  }

  /// Of a place that waits. A permit that has just been handed to it is passed on.
  void leave(place& p) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this);
    quit(p);
  }

  /// What was admitted ends. Who knows the time gives it, so that nothing is handed to a caller whose wait is
  /// over.
  [[gnu::always_inline]] void release(std::uint32_t weight, std::uint32_t from, instant now) noexcept {
    const permit_answer a = permits_.give(weight);
    if (a != permit_answer::done) [[unlikely]]
      end_release(a, weight, from, now);
  }
  static constexpr instant time_unknown() noexcept { return instant::from_ns(seawall::detail::int64_min); }

  // Looking, and changing.

  /// Nothing in use, nobody waits: forgetting it would lose nothing.
  bool idle() noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    return waiting_ == 0 && in_use() == 0;
  }

  bulkhead_snapshot snapshot(instant now) const ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    bulkhead_snapshot s;
    s.name = name_;
    s.max_concurrent = options_.max_concurrent;
    s.in_use = in_use();
    s.waiting = waiting_;
    s.admitted_late = admitted_late_;
    s.timed_out = timed_out_;
    s.displaced = displaced_;
    for (std::size_t i = 0; !names_.empty() && i <= names_.size(); ++i) {
      const partition& p = partitions_[i];
      s.partitions.push_back({.name = i < names_.size() ? names_[i] : std::string(),
                              .guaranteed = p.guaranteed,
                              .in_use = p.used,
                              .waiting = p.list.size(),
                              .recalled = p.recalled_until > now});
    }
    return s;
  }

  /// `options` must be valid, with the same partitions. Permits in use stay in use, those who wait go on
  /// waiting, as long as they have said; only who waits for more permits than there are now is rejected.
  void reconfigure(bulkhead_options options) ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this);
    options.name.clear();
    apply(std::move(options));
    for (partition& p : partitions_) send_unfit_away(p);
    grant();
    for (partition& p : partitions_) poke_all(p);  // they may have to look earlier
  }

 private:
  using permit_answer = striped_permits::answer;

  struct partition {
    std::uint32_t guaranteed = 0;
    std::uint64_t used = 0;  // counted only if there are partitions
    instant recalled_until = time_unknown();
    ordered_wait_list list;
  };

  // Holds the mutex and all permits that are free; gives these free again if nobody has to ask for them.
  class ABSL_SCOPED_LOCKABLE section {
   public:
    explicit section(bulkhead_machine& m, instant now = time_unknown()) noexcept
        ABSL_EXCLUSIVE_LOCK_FUNCTION(m.mutex_)
        : machine_(m) {
      m.mutex_.lock();
      if (now > m.now_) m.now_ = now;
      m.free_ += m.permits_.hold();
    }
    ~section() ABSL_UNLOCK_FUNCTION() {
      bulkhead_machine& m = machine_;
      if (m.waiting_ == 0 && m.names_.empty() && m.free_ >= 0) m.permits_.let_go(std::exchange(m.free_, 0));
      m.mutex_.unlock();
    }
    section(const section&) = delete;
    section& operator=(const section&) = delete;

   private:
    bulkhead_machine& machine_;
  };

  static std::vector<std::string> names_of(const bulkhead_options& o) {
    std::vector<std::string> names;
    for (const auto& p : o.partitions) names.push_back(p.name);
    return names;
  }

  // Permits.

  std::uint64_t in_use() const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t used = std::int64_t{options_.max_concurrent} - free_ - permits_.free();
    return used > 0 ? static_cast<std::uint64_t>(used) : 0;
  }
  static bool within_share(const partition& p, std::uint32_t weight) noexcept {
    return p.used + weight <= p.guaranteed;
  }
  bool fits(const partition& p, std::uint32_t weight) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (free_ < std::int64_t{weight}) return false;
    return within_share(p, weight) || free_ - weight >= kept_from(p);
  }
  // What others have asked to have back.
  std::int64_t kept_from(const partition& p) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::int64_t kept = 0;
    for (const partition& other : partitions_) {
      if (&other != &p && other.recalled_until > now_ && other.used < other.guaranteed)
        kept += static_cast<std::int64_t>(other.guaranteed - other.used);
    }
    return kept;
  }
  admission take(partition& p, std::uint32_t weight) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    free_ -= weight;
    if (!names_.empty()) p.used += weight;
    return admission::admitted;
  }
  void give_back(partition& p, std::uint32_t weight) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    free_ += weight;
    if (!names_.empty()) p.used -= weight;
  }
  [[gnu::noinline]] void end_release(permit_answer a, std::uint32_t weight, std::uint32_t from,
                                     instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const section in(*this, now);  // letting go spreads what may be spread
    if (a == permit_answer::may_be_spread) return;
    give_back(partitions_[from], weight);
    grant();
  }
  // Somebody within his share has found it lent: no more of it is lent for a while.
  void recall(partition& p, std::uint32_t weight) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (names_.empty() || !within_share(p, weight)) return;
    const bool anew = p.recalled_until <= now_;
    p.recalled_until = now_ + options_.recall_for;
    if (!anew) return;
    // They must look when that is over: nothing else may happen then.
    for (partition& other : partitions_) {
      if (&other != &p) poke_all(other);
    }
  }

  // Waiting.

  admission acquire_at_once(const claim& c) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    partition& own = partitions_[c.partition];
    if (waiting_ == 0) {
      if (fits(own, c.weight)) return take(own, c.weight);
    } else {
      // It gets what is left if its turn would be next.
      place p;
      line_up(p, c);
      if (p.phase_ == place::phase::granted) return admission::admitted;
      leave_with(p, admission::limit_reached);
    }
    recall(own, c.weight);
    return admission::limit_reached;
  }

  void line_up(place& p, const claim& c) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    p.claim_ = c;
    p.waker_ = nullptr;  // it need not be told what it is about to see
    p.priority = c.priority;
    p.deadline = c.deadline;
    p.phase_ = place::phase::waits;
    partitions_[c.partition].list.push(p, ++arrivals_, now_);
    ++waiting_;
    grant();
  }

  // Hands over what is free to those whose turn it is.
  void grant() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (place* const next = first_in_line()) {
      if (next->claim_.until <= now_) {
        ++timed_out_;
        send_away(*next, place::phase::timed_out);
        continue;
      }
      partition& own = partitions_[next->claim_.partition];
      if (!fits(own, next->claim_.weight)) return;
      take(own, next->claim_.weight);
      ++admitted_late_;
      send_away(*next, place::phase::granted);
    }
  }

  // Those within their share go before those who borrow.
  place* first_in_line() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    place* best = nullptr;
    bool best_within = false;
    for (partition& p : partitions_) {
      auto* const first = static_cast<place*>(p.list.first(now_));
      if (first == nullptr) continue;
      const bool within = within_share(p, first->claim_.weight);
      if (best == nullptr || (within != best_within ? within : p.list.before(*first, *best))) {
        best = first;
        best_within = within;
      }
    }
    return best;
  }

  bool make_room(partition& p, const place& newcomer) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto* const last = options_.displaces ? static_cast<place*>(p.list.last(now_)) : nullptr;
    if (last == nullptr || last == &newcomer) return false;
    ++displaced_;
    send_away(*last, place::phase::displaced);
    return true;
  }

  // Out of the list; its call will look.
  void send_away(place& p, place::phase as) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    unlink(p);
    p.phase_ = as;
    if (p.waker_ != nullptr) p.waker_->poke();
  }
  void unlink(place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    partitions_[p.claim_.partition].list.remove(p);
    --waiting_;
  }
  admission leave_with(place& p, admission a) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (p.phase_ == place::phase::waits) unlink(p);
    p.phase_ = place::phase::out;
    return a;
  }
  // Whatever it has goes to others; and those behind it may be let through now.
  void quit(place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (p.phase_ == place::phase::granted) give_back(partitions_[p.claim_.partition], p.claim_.weight);
    leave_with(p, admission::limit_reached);
    grant();
  }
  void send_unfit_away(partition& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (ordered_wait_node* n = p.list.oldest(); n != nullptr;) {
      auto& one = static_cast<place&>(*n);
      n = n->newer;
      if (one.claim_.weight > options_.max_concurrent) send_away(one, place::phase::unfit);
    }
  }
  static void poke_all(partition& p) noexcept {
    for (ordered_wait_node* n = p.list.oldest(); n != nullptr; n = n->newer) {
      if (auto* const w = static_cast<place*>(n)->waker_) w->poke();
    }
  }
  instant next_look(const place& p) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    instant at = p.claim_.until;
    for (const partition& other : partitions_) {
      if (other.recalled_until > now_ && other.recalled_until < at) at = other.recalled_until;
    }
    return at;
  }

  void apply(bulkhead_options options) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    free_ += std::int64_t{options.max_concurrent} - options_.max_concurrent;
    permits_.set_plenty((std::int64_t{options.max_concurrent} + 1) / 2);
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      if (i < names_.size()) partitions_[i].guaranteed = options.partitions[i].guaranteed;
      partitions_[i].list.set_rules(
          {.order = options.order, .lifo_after = options.lifo_after, .aging = options.aging});
    }
    weight_of_.store(options.weight_of, std::memory_order_relaxed);
    partition_of_.store(options.partition_of, std::memory_order_relaxed);
    max_wait_ns_.store(options.max_wait.ns(), std::memory_order_relaxed);
    waits_.store(options.max_waiting != 0, std::memory_order_relaxed);
    rejections_.store(options.rejections, std::memory_order_relaxed);
    options_ = std::move(options);
  }

  const std::string name_;
  const std::string key_;
  const std::vector<std::string> names_;  // of the partitions; empty: there are none
  std::atomic<std::uint32_t (*)(const call&) noexcept> weight_of_{nullptr};
  std::atomic<std::string_view (*)(const call&) noexcept> partition_of_{nullptr};
  std::atomic<std::int64_t> max_wait_ns_{0};
  std::atomic<bool> waits_{false};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  striped_permits permits_;

  alignas(64) mutable mutex mutex_;
  bulkhead_options options_ ABSL_GUARDED_BY(mutex_) = {.max_concurrent = 0};
  // The partitions, and behind them those who belong to none.
  std::vector<partition> partitions_ ABSL_GUARDED_BY(mutex_);
  std::int64_t free_ ABSL_GUARDED_BY(mutex_) = 0;  // held; negative: the limit was made smaller
  std::size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t arrivals_ ABSL_GUARDED_BY(mutex_) = 0;
  instant now_ ABSL_GUARDED_BY(mutex_) = time_unknown();  // the newest that anybody has told
  std::uint64_t admitted_late_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t timed_out_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t displaced_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_BULKHEAD_MACHINE_HPP
