// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_CACHE_MACHINE_HPP
#define SEAWALL_CORE_CACHE_MACHINE_HPP

// The cache as a machine: it is told the time, and says for each call whether there is an answer, fresh or
// stale (RFC 5861), who fetches a new one, and who waits for that. Answers are opaque here; what they mean,
// the typed side knows (cache.hpp).

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "seawall/core/hashed_key.hpp"
#include "seawall/core/mutex.hpp"
#include "seawall/core/s3_fifo.hpp"
#include "seawall/core/single_flight.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct cache_snapshot {
  std::string name = {};
  std::size_t entries = 0;
  std::size_t bytes = 0;
  std::uint64_t hits = 0;                    ///< good answers that were fresh
  std::uint64_t negative_hits = 0;           ///< failures that were kept
  std::uint64_t misses = 0;                  ///< nothing that could have been served, not even stale
  std::uint64_t stale_while_revalidate = 0;  ///< stale answers served while somebody refreshed
  std::uint64_t stale_if_error = 0;          ///< stale answers served in place of a failure
  std::uint64_t refreshes = 0;               ///< fetches while there was a stale answer
  std::uint64_t waited = 0;                  ///< calls that have waited for another one's fetch
  std::uint64_t evictions = 0;               ///< for want of room
  std::uint64_t too_large = 0;               ///< answers larger than a shard
  std::uint64_t not_stored = 0;              ///< copying or measuring them threw, or memory was short
  std::size_t refreshing = 0;                ///< keys that are being fetched
  std::size_t waiting = 0;                   ///< calls that wait
};

namespace core {

struct cache_times {
  duration ttl = {};
  double ttl_jitter = 0;
  duration stale_while_revalidate = {};
  duration stale_if_error = {};
  duration negative_ttl = {};
};

struct cache_counts {
  std::size_t entries = 0;
  std::size_t bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t negative_hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t stale_while_revalidate = 0;
  std::uint64_t stale_if_error = 0;
  std::uint64_t refreshes = 0;
  std::uint64_t waited = 0;
  std::uint64_t evictions = 0;
  std::uint64_t too_large = 0;
  std::uint64_t not_stored = 0;
  std::size_t refreshing = 0;
  std::size_t waiting = 0;
};

/// Guarantees:
/// 1. A key has at most one refresh under way whose lease has not run out.
/// 2. What a fetch brings never takes the place of what was put, nor of what was fetched, after it had begun;
///    after an invalidation, nothing is stored that was asked for before.
/// 3. A failure, and a negative answer, leave the good answer as it was.
///
/// Thread safety: shared objects safe. Wakers: see `wait_list`.
/// Cost: a mutex (one of `shards`) and a look-up; a hit adds a reference count. Misses allocate.
class cache_machine {
 public:
  using answer_ptr = std::shared_ptr<const void>;
  using place = single_flight::place;

  /// What a call that fetches holds. Plain data: it settles it, abandons it, or lets its lease run out.
  struct fetch {
    std::uint64_t number = 0;  // of the leader; 0: it fetches for itself
    std::uint64_t asked = 0;   // in the order of all that is asked for and put
  };

  struct answer {
    enum class kind : std::uint8_t {
      none,      ///< nothing that can be served: `join` says more
      fresh,     ///< `what`
      negative,  ///< `what`, a failure
      stale,     ///< `what`; somebody else refreshes it
      fetch,     ///< the call fetches, as `fetching`
      wait,      ///< somebody else fetches; `look` when poked, or at `look_again`
      answered,  ///< the one waited for has brought `what`
      failed,    ///< the one waited for has failed, with `what`
    };

    kind how = kind::none;
    bool degraded = false;
    bool revalidates = false;  ///< of `fetch`: `what` could be served meanwhile
    answer_ptr what = {};  ///< of `fetch` and `wait`: what may stand in for a failure before `usable_until`
    instant since = {};
    instant usable_until = {};
    fetch fetching = {};
    instant look_again = instant::never();
  };

  /// What a fetch has brought; those who wait get it whatever it is.
  struct arrival {
    enum class kind : std::uint8_t {
      good,      ///< to be kept
      negative,  ///< a refusal to be kept
      shared,    ///< an answer that is not kept
      failure,   ///< no answer
    } how = kind::good;
    bool degraded = false;
    answer_ptr what = {};
    std::size_t bytes = 0;
    duration ttl = {};
  };

  cache_machine(std::string name, unsigned shards, const cache_times& times, std::size_t max_entries,
                std::size_t max_bytes, const single_flight_limits& flights)
      : name_(std::move(name)) {
    for (unsigned i = 0; i < shards; ++i)
      shards_.push_back(std::make_unique<shard>(times, max_entries / shards, max_bytes / shards, flights));
    jitters_.store(times.ttl_jitter > 0, std::memory_order_relaxed);
  }

  const std::string& name() const noexcept { return name_; }
  unsigned shards() const noexcept { return static_cast<unsigned>(shards_.size()); }
  bool jitters() const noexcept { return jitters_.load(std::memory_order_relaxed); }

  cache_times times() const noexcept {
    const mutex_lock lock(shards_.front()->mutex);
    return shards_.front()->times;
  }

  /// Fresh, negative or none.
  answer find(const hashed_key& key, instant now) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    return fresh(s, key, now);
  }
  /// Of one who will not fetch: stale as well.
  answer find_stale(const hashed_key& key, instant now) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    answer a = fresh(s, key, now);
    if (a.how != answer::kind::none) return a;
    spare(s, key, now, a);
    if (a.revalidates) a.how = answer::kind::stale;
    ++(a.revalidates ? s.counts.stale_while_revalidate : s.counts.misses);
    return a;
  }

  /// After `find` has found none. `p`, if there is one, has its waker set.
  answer join(const hashed_key& key, instant now, place* p) {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    // Somebody may have brought it in between.
    answer a = fresh(s, key, now);
    if (a.how != answer::kind::none) return a;
    spare(s, key, now, a);
    const auto seen = s.flights.join(key, now, a.revalidates ? nullptr : p);
    if (seen.as == single_flight::role::alone && a.revalidates) {
      ++s.counts.stale_while_revalidate;
      a.how = answer::kind::stale;
      return a;
    }
    if (seen.as == single_flight::role::waits) {
      ++s.counts.waited;
      a.how = answer::kind::wait;
      a.look_again = seen.look_again;
      return a;
    }
    ++(a.what != nullptr ? s.counts.refreshes : s.counts.misses);
    begin(s, seen.number, a);
    return a;
  }

  /// Who waits looks again: `wait`, `fetch`, `answered` or `failed`. Unless it waits on, it has left its
  /// place.
  answer look(const hashed_key& key, place& p, instant now) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    const auto seen = s.flights.look(p, now);
    answer a;
    switch (seen.as) {
      case single_flight::role::waits: a.how = answer::kind::wait; break;
      case single_flight::role::leads: begin(s, seen.number, a); break;
      default:
        a.how = seen.end.how == landing::kind::answered ? answer::kind::answered : answer::kind::failed;
        a.degraded = seen.end.degraded;
        a.what = seen.end.what;
        a.since = now;
    }
    a.look_again = seen.look_again;
    return a;
  }
  void leave(const hashed_key& key, place& p) noexcept {
    shard& s = shard_of(key);
    landing out;  // destroyed when the mutex is free again
    const mutex_lock lock(s.mutex);
    out = s.flights.leave(p);
  }

  /// A fetch has ended: it is stored, if nothing newer is there, and goes to those who wait. Errors: where
  /// memory is short, throws; then nothing has changed.
  void settle(const hashed_key& key, const fetch& f, instant now, const arrival& a) {
    shard& s = shard_of(key);
    discarded out;
    const mutex_lock lock(s.mutex);
    const bool leads = s.flights.leads(key, f.number);
    const bool stored = a.how == arrival::kind::good || a.how == arrival::kind::negative;
    if (stored && (leads || f.asked > s.cleared) && newest(s, key, f.asked))
      store(s, key, f.asked, now, a, out);
    const bool failed = a.how == arrival::kind::failure;
    s.flights.land(key, f.number,
                   {.how = failed ? landing::kind::failed : landing::kind::answered,
                    .degraded = a.degraded,
                    .what = a.what});
    s.counts.evictions += out.entries.size();
  }
  /// Whether somebody waits for what this fetch brings.
  bool awaited(const hashed_key& key, const fetch& f) noexcept {
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    return s.flights.waiting_for(key, f.number) != 0;
  }
  /// The call goes without an answer: the next one fetches.
  void abandon(const hashed_key& key, const fetch& f) noexcept {
    if (f.number == 0) return;
    shard& s = shard_of(key);
    const mutex_lock lock(s.mutex);
    s.flights.abandon(key, f.number);
  }

  /// From outside, good or negative: it counts as newer than all that is under way, and ends the wait of
  /// those who wait.
  void put(const hashed_key& key, instant now, const arrival& a) {
    shard& s = shard_of(key);
    discarded out;
    const mutex_lock lock(s.mutex);
    store(s, key, ++s.asked, now, a, out);
    s.flights.land(key, {.how = landing::kind::answered, .what = a.what});
    s.counts.evictions += out.entries.size();
  }
  /// Whether there was something.
  bool invalidate(const hashed_key& key) noexcept {
    shard& s = shard_of(key);
    table::removed out;
    const mutex_lock lock(s.mutex);
    s.cleared = ++s.asked;
    s.flights.depose(key);
    table::item* const i = s.entries.find(key);
    if (i != nullptr) s.entries.erase(*i, out);
    return i != nullptr;
  }
  void clear() noexcept {
    for (auto& s : shards_) {
      table::removed out;
      const mutex_lock lock(s->mutex);
      s->cleared = ++s->asked;
      s->flights.depose_all();
      s->entries.clear(out);
    }
  }

  void reconfigure(const cache_times& times, std::size_t max_entries, std::size_t max_bytes,
                   const single_flight_limits& flights) {
    jitters_.store(times.ttl_jitter > 0, std::memory_order_relaxed);
    for (auto& s : shards_) {
      table::removed out;
      const mutex_lock lock(s->mutex);
      s->times = times;
      s->flights.set_limits(flights);
      s->entries.set_limits(max_entries / shards_.size(), max_bytes / shards_.size(), out);
      s->counts.evictions += out.size();
    }
  }

  // Relaxed: counters that nothing else depends on.
  void count_stale_if_error() noexcept { stale_if_error_.fetch_add(1, std::memory_order_relaxed); }
  void count_not_stored() noexcept { not_stored_.fetch_add(1, std::memory_order_relaxed); }

  cache_counts counts() const {
    cache_counts sum;
    for (const auto& s : shards_) {
      const mutex_lock lock(s->mutex);
      const cache_counts c = s->counts;
      sum.entries += s->entries.size();
      sum.bytes += s->entries.bytes();
      sum.hits += c.hits;
      sum.negative_hits += c.negative_hits;
      sum.misses += c.misses;
      sum.stale_while_revalidate += c.stale_while_revalidate;
      sum.refreshes += c.refreshes;
      sum.waited += c.waited;
      sum.evictions += c.evictions;
      sum.too_large += c.too_large;
      sum.refreshing += s->flights.keys();
      sum.waiting += s->flights.waiting();
    }
    sum.stale_if_error = stale_if_error_.load(std::memory_order_relaxed);
    sum.not_stored = not_stored_.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  // A negative answer hides the good one while it lasts, and no longer.
  struct entry {
    answer_ptr good = {};
    instant since = {};
    instant fresh_until = {};
    std::size_t good_bytes = 0;
    answer_ptr negative = {};
    instant negative_since = {};
    instant negative_until = {};
    std::uint64_t asked = 0;
  };
  using table = s3_fifo<entry>;

  // Destroyed when the mutex is free again: answers are the user's.
  struct discarded {
    table::removed entries;
    answer_ptr good, negative;
  };

  struct alignas(64) shard {
    shard(const cache_times& t, std::size_t max_entries, std::size_t max_bytes,
          const single_flight_limits& limits)
        : times(t), entries(max_entries, max_bytes), flights(limits) {}

    mutable core::mutex mutex;
    cache_times times ABSL_GUARDED_BY(mutex);
    table entries ABSL_GUARDED_BY(mutex);
    single_flight flights ABSL_GUARDED_BY(mutex);
    cache_counts counts ABSL_GUARDED_BY(mutex);
    std::uint64_t asked ABSL_GUARDED_BY(mutex) = 0;
    std::uint64_t cleared ABSL_GUARDED_BY(mutex) = 0;  // `asked` of the latest that left nothing behind
  };

  // The high bits: the tables inside use the low ones.
  shard& shard_of(const hashed_key& key) const noexcept {
    return *shards_[(std::uint64_t{key.hash} >> 40U) % shards_.size()];
  }

  static answer fresh(shard& s, const hashed_key& key, instant now) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    answer a;
    table::item* const i = s.entries.find(key);
    if (i == nullptr) return a;
    const entry& e = i->value;
    if (e.negative != nullptr && now < e.negative_until) {
      ++s.counts.negative_hits;
      table::touch(*i);
      a.how = answer::kind::negative;
      a.what = e.negative;
      a.since = e.negative_since;
    } else if (e.good != nullptr && now < e.fresh_until) {
      ++s.counts.hits;
      table::touch(*i);
      a.how = answer::kind::fresh;
      a.what = e.good;
      a.since = e.since;
    }
    return a;
  }

  // What is not fresh, but better than nothing.
  static void spare(shard& s, const hashed_key& key, instant now, answer& a) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    table::item* const i = s.entries.find(key);
    if (i == nullptr || i->value.good == nullptr) return;
    table::touch(*i);
    const entry& e = i->value;
    const cache_times t = s.times;
    a.usable_until = e.fresh_until + std::max(t.stale_while_revalidate, t.stale_if_error);
    if (now >= a.usable_until) return;
    a.what = e.good;
    a.since = e.since;
    a.revalidates = now < e.fresh_until + t.stale_while_revalidate;
  }

  static void begin(shard& s, std::uint64_t number, answer& a) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    a.how = answer::kind::fetch;
    a.fetching = {.number = number, .asked = ++s.asked};
  }

  // Nothing is there that was asked for later.
  static bool newest(shard& s, const hashed_key& key, std::uint64_t asked) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    const table::item* const i = s.entries.find(key);
    return i == nullptr || asked > i->value.asked;
  }

  static void store(shard& s, const hashed_key& key, std::uint64_t asked, instant now, const arrival& a,
                    discarded& out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(s.mutex) {
    const bool good = a.how == arrival::kind::good;
    table::item* const known = s.entries.find(key);
    const std::size_t bytes = a.bytes + (known != nullptr && !good ? known->value.good_bytes : 0);
    if (!s.entries.fits(bytes)) {
      ++s.counts.too_large;
      if (!good) return;
      // What was there is known to be outdated, and so is what was asked for before.
      if (known != nullptr) s.entries.erase(*known, out.entries);
      s.cleared = std::max(s.cleared, asked);
      return;
    }
    entry& e = s.entries.put(key, bytes, out.entries).value;
    e.asked = asked;
    if (good) {
      out.good = std::exchange(e.good, a.what);
      e.good_bytes = bytes;
      e.since = now;
      e.fresh_until = now + a.ttl;
      out.negative = std::exchange(e.negative, nullptr);
    } else {
      out.negative = std::exchange(e.negative, a.what);
      e.negative_since = now;
      e.negative_until = now + s.times.negative_ttl;
    }
  }

  const std::string name_;
  std::vector<std::unique_ptr<shard>> shards_;
  std::atomic<bool> jitters_{false};
  std::atomic<std::uint64_t> stale_if_error_{0};
  std::atomic<std::uint64_t> not_stored_{0};
};

}  // namespace core

}  // namespace seawall

#endif  // SEAWALL_CORE_CACHE_MACHINE_HPP
