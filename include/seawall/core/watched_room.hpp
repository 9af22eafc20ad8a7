// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_WATCHED_ROOM_HPP
#define SEAWALL_CORE_WATCHED_ROOM_HPP

// The places of a limit on calls under way: how many there are, how many are taken, and who is told when
// there is room again. Taking and giving back is lock-free; whoever makes others wait for a place
// (core/admission_machine.hpp) is told only while somebody does.

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

class watched_room;

/// Somebody behind whom others wait.
class room_watcher {
 public:
  room_watcher() = default;
  room_watcher(const room_watcher&) = delete;
  room_watcher& operator=(const room_watcher&) = delete;

  /// There may be room. Called with the lock of the watchers held, hence it may take places, and give them
  /// back with `put_back` only: then it returns true, and all are told once more. `now` is
  /// `watched_room::time_unknown()` where nobody knew it.
  virtual bool on_room(instant now) noexcept = 0;

  room_watcher* next = nullptr;  // the room's, whose mutex guards it

 protected:
  ~room_watcher() = default;
};

/// Guarantees:
/// 1. Nobody gets a place while as many are taken as there are.
/// 2. Whoever has said `await`, and then found no place, is told after the next one is given back or added.
///
/// Thread safety: shared objects safe.
/// Cost: taking: a load and a read-modify-write, none of them if there is no place; giving back: a
/// read-modify-write and a load; while somebody waits, a mutex and what the watchers do.
class watched_room {
 public:
  static constexpr instant time_unknown() noexcept { return instant::from_ns(seawall::detail::int64_min); }

  /// `places` for calls of at least that priority, `low` of them for others.
  void set(std::uint32_t places, std::uint32_t low) noexcept {
    low_.store(low, std::memory_order_seq_cst);
    places_.store(places, std::memory_order_seq_cst);
  }
  void set_reserved_from(int priority) noexcept { reserved_from_.store(priority, std::memory_order_seq_cst); }

  std::uint32_t places() const noexcept { return places_.load(std::memory_order_relaxed); }
  std::uint32_t low() const noexcept { return low_.load(std::memory_order_relaxed); }
  std::uint32_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

  // Sequentially consistent, where a watcher and whoever gives back might miss each other: each writes, then
  // reads what the other writes. Nothing else is published through these.

  [[gnu::always_inline]] bool try_take(int priority) noexcept {
    const std::uint32_t room = room_for(priority);
    std::uint32_t seen = taken_.load(std::memory_order_seq_cst);
    while (seen < room) {
      if (taken_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed)) [[likely]]
        return true;
    }
    return false;
  }
  /// Whoever gives it back has to `tell` afterwards. Returns how many were taken, with this one.
  [[gnu::always_inline]] std::uint32_t put_back() noexcept {
    return taken_.fetch_sub(1, std::memory_order_seq_cst);
  }
  /// After a place was given back, or added. With no lock held that a watcher may want.
  [[gnu::always_inline]] void tell(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (awaited_.load(std::memory_order_seq_cst) != 0) [[unlikely]]
      tell_all(now);
  }
  [[gnu::always_inline]] void give(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    put_back();
    tell(now);
  }

  /// Told from now on, while it awaits room; first who came first.
  void add(room_watcher& w) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    room_watcher** at = &first_;
    while (*at != nullptr) at = &(*at)->next;
    *at = &w;
    w.next = nullptr;
  }
  /// It is not being told any more when this returns.
  void remove(room_watcher& w) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    room_watcher** at = &first_;
    while (*at != &w) at = &(*at)->next;
    *at = w.next;
  }
  /// A watcher has somebody who waits, or has nobody any more.
  void await() noexcept { awaited_.fetch_add(1, std::memory_order_seq_cst); }
  void end_await() noexcept { awaited_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::uint32_t room_for(int priority) const noexcept {
    if (priority < reserved_from_.load(std::memory_order_relaxed))
      return low_.load(std::memory_order_seq_cst);
    return places_.load(std::memory_order_seq_cst);
  }
  [[gnu::noinline]] void tell_all(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    bool again = true;
    while (again) {
      again = false;
      for (room_watcher* w = first_; w != nullptr; w = w->next) again = w->on_room(now) || again;
    }
  }

  // Written by every call.
  alignas(64) std::atomic<std::uint32_t> taken_{0};

  // Read by every call, seldom written.
  alignas(64) std::atomic<std::uint32_t> places_{0};
  std::atomic<std::uint32_t> low_{0};
  std::atomic<int> reserved_from_{0};
  std::atomic<std::uint32_t> awaited_{0};  // watchers that have somebody who waits

  mutex mutex_;
  room_watcher* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_WATCHED_ROOM_HPP
