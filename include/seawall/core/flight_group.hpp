// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_FLIGHT_GROUP_HPP
#define SEAWALL_CORE_FLIGHT_GROUP_HPP

// The shared state of a coalescing layer: flights by key (single_flight.hpp), in parts that have a mutex
// each.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/hashed_key.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/single_flight.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct coalesce_snapshot {
  std::string name = {};
  std::uint64_t led = 0;         ///< calls that did the work
  std::uint64_t joined = 0;      ///< calls that waited for another one's
  std::uint64_t shared = 0;      ///< of those: that got its result
  std::uint64_t taken_over = 0;  ///< of those: that did the work after all
  std::uint64_t alone = 0;       ///< calls for which there was no room
  std::size_t flying = 0;        ///< keys with a call under way
  std::size_t waiting = 0;       ///< calls that wait
};

namespace core {

struct flight_counts {
  std::uint64_t led = 0;
  std::uint64_t joined = 0;
  std::uint64_t shared = 0;
  std::uint64_t taken_over = 0;
  std::uint64_t alone = 0;
  std::size_t flying = 0;
  std::size_t waiting = 0;
};

/// Thread safety: shared objects safe. Wakers: see `wait_list`.
/// Cost: a mutex (one of `shards`) and a look-up to join, and again to land; the first of a key allocates.
class flight_group {
 public:
  using place = single_flight::place;
  using role = single_flight::role;
  using seen = single_flight::seen;

  flight_group(std::string name, unsigned shards, const single_flight_limits& limits)
      : name_(std::move(name)) {
    for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<shard>(limits));
  }

  const std::string& name() const noexcept { return name_; }
  unsigned shards() const noexcept { return static_cast<unsigned>(shards_.size()); }

  /// `p`, if there is one, has its waker set.
  seen join(const hashed_key& key, instant now, place* p) {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    const seen got = s.flights.join(key, now, p);
    switch (got.as) {
      case role::leads: ++s.counts.led; break;
      case role::waits: ++s.counts.joined; break;
      default: ++s.counts.alone;
    }
    return got;
  }
  /// Who waits looks again. Unless it waits on, it has left its place.
  seen look(const hashed_key& key, place& p, instant now) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    seen got = s.flights.look(p, now);
    if (got.as == role::leads) ++s.counts.taken_over;
    if (got.as == role::landed && got.end.what != nullptr) ++s.counts.shared;
    return got;
  }
  void leave(const hashed_key& key, place& p) noexcept {
    shard& s = shard_of(key);
    landing out;  // destroyed when the mutex is free again: results are the user's
    const mutex_lock lock(s.mutex);
    out = s.flights.leave(p);
  }

  /// The leader is done. Nobody waits: the flight is over, and there is nothing to share. Else nothing has
  /// happened.
  bool land_alone(const hashed_key& key, std::uint64_t number) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    if (s.flights.waiting_for(key, number) != 0) return false;
    s.flights.abandon(key, number);
    return true;
  }
  void land(const hashed_key& key, std::uint64_t number, const landing& end) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    s.flights.land(key, number, end);
  }
  void abandon(const hashed_key& key, std::uint64_t number) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    s.flights.abandon(key, number);
  }

  void set_limits(const single_flight_limits& limits) noexcept {
    for (auto& s : shards_) {
      const mutex_lock lock(s->mutex);
      s->flights.set_limits(limits);
    }
  }

  flight_counts counts() const noexcept {
    flight_counts sum;
    for (const auto& s : shards_) {
      const mutex_lock lock(s->mutex);
      sum.led += s->counts.led;
      sum.joined += s->counts.joined;
      sum.shared += s->counts.shared;
      sum.taken_over += s->counts.taken_over;
      sum.alone += s->counts.alone;
      sum.flying += s->flights.keys();
      sum.waiting += s->flights.waiting();
    }
    return sum;
  }

 private:
  struct alignas(64) shard {
    explicit shard(const single_flight_limits& limits) : flights(limits) {}

    mutable core::mutex mutex;
    single_flight flights ABSL_GUARDED_BY(mutex);
    flight_counts counts ABSL_GUARDED_BY(mutex);
  };

  // The high bits: the tables inside use the low ones.
  shard& shard_of(const hashed_key& key) const noexcept {
    return *shards_[(std::uint64_t{key.hash} >> 40U) % shards_.size()];
  }

  const std::string name_;
  std::vector<std::unique_ptr<shard>> shards_;
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_FLIGHT_GROUP_HPP
