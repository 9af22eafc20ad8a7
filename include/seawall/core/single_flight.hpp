// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_SINGLE_FLIGHT_HPP
#define SEAWALL_CORE_SINGLE_FLIGHT_HPP

// Of several calls with one key, which one does the work: the leader, for as long as its lease. The others
// wait for how its flight ends, each with a place in a wait list. Who leads no more (it has left, its lease
// is over) changes nothing: its number has been given up.

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "seawall/core/hashed_key.hpp"
#include "seawall/core/wait_list.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// How a flight has ended, for those who have waited for it.
struct landing {
  enum class kind : std::uint8_t {
    answered,  ///< `what` is the result
    failed,    ///< `what` is the result, if there is one
    left,      ///< the leader has gone without one
  };

  kind how = kind::left;
  bool degraded = false;
  std::shared_ptr<const void> what = {};
};

struct single_flight_limits {
  std::size_t max_keys = 1024;     ///< with a flight under way
  std::size_t max_waiting = 1024;  ///< for one key
  duration lease = std::chrono::seconds(60);
};

/// Guarantees:
/// 1. A key has at most one leader whose lease has not run out.
/// 2. A flight whose leader has left, or lost its lease, is led by whoever looks next. The first who waits is
///    poked, and the next one if that one leaves before it has looked.
/// 3. No more keys and waiters than the limits say, but for flights that have landed: those are as many as
///    have waited.
///
/// Thread safety: none of its own; the owner's mutex, under which wakers are poked.
/// Cost: a look-up; the first of a key allocates. Errors: where memory is short, `join` throws and has
/// changed nothing.
class single_flight {
 public:
  class place;

  enum class role : std::uint8_t { leads, waits, alone, landed };
  struct seen {
    role as = role::alone;
    std::uint64_t number = 0;               // of who leads; never 0
    instant look_again = instant::never();  // of who waits: the end of the lease
    landing end = {};
  };

  explicit single_flight(const single_flight_limits& limits) : limits_(limits) {}

  /// A call comes. Who may not wait gives no place. `alone`: there is a leader and no room to wait, or no
  /// room for the key.
  seen join(const hashed_key& key, instant now, place* p) {
    const auto found = index_.find(key);
    if (found == index_.end()) return depart(key, now);
    const position f = found->second;
    if (f->leader == 0 || now >= f->lease_ends) return lead(f, now);
    if (p == nullptr || f->waiting.size() >= limits_.max_waiting) return {};
    p->in_ = f;
    f->waiting.push_back(*p);
    return {.as = role::waits, .look_again = f->lease_ends};
  }

  /// Who waits looks again. Unless it waits on, it has left its place.
  seen look(place& p, instant now) noexcept {
    const position f = p.in_;
    if (f->landed) {
      landing end = f->end;
      leave(p);
      return {.as = role::landed, .end = std::move(end)};
    }
    if (f->leader != 0 && now < f->lease_ends) return {.as = role::waits, .look_again = f->lease_ends};
    f->waiting.remove(p);
    return lead(f, now);
  }

  /// Who waits has no interest any more. Returns what nobody is left to take, to be destroyed when the
  /// owner's mutex is free again.
  landing leave(place& p) noexcept {
    landing out;
    if (!p.linked) return out;
    const position f = p.in_;
    f->waiting.remove(p);
    if (f->landed) {
      if (f->waiting.size() != 0) return out;
      out = std::move(f->end);
      landed_.erase(f);
    } else if (f->leader == 0) {
      hand_on(f);
    }
    return out;
  }

  bool leads(const hashed_key& key, std::uint64_t number) const noexcept {
    const auto found = index_.find(key);
    return found != index_.end() && number != 0 && found->second->leader == number;
  }
  /// How many wait for `number`; 0 if it does not lead.
  std::size_t waiting_for(const hashed_key& key, std::uint64_t number) const noexcept {
    return leads(key, number) ? index_.find(key)->second->waiting.size() : 0;
  }

  /// The leader leaves: the next one to look leads.
  void abandon(const hashed_key& key, std::uint64_t number) noexcept {
    if (leads(key, number)) give_up(index_.find(key)->second);
  }
  /// Whoever leads `key` leads no more.
  void depose(const hashed_key& key) noexcept {
    const auto found = index_.find(key);
    if (found != index_.end() && found->second->leader != 0) give_up(found->second);
  }
  void depose_all() noexcept {
    for (auto f = flying_.begin(); f != flying_.end();) {
      const position next = std::next(f);
      if (f->leader != 0) give_up(f);
      f = next;
    }
  }

  /// The flight ends; nothing if `number` does not lead. `end` is what those who wait get.
  bool land(const hashed_key& key, std::uint64_t number, const landing& end) noexcept {
    if (!leads(key, number)) return false;
    land(index_.find(key)->second, end);
    return true;
  }
  /// Whoever leads: an answer has come from elsewhere.
  void land(const hashed_key& key, const landing& end) noexcept {
    if (const auto found = index_.find(key); found != index_.end()) land(found->second, end);
  }

  void set_limits(const single_flight_limits& limits) noexcept { limits_ = limits; }
  std::size_t keys() const noexcept { return flying_.size(); }
  std::size_t waiting() const noexcept {
    std::size_t sum = 0;
    for (const flight& f : flying_) sum += f.waiting.size();
    return sum;
  }

 private:
  struct flight {
    std::string key;
    std::size_t hash = 0;
    std::uint64_t leader = 0;  // 0: nobody
    instant lease_ends = {};
    bool landed = false;
    landing end = {};
    wait_list waiting = {};
  };
  using position = std::list<flight>::iterator;

 public:
  /// Of one who waits; lives in its frame.
  class place : public wait_node {
    friend class single_flight;
    position in_ = {};
  };

 private:
  seen depart(const hashed_key& key, instant now) {
    if (flying_.size() >= limits_.max_keys && !make_room(now)) return {};
    std::list<flight> one;
    one.push_back({.key = std::string(key.text), .hash = key.hash});
    index_.emplace(hashed_key(one.front().key, key.hash), one.begin());
    flying_.splice(flying_.end(), one);
    return lead(std::prev(flying_.end()), now);
  }

  // Those whose leases end first come first.
  seen lead(position f, instant now) noexcept {
    f->leader = ++last_number_;
    f->lease_ends = now + limits_.lease;
    flying_.splice(flying_.end(), flying_, f);
    return {.as = role::leads, .number = f->leader};
  }

  // A leader that hangs, for whom nobody waits, does not keep a place for ever.
  bool make_room(instant now) noexcept {
    if (flying_.empty()) return false;
    const position oldest = flying_.begin();
    if (now < oldest->lease_ends || oldest->waiting.size() != 0) return false;
    forget(oldest);
    return true;
  }

  void give_up(position f) noexcept {
    f->leader = 0;
    hand_on(f);
  }
  void hand_on(position f) noexcept {
    if (f->waiting.size() == 0) return forget(f);
    f->waiting.poke_first();
  }
  void forget(position f) noexcept {
    index_.erase(hashed_key(f->key, f->hash));
    flying_.erase(f);
  }

  void land(position f, const landing& end) noexcept {
    if (f->waiting.size() == 0) return forget(f);
    index_.erase(hashed_key(f->key, f->hash));
    f->landed = true;
    f->end = end;
    landed_.splice(landed_.end(), flying_, f);
    f->waiting.poke_all();
  }

  single_flight_limits limits_;
  std::uint64_t last_number_ = 0;
  std::list<flight> flying_;
  std::list<flight> landed_;  // and some who have waited have not looked yet
  std::unordered_map<hashed_key, position, hash_of_key> index_;  // of those flying
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_SINGLE_FLIGHT_HPP
