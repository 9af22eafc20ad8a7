// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_ELECTOR_HPP
#define SEAWALL_ELECTION_ELECTOR_HPP

// What leading means to a service: a value with an end and a number that counts up, and the concept of whoever hands it out.
// Not an implementation; those are raft_elector.hpp and adapt/etcd.hpp.

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/time.hpp"

namespace seawall {

namespace detail {

/// One grant, shared by the elector, which extends and ends it, and by everybody who holds the leadership.
struct grant {
  grant(std::uint64_t t, instant (*c)(const void*), const void* of) noexcept
      : token(t), clock(c), clock_of(of) {}

  const std::uint64_t token;
  instant (*const clock)(const void*);
  const void* const clock_of;
  std::atomic<std::int64_t> until_ns{0};
  std::stop_source stop;
};

}  // namespace detail

/// The right to lead, until a point in time. A copy speaks of the same grant.
///
/// Between a check and what is done after it a process can sleep for any time: `valid()` keeps an honest process from starting what it should not;
/// only the token, checked by the resource, protects it.
/// Thread safety: all functions, from any thread. Cost: `valid` is one load and one look at the clock.
class leadership {
 public:
  explicit leadership(std::shared_ptr<detail::grant> g) noexcept : grant_(std::move(g)) {}

  /// Fencing token: greater than that of every grant before it, of any process.
  std::uint64_t token() const noexcept { return grant_->token; }
  /// True if the lease lasts for longer than `margin` from now. Compares with the clock at each call; never true again after it was lost.
  bool valid(duration margin = {}) const noexcept { return now() + margin < valid_until(); }
  /// As this process's clock counts, drift already taken off. Moves on while the lease is renewed.
  instant valid_until() const noexcept {
    return instant::from_ns(grant_->until_ns.load(std::memory_order_acquire));
  }
  /// Asked to stop when the leadership is lost or has expired.
  std::stop_token stop() const noexcept { return grant_->stop.get_token(); }

 private:
  instant now() const noexcept { return grant_->clock(grant_->clock_of); }

  std::shared_ptr<detail::grant> grant_;
};

/// Called one after another, on the elector's own thread or scheduler; what blocks here delays the next one only.
struct election_callbacks {
  std::function<void(const leadership&)> on_elected = {};
  /// After each `on_elected`, exactly once. When the elector resigns, the lease is released after this has returned.
  std::function<void(std::string_view why)> on_lost = {};
  std::function<void(std::optional<std::string> leader)> on_leader_changed = {};
};

/// Whoever elects. `transfer_to` and `resign` ask; what comes of it is told by the callbacks.
template <class E>
concept elector = requires(E& e, const E& c, election_callbacks callbacks, const std::string& node) {
  {e.start(std::move(callbacks))};
  { c.current() } -> std::same_as<std::optional<leadership>>;
  {e.resign()};
  {e.transfer_to(node)};
};

}  // namespace seawall

#endif  // SEAWALL_ELECTION_ELECTOR_HPP
