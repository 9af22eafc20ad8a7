// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_ADMISSION_MODEL_HPP
#define SEAWALL_TESTS_PROPERTY_ADMISSION_MODEL_HPP

// An admission as a list of calls, searched from one end to the other for everything. Slow and obvious. Only CoDel's law is the
// library's: it has tests of its own, and what matters here is of whom, and when, it is asked.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "seawall/core/admission_options.hpp"
#include "seawall/core/queue_control.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace property {

class admission_model {
 public:
  using instant = seawall::instant;
  using reason = seawall::reason;

  enum class phase { comes, waits, granted, dropped, runs, rejected, gone };

  struct one {
    int priority = 0;
    std::uint32_t key = 0;
    instant deadline, until;
    bool may_wait = true;
    // The model's own:
    phase at = phase::comes;
    reason why = reason::none;
    instant since;
    std::uint64_t order = 0;
    bool poked = false;
  };

  explicit admission_model(const seawall::admission_options& o) { set(o); }

  void comes(const one& c, instant now) {
    all.push_back(c);
    one& me = all.back();
    if (me.may_wait) look_at_the_time(now);
    if (hopeless(me, now)) return reject(me, reason::wait_timed_out);
    if (waiting() == 0 && running() < options_.max_concurrent) {
      me.at = phase::runs;
      return;
    }
    if (!me.may_wait) return reject(me, reason::limit_reached);
    if (waiting() >= options_.max_waiting && !make_room(me)) {
      reject(me, reason::queue_full);
    } else {
      me.at = phase::waits;
      me.since = now;
      me.order = ++arrivals_;
      enter_ring(me.key);
    }
    hand_out(now);
    if (me.at == phase::granted) me.at = phase::runs;
    if (me.at == phase::dropped) reject(me, reason::wait_timed_out);
  }
  void looks(one& me, instant now) {
    look_at_the_time(now);
    if (me.at != phase::dropped && me.until <= now) {
      leave_line(me);
      reject(me, reason::wait_timed_out);
    } else if (me.at == phase::granted) {
      me.at = phase::runs;
    } else if (me.at == phase::dropped) {
      reject(me, me.why);
    }
    hand_out(now);
  }
  void leaves(one& me, instant now) {
    if (me.at != phase::runs || waiting() != 0) look_at_the_time(now);
    leave_line(me);
    me.at = phase::gone;
    hand_out(now);
  }
  void reconfigure(const seawall::admission_options& o, instant now) {
    look_at_the_time(now);
    set(o);
    // Everybody enters again, those too whose time is over by the new options.
    ring_.clear();
    for (one* c : line()) enter_ring(c->key);
    look_at_the_time(now);
    hand_out(now);
  }

  std::size_t waiting() const { return count(phase::waits); }
  std::size_t running() const { return count(phase::runs) + count(phase::granted); }

  std::deque<one> all;

 private:
  using order = seawall::queue_order;
  using full = seawall::queue_full;

  void set(const seawall::admission_options& o) {
    options_ = o;
    codel_.set(o.codel);
  }
  std::size_t count(phase p) const {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [p](const one& c) { return c.at == p; }));
  }
  bool hopeless(const one& c, instant now) const {
    return options_.expire && c.deadline != instant::never() && now >= c.deadline - options_.service_time;
  }
  static void reject(one& c, reason why) {
    c.at = phase::rejected;
    c.why = why;
  }
  /// Those who wait, in the order in which they came.
  std::vector<one*> line() {
    std::vector<one*> out;
    for (one& c : all) {
      if (c.at == phase::waits) out.push_back(&c);
    }
    return out;
  }
  void drop(one& c, reason why) {
    leave_line(c);
    c.at = phase::dropped;
    c.why = why;
    c.poked = true;
  }
  void leave_line(one& c) {
    if (c.at != phase::waits) return;
    c.at = phase::gone;
    for (const one* other : line()) {
      if (other->key == c.key) return;
    }
    std::erase(ring_, c.key);
  }
  void enter_ring(std::uint32_t key) {
    if (std::find(ring_.begin(), ring_.end(), key) == ring_.end()) ring_.push_back(key);
  }

  void look_at_the_time(instant now) {
    for (one* c : line()) {
      if (hopeless(*c, now)) drop(*c, reason::wait_timed_out);
    }
  }
  /// More than one if fewer may wait than before.
  bool make_room(const one& newcomer) {
    auto l = line();
    std::vector<one*> gone;
    while (l.size() >= options_.max_waiting) {
      const auto who = weakest(l, newcomer);
      if (who == l.end()) return false;
      gone.push_back(*who);
      l.erase(who);
    }
    for (one* c : gone) drop(*c, reason::queue_full);
    return true;
  }
  std::vector<one*>::iterator weakest(std::vector<one*>& l, const one& newcomer) const {
    switch (options_.when_full) {
      case full::drop_oldest: return l.begin();
      case full::drop_newest: return l.end() - 1;
      case full::drop_lowest: {
        auto lowest = l.begin();
        for (auto c = l.begin(); c != l.end(); ++c) {
          if ((*c)->priority <= (*lowest)->priority) lowest = c;
        }
        return (*lowest)->priority < newcomer.priority ? lowest : l.end();
      }
      default: return l.end();
    }
  }

  one* head(instant now) {
    const auto l = line();
    one* best = l.front();
    switch (options_.order) {
      case order::fifo: return best;
      case order::lifo: return l.back();
      case order::adaptive_lifo: {
        const bool bounded = best->deadline != instant::never();
        const auto patience =
            bounded ? seawall::duration::from_ns(static_cast<std::int64_t>(
                          static_cast<double>((best->deadline - best->since).ns()) * options_.patience_share))
                    : options_.patience;
        return now >= best->since + patience ? l.back() : best;
      }
      case order::priority:
        for (one* c : l) {
          if (c->since - options_.aging * c->priority < best->since - options_.aging * best->priority)
            best = c;
        }
        return best;
      case order::earliest_deadline:
        for (one* c : l) {
          if (c->deadline < best->deadline) best = c;
        }
        return best;
      case order::fair:
        for (one* c : l) {
          if (c->key == ring_.front()) return c;
        }
    }
    return best;
  }
  void hand_out(instant now) {
    while (waiting() > 0 && running() < options_.max_concurrent) {
      one& c = *head(now);
      if (options_.order == order::fair) std::rotate(ring_.begin(), ring_.begin() + 1, ring_.end());
      leave_line(c);
      c.poked = true;
      if (codel_.drops(now - c.since, waiting() == 0, now) || c.until <= now) {
        c.at = phase::dropped;
        c.why = reason::wait_timed_out;
      } else {
        c.at = phase::granted;
      }
    }
  }

  seawall::admission_options options_;
  seawall::core::controlled_delay codel_;
  std::vector<std::uint32_t> ring_;  // keys of those who wait; the first one's turn is next
  std::uint64_t arrivals_ = 0;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_ADMISSION_MODEL_HPP
