// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_ELECTOR_HPP
#define SEAWALL_ELECTION_ELECTOR_HPP

// What leading means to a service: a value with an end and a number that counts up, and the concept of whoever hands it out.
// Not an implementation; those are raft_elector.hpp and adapt/etcd.hpp.

#include <time.h>

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/time.hpp"

namespace seawall {

/// The system's clock that goes on while the machine sleeps: a lease runs out meanwhile, at the others at least.
///
/// CLOCK_BOOTTIME on Linux; elsewhere CLOCK_MONOTONIC, which on macOS counts the sleep too. Its instants are not those of
/// `steady_clock`. Cost: one `clock_gettime`, without a system call since Linux 5.3.
struct boot_clock {
  static instant now() noexcept {
    timespec t{};
#if defined(CLOCK_BOOTTIME)
    if (::clock_gettime(CLOCK_BOOTTIME, &t) != 0)
#endif
      ::clock_gettime(CLOCK_MONOTONIC, &t);
    return instant::from_ns(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
  }
};

/// The clock by which a lease ends: `boot_clock`, or an object of a test's or a simulation's, which it keeps alive.
///
/// Thread safety: as the object's.
class lease_clock {
 public:
  lease_clock() noexcept : read_([](const void*) noexcept { return boot_clock::now(); }) {}
  template <clock C>
  explicit lease_clock(std::shared_ptr<C> c) noexcept
      : read_([](const void* of) noexcept { return static_cast<C*>(const_cast<void*>(of))->now(); }),
        of_(std::move(c)) {}

  instant now() const noexcept { return read_(of_.get()); }

 private:
  instant (*read_)(const void*) noexcept;
  std::shared_ptr<const void> of_;
};

/// How long who holds a lease may rely on it, as its own clock counts: if whoever gave it counts `ttl` from a moment that is
/// not before `sent_at`, and neither clock's rate is off by more than `max_clock_drift`, then not longer than that one does.
constexpr instant lease_end(instant sent_at, duration ttl, double max_clock_drift) noexcept {
  const double share = (1 - max_clock_drift) / (1 + max_clock_drift);
  return sent_at + duration::from_ns(detail::saturating_from_double(static_cast<double>(ttl.ns()) * share));
}

namespace detail {

/// One grant, shared by the elector, which extends and ends it, and by everybody who holds the leadership.
class grant {
 public:
  grant(std::uint64_t token, instant until, lease_clock clock)
      : token_(token), clock_(std::move(clock)), until_ns_(until.ns()) {}

  std::uint64_t token() const noexcept { return token_; }
  std::stop_token stop() const noexcept { return stop_.get_token(); }
  instant until() const noexcept { return instant::from_ns(until_ns_.load(std::memory_order_acquire)); }

  /// Whoever finds the grant expired ends it, so that a renewal that comes later cannot bring it back.
  bool valid(duration margin) noexcept {
    const instant now = clock_.now();
    std::int64_t until = until_ns_.load(std::memory_order_acquire);
    while (until != ended) {
      if (now + margin < instant::from_ns(until)) return true;
      if (now < instant::from_ns(until)) return false;
      if (until_ns_.compare_exchange_weak(until, ended, std::memory_order_acq_rel, std::memory_order_acquire))
        return false;
    }
    return false;
  }
  /// False: it has ended, or had expired before. Never shortens it.
  bool extend(instant until) noexcept {
    if (!valid({})) return false;
    std::int64_t old = until_ns_.load(std::memory_order_acquire);
    while (old != ended && old < until.ns()) {
      if (until_ns_.compare_exchange_weak(old, until.ns(), std::memory_order_acq_rel,
                                          std::memory_order_acquire))
        break;
    }
    return valid({});
  }
  /// The functions that wait for the stop run here.
  void end() noexcept {
    until_ns_.store(ended, std::memory_order_release);
    stop_.request_stop();
  }

 private:
  static constexpr std::int64_t ended = std::numeric_limits<std::int64_t>::min();

  const std::uint64_t token_;
  const lease_clock clock_;
  std::atomic<std::int64_t> until_ns_;  // `ended`: for good
  std::stop_source stop_;
};

}  // namespace detail

/// The right to lead, until a point in time. A copy speaks of the same grant, and may outlive the elector.
///
/// Between a check and what is done after it a process can sleep for any time: `valid()` keeps an honest process from starting
/// what it should not; only the token, checked by the resource, protects it: see fence.hpp.
/// Thread safety: all functions, from any thread. Cost: `valid` is one load and one look at the clock.
class leadership {
 public:
  explicit leadership(std::shared_ptr<detail::grant> g) noexcept : grant_(std::move(g)) {}

  /// Fencing token: greater than that of every grant before it, of any process.
  std::uint64_t token() const noexcept { return grant_->token(); }
  /// True if the lease lasts for longer than `margin` (not negative) from now. Compares with the clock at each call; once it was
  /// false without a margin it is false for ever, whatever the elector learns later.
  bool valid(duration margin = {}) const noexcept { return grant_->valid(margin); }
  /// As the elector's clock counts (`boot_clock`, unless it was given another one), drift already taken off. Moves on while the
  /// lease is renewed; before every other instant once it has ended.
  instant valid_until() const noexcept { return grant_->until(); }
  /// Asked to stop when the leadership is lost or has expired. A `std::stop_callback` runs on the thread that notices, which
  /// may be the one that renews leases, or the one that resigns: it must not block.
  std::stop_token stop() const noexcept { return grant_->stop(); }

 private:
  std::shared_ptr<detail::grant> grant_;
};

/// Called one after another, on a thread or scheduler of the elector's own; what blocks here delays the next one, and a new
/// candidature, but no renewal: `on_elected` may work until it is asked to stop. They may call the elector's functions, but not
/// destroy it. They must not throw.
struct election_callbacks {
  std::function<void(const leadership&)> on_elected = {};
  /// After each `on_elected`, exactly once. When the elector resigns, the lease is released after this has returned.
  std::function<void(std::string_view why)> on_lost = {};
  /// Empty: nobody is known to lead. Where several changes come while another function runs, only the last one is told.
  std::function<void(std::optional<std::string> leader)> on_leader_changed = {};
};

/// Whoever elects. `start` once, then it is a candidate until it is destroyed, which resigns and waits for `on_lost`.
/// `current`: an engaged one was valid at the call. `resign` and `transfer_to` ask, and do not wait: a leader stops being one
/// before they return; the others, or `node`, come first at the next election; what came of it is told by the callbacks. Whoever does
/// not lead ignores both.
template <class E>
concept elector = requires(E& e, const E& c, election_callbacks callbacks, const std::string& node) {
  {e.start(std::move(callbacks))};
  { c.current() } -> std::same_as<std::optional<leadership>>;
  {e.resign()};
  {e.transfer_to(node)};
};

}  // namespace seawall

#endif  // SEAWALL_ELECTION_ELECTOR_HPP
