// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_ADMISSION_MACHINE_HPP
#define SEAWALL_CORE_ADMISSION_MACHINE_HPP

// A managed line in front of a limit, as a machine: the places come from a `watched_room`, who is next and
// who has waited too long says the `queue_machine`, and the places in the line live in the calls that wait.
// As long as nobody waits, there is no lock.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/call.hpp"
#include "seawall/core/adaptive_machine.hpp"
#include "seawall/core/admission_options.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/queue_machine.hpp"
#include "seawall/core/watched_room.hpp"
#include "seawall/core/watermarks.hpp"
#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall::core {

/// Guarantees:
/// 1. Nobody is admitted while as many calls are under way as the limit says.
/// 2. While somebody waits, a place that becomes free goes to who is next; a newcomer takes its place in the
///    order first. So does a place that the limit has added.
/// 3. Nobody is admitted at or after the end of its wait, nor after it has been told to go. A place that
///    reaches a call too late, or that it does not want any more, is passed on.
/// 4. Whoever is next and may not have the places that are left, because they are reserved, holds up the
///    others.
///
/// Thread safety: shared objects safe. Wakers are poked under the mutex. Listeners: see `listener`.
/// Cost: that of the limit, and a load on each side; while somebody waits: a mutex, and the order's cost
/// (`queue_machine`). Nothing is allocated.
class admission_machine final : room_watcher {
 public:
  /// What a call asks for.
  struct claim {
    int priority = 0;
    instant deadline = instant::never();  // after which nobody wants it served
    instant until = instant::never();     // the end of its wait
    std::uint32_t turn = 0;               // see `turn_of`
  };

  enum class answer : std::uint8_t { admitted, waiting, limit_reached, queue_full, wait_timed_out };

  /// Of a call that may wait; in the caller's memory. Must be left before it dies; neither copied nor moved.
  class place : queued {
    friend class admission_machine;
    enum class phase : std::uint8_t { out, waits, granted, dropped };

    instant until_;
    seawall::waker* waker_ = nullptr;
    phase phase_ = phase::out;  // guarded by the machine's mutex
  };

  /// `options` must be valid; `learned` is the limit that they name, if any.
  admission_machine(const admission_options& options, adaptive_machine* learned, std::string key)
      : name_(options.name),
        key_(std::move(key)),
        order_(options.order),
        turns_(options.turns),
        learned_(learned),
        room_(learned != nullptr ? learned->room() : own_room_),
        line_(seawall::detail::line_of(options)) {
    {
      const mutex_lock lock(mutex_);
      apply(options);
    }
    room_.add(*this);
  }
  ~admission_machine() { room_.remove(*this); }

  const std::string& name() const noexcept { return name_; }
  const std::string& key() const noexcept { return key_; }
  rejection_detail rejections() const noexcept { return rejections_.load(std::memory_order_relaxed); }
  duration max_wait() const noexcept {
    return duration::from_ns(max_wait_ns_.load(std::memory_order_relaxed));
  }
  queue_order order() const noexcept { return order_; }
  std::size_t turns() const noexcept { return turns_; }
  const adaptive_machine* learned() const noexcept { return learned_; }
  std::uint32_t turn_of(std::string_view key) const noexcept {
    return order_ == queue_order::fair ? static_cast<std::uint32_t>(std::hash<std::string_view>()(key)) : 0;
  }

  // Taking.

  /// The usual case: nobody waits, and there is a place. If false, nothing has happened.
  [[gnu::always_inline]] bool try_take(instant now, int priority, instant deadline) noexcept {
    // Relaxed: one that lines up at this moment came later.
    if (waiting_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      return false;
    if (deadline != instant::never() && now >= deadline - spare_time()) [[unlikely]]
      return false;
    return room_.try_take(priority);
  }

  /// Does not wait, nor overtake those who do.
  answer try_acquire(instant now, const claim& c) noexcept {
    if (try_take(now, c.priority, c.deadline)) return answer::admitted;
    refused_.fetch_add(1, std::memory_order_relaxed);
    const bool hopeless = c.deadline != instant::never() && now >= c.deadline - spare_time();
    return hopeless ? answer::wait_timed_out : answer::limit_reached;
  }

  /// Waits if it must. When it returns `waiting`: look again when `w` is poked or `look_again` is reached,
  /// and `leave` when there is no interest any more.
  answer acquire_or_wait(instant now, const claim& c, place& p, waker* w, instant& look_again) noexcept
      ABSL_LOCKS_EXCLUDED(mutex_) {
    if (try_take(now, c.priority, c.deadline)) return answer::admitted;
    const visit in(*this, now);
    const answer a = line_up(p, c);
    if (a != answer::waiting) {
      if (a != answer::admitted) refused_.fetch_add(1, std::memory_order_relaxed);
      return a;
    }
    p.waker_ = w;
    look_again = next_look(p);
    return a;
  }

  /// Of a place that waits.
  answer look(instant now, place& p, instant& look_again) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const visit in(*this, now);
    // Whoever has been told to go, and has a place now, has it too late if his time is over.
    if (p.phase_ != place::phase::dropped && p.until_ <= line_.newest()) {
      ++timed_out_;
      quit(p);
      return answer::wait_timed_out;
    }
    switch (p.phase_) {
      case place::phase::granted: return leave_with(p, answer::admitted);
      case place::phase::dropped:
        return leave_with(p, p.why == queue_drop::evicted ? answer::queue_full : answer::wait_timed_out);
      case place::phase::waits:
      case place::phase::out: break;
    }
    look_again = next_look(p);
    return answer::waiting;
  }

  /// Of a place that waits. A place of the limit that has just been handed to it is passed on.
  void leave(place& p, instant now = time_unknown()) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const visit in(*this, now);
    quit(p);
  }

  // What was admitted ends.

  /// Like this; it was admitted at `begun`.
  [[gnu::always_inline]] void settle(instant begun, const verdict& v, instant now) noexcept {
    if (learned_ != nullptr) {
      learned_->settle(begun, v, now);
    } else {
      room_.give(now);
    }
    tell_if_due();
  }
  /// Nothing is known of how.
  void release(instant now) noexcept {
    room_.give(now);
    tell_if_due();
  }
  static constexpr instant time_unknown() noexcept { return watched_room::time_unknown(); }

  // Looking, and changing.

  /// Nobody waits, and nobody has a place that is this machine's own: forgetting it would lose nothing.
  bool idle() const noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    return line_.items() == 0 && own_room_.taken() == 0;
  }

  admission_snapshot snapshot(instant now) const ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    const queued* const first = line_.oldest();
    return {.name = name_,
            .limit = room_.places(),
            .in_flight = room_.taken(),
            .waiting = line_.items(),
            .oldest = first != nullptr ? now - first->since : duration::zero(),
            .level = marks_.level(),
            .overloaded = line_.dropping(),
            .admitted_late = admitted_late_,
            .timed_out = timed_out_,
            .expired = line_.dropped(queue_drop::expired),
            .evicted = line_.dropped(queue_drop::evicted),
            .dropped_by_codel = line_.dropped(queue_drop::sojourn),
            .refused = refused_.load(std::memory_order_relaxed)};
  }

  /// `options` must be valid, with the same order, turns and limit. Those who wait go on waiting, as long as
  /// they have said.
  void reconfigure(const admission_options& options, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const visit in(*this, now);
    line_.reconfigure(seawall::detail::line_of(options), now);
    apply(options);
    expire(now);
    // They may have to look earlier.
    for (queued* q = line_.oldest(); q != nullptr; q = q->next) poke(static_cast<place&>(*q));
  }

 private:
  // Holds the mutex. Who has expired goes first; at the end, what is free goes to those who wait, and others
  // are told of what could not be used.
  class ABSL_SCOPED_LOCKABLE visit {
   public:
    visit(admission_machine& m, instant now) noexcept ABSL_EXCLUSIVE_LOCK_FUNCTION(m.mutex_) : machine_(m) {
      m.mutex_.lock();
      m.expire(now);
    }
    ~visit() ABSL_UNLOCK_FUNCTION() {
      admission_machine& m = machine_;
      m.grant();
      const bool gave_back = m.end();
      const instant now = m.line_.newest();
      m.mutex_.unlock();
      if (gave_back) m.room_.tell(now);
      m.tell_if_due();
    }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

   private:
    admission_machine& machine_;
  };

  bool on_room(instant now) noexcept override ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (line_.items() == 0) return false;
    expire(now);
    grant();
    return end();
  }

  // What every visit ends with. True: places were given back of which nobody has been told.
  bool end() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (marks_.watched() && marks_.see(line_.items(), 0)) untold_.store(true, std::memory_order_relaxed);
    return std::exchange(gave_back_, false);
  }

  answer line_up(place& p, const claim& c) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (c.until <= line_.newest()) return answer::wait_timed_out;  // nobody need make room for it
    queued_chain gone;
    const queue_admission a = line_.admit(0, c.priority, c.deadline, line_.newest(), gone);
    send_away(gone);
    if (a == queue_admission::expired) return answer::wait_timed_out;
    if (a != queue_admission::admitted) return answer::queue_full;
    p.priority = c.priority;
    p.deadline = c.deadline;
    p.turn = c.turn;
    p.until_ = c.until;
    p.waker_ = nullptr;  // it need not be told what it is about to see
    p.phase_ = place::phase::waits;
    line_.put(p, line_.newest());
    grant();
    if (p.phase_ == place::phase::waits) return answer::waiting;
    return leave_with(p, p.phase_ == place::phase::granted ? answer::admitted : answer::wait_timed_out);
  }

  // Hands over what is free to those whose turn it is.
  void grant() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    await_if_any();  // before we look for room: else it might become free unnoticed
    queued_chain gone;
    while (queued* const q = line_.head(line_.newest(), gone)) {
      auto& p = static_cast<place&>(*q);
      if (!room_.try_take(p.priority)) break;
      if (!line_.serve(p, gone)) {
        put_back();
      } else if (p.until_ <= line_.newest()) {
        ++timed_out_;
        put_back();
        go(p, queue_drop::expired);
      } else {
        ++admitted_late_;
        p.phase_ = place::phase::granted;
        poke(p);
      }
    }
    send_away(gone);
    await_if_any();
  }
  void put_back() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    room_.put_back();
    gave_back_ = true;
  }
  void await_if_any() noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto n = static_cast<std::uint32_t>(line_.items());
    const std::uint32_t before = waiting_.load(std::memory_order_relaxed);
    if (n == before) return;
    waiting_.store(n, std::memory_order_relaxed);
    if (before == 0) room_.await();
    if (n == 0) room_.end_await();
  }

  void expire(instant now) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    queued_chain gone;
    line_.expire(now, gone);
    send_away(gone);
  }
  // Out of the line; their calls will look.
  static void send_away(queued_chain& gone) noexcept {
    while (queued* const q = gone.pop()) go(static_cast<place&>(*q), q->why);
  }
  static void go(place& p, queue_drop why) noexcept {
    p.why = why;
    p.phase_ = place::phase::dropped;
    poke(p);
  }
  static void poke(place& p) noexcept {
    if (p.waker_ != nullptr) p.waker_->poke();
  }
  static answer leave_with(place& p, answer a) noexcept {
    p.phase_ = place::phase::out;
    return a;
  }
  // Whatever it has goes to others.
  void quit(place& p) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (p.phase_ == place::phase::waits) line_.withdraw(p);
    if (p.phase_ == place::phase::granted) put_back();
    p.phase_ = place::phase::out;
  }
  instant next_look(const place& p) const noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const instant hopeless = line_.hopeless_at(p.deadline);
    return p.until_ < hopeless ? p.until_ : hopeless;
  }
  /// What a call with a deadline must have left to be let in.
  duration spare_time() const noexcept {
    return duration::from_ns(spare_ns_.load(std::memory_order_relaxed));
  }

  void apply(const admission_options& o) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (learned_ == nullptr) {
      own_room_.set(o.max_concurrent, o.max_concurrent);
      gave_back_ = true;
    }
    marks_.set(o.high_watermark, o.low_watermark, o.max_waiting, 0);
    events_ = o.events;
    max_wait_ns_.store(o.max_wait.ns(), std::memory_order_relaxed);
    // Not at all: a deadline in the past is the concern of others.
    spare_ns_.store(o.expire ? o.service_time.ns() : seawall::detail::int64_min / 2,
                    std::memory_order_relaxed);
    rejections_.store(o.rejections, std::memory_order_relaxed);
  }

  // A watermark was passed; maybe where nobody may be told, under the lock of the limit's watchers.
  [[gnu::always_inline]] void tell_if_due() noexcept {
    if (untold_.load(std::memory_order_relaxed)) [[unlikely]]
      tell_level();
  }
  [[gnu::noinline]] void tell_level() noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (!untold_.exchange(false, std::memory_order_relaxed)) return;
    for (;;) {
      std::optional<queue_level> level;
      listener* events = nullptr;
      instant now;
      {
        const mutex_lock lock(mutex_);
        level = marks_.next();
        events = events_;
        now = line_.newest();
      }
      if (!level) return;
      const bool high = *level == queue_level::high;
      if (events == nullptr) continue;
      events->on(event::state_changed{.policy = "admission",
                                      .name = name_,
                                      .key = key_,
                                      .from = to_string(high ? queue_level::low : queue_level::high),
                                      .to = to_string(*level),
                                      .why = high ? "high watermark" : "low watermark",
                                      .at = now});
    }
  }

  const std::string name_;
  const std::string key_;
  const queue_order order_;
  const std::size_t turns_;
  adaptive_machine* const learned_;
  watched_room& room_;  // the learned limit's, or our own

  // Read by every call.
  alignas(64) std::atomic<std::uint32_t> waiting_{0};
  std::atomic<bool> untold_{false};
  std::atomic<rejection_detail> rejections_{rejection_detail::full};
  std::atomic<std::int64_t> spare_ns_{0};
  std::atomic<std::int64_t> max_wait_ns_{0};

  watched_room own_room_;

  alignas(64) mutable mutex mutex_;
  queue_machine line_ ABSL_GUARDED_BY(mutex_);
  watermarks marks_ ABSL_GUARDED_BY(mutex_);
  listener* events_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t admitted_late_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t timed_out_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<std::uint64_t> refused_{0};           // relaxed: a count
  bool gave_back_ ABSL_GUARDED_BY(mutex_) = false;  // to the room, and nobody has been told
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_ADMISSION_MACHINE_HPP
