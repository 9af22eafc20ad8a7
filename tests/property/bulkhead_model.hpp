// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_BULKHEAD_MODEL_HPP
#define SEAWALL_TESTS_PROPERTY_BULKHEAD_MODEL_HPP

// A bulkhead as a list of calls, slow and obvious: what is free is counted anew each time, and whose turn it is is found by
// looking at everybody. No words with several meanings, no stripes, no heaps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/core/bulkhead_options.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace property {

using seawall::reason;
using seawall::wait_order;

class bulkhead_model {
 public:
  enum class phase : std::uint8_t { waits, granted, sent_away, runs, rejected, gone };

  struct one {
    std::size_t number = 0;
    std::int64_t weight = 1;
    std::size_t partition = 0;
    int priority = 0;
    seawall::instant deadline = seawall::instant::never();
    seawall::instant until = seawall::instant::never();
    seawall::instant came = {};
    bool may_wait = true;
    phase at = phase::gone;
    reason why = reason::none;
    bool poked = false;
  };

  bulkhead_model(seawall::bulkhead_options o, seawall::instant now) : options(std::move(o)), told(now) {
    recalled_until.assign(options.partitions.size() + 1, seawall::instant::from_ns(INT64_MIN));
    standing_since.assign(options.partitions.size() + 1, now);
  }

  /// Returns the call's number.
  std::size_t comes(one c, seawall::instant now) {
    told = now;
    c.number = all.size();
    c.came = now;
    const bool somebody_waits = waiting() != 0;
    all.push_back(c);
    one& self = all.back();
    if (!somebody_waits && fits(self)) {
      self.at = phase::runs;
      return self.number;
    }
    if (options.max_waiting == 0) self.may_wait = false;
    if (self.may_wait && self.weight > std::int64_t{options.max_concurrent})
      return rejected(self, reason::limit_reached);
    if (!self.may_wait && !somebody_waits) {
      recall(self);
      return rejected(self, reason::limit_reached);
    }
    if (waiting_in(self.partition) == 0) standing_since[self.partition] = now;
    self.at = phase::waits;
    grant();
    if (self.at == phase::granted) {
      self.at = phase::runs;
      self.poked = false;
      return self.number;
    }
    if (!self.may_wait) self.at = phase::gone;
    recall(self);
    if (!self.may_wait) return rejected(self, reason::limit_reached);
    if (waiting_in(self.partition) > options.max_waiting) make_room(self);
    return self.number;
  }

  void looks(one& c, seawall::instant now) {
    told = now;
    if (c.at == phase::waits) grant();
    if (c.at == phase::sent_away) {
      c.at = phase::rejected;
    } else if (c.until <= told) {
      c.at = phase::rejected;
      c.why = reason::wait_timed_out;
      grant();
    } else if (c.at == phase::granted) {
      c.at = phase::runs;
    }
  }
  void ends(one& c, seawall::instant now) {
    told = now;
    c.at = phase::gone;
    grant();
  }
  /// Nobody tells the time.
  void leaves(one& c) {
    c.at = phase::gone;
    grant();
  }
  void reconfigure(seawall::bulkhead_options o) {
    options = std::move(o);
    for (one& c : all) {
      if (c.at == phase::waits && c.weight > std::int64_t{options.max_concurrent})
        send_away(c, reason::limit_reached);
    }
    grant();
  }

  std::int64_t in_use() const {
    std::int64_t sum = 0;
    for (const one& c : all) sum += holds(c) ? c.weight : 0;
    return sum;
  }
  std::size_t waiting() const {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const one& c) { return c.at == phase::waits; }));
  }

  std::vector<one> all;
  seawall::bulkhead_options options;

 private:
  static bool holds(const one& c) { return c.at == phase::runs || c.at == phase::granted; }

  std::size_t waiting_in(std::size_t partition) const {
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const one& c) {
      return c.at == phase::waits && c.partition == partition;
    }));
  }
  std::int64_t used_by(std::size_t partition) const {
    std::int64_t sum = 0;
    for (const one& c : all) sum += holds(c) && c.partition == partition ? c.weight : 0;
    return sum;
  }
  std::int64_t share_of(std::size_t partition) const {
    return partition < options.partitions.size() ? options.partitions[partition].guaranteed : 0;
  }
  bool within_share(const one& c) const {
    if (options.partitions.empty()) return c.weight == 0;
    return used_by(c.partition) + c.weight <= share_of(c.partition);
  }
  bool fits(const one& c) const {
    const std::int64_t left = options.max_concurrent - in_use() - c.weight;
    std::int64_t kept = 0;
    for (std::size_t p = 0; p < recalled_until.size(); ++p) {
      if (p != c.partition && recalled_until[p] > told)
        kept += std::max<std::int64_t>(0, share_of(p) - used_by(p));
    }
    return left >= (within_share(c) ? 0 : kept);
  }
  void recall(const one& c) {
    if (options.partitions.empty() || !within_share(c)) return;
    recalled_until[c.partition] = told + options.recall_for;
  }

  bool newest_first(std::size_t partition) const {
    return options.order == wait_order::lifo || (options.order == wait_order::adaptive_lifo &&
                                                 told - standing_since[partition] >= options.lifo_after);
  }
  // Of one partition.
  bool earlier(const one& a, const one& b) const {
    if (newest_first(a.partition)) return a.number > b.number;
    if (options.order == wait_order::by_deadline && a.deadline != b.deadline) return a.deadline < b.deadline;
    if (options.order == wait_order::by_priority) {
      const auto worth = [&](const one& c) {
        return options.aging == seawall::duration::zero()
                   ? std::int64_t{c.priority}
                   : c.priority * options.aging.ns() + (told - c.came).ns();
      };
      if (worth(a) != worth(b)) return worth(a) > worth(b);
    }
    return a.number < b.number;
  }
  one* end_of(std::size_t partition, bool first) {
    one* best = nullptr;
    for (one& c : all) {
      if (c.at != phase::waits || c.partition != partition) continue;
      if (best == nullptr || (first ? earlier(c, *best) : earlier(*best, c))) best = &c;
    }
    return best;
  }
  // Within the share before beyond it; then by the order, in which an adaptive list goes by arrival.
  one* next_in_line() {
    one* best = nullptr;
    for (std::size_t p = 0; p < recalled_until.size(); ++p) {
      one* const c = end_of(p, true);
      if (c == nullptr) continue;
      if (best == nullptr || within_share(*c) > within_share(*best)) {
        best = c;
      } else if (within_share(*c) == within_share(*best)) {
        const bool by_arrival = options.order == wait_order::adaptive_lifo;
        if (by_arrival ? c->number < best->number : earlier(*c, *best)) best = c;
      }
    }
    return best;
  }
  void grant() {
    while (one* const c = next_in_line()) {
      if (c->until <= told) {
        send_away(*c, reason::wait_timed_out);
      } else if (fits(*c)) {
        c->at = phase::granted;
        c->poked = true;
      } else {
        return;
      }
    }
  }
  void make_room(one& newcomer) {
    one* const last = options.displaces ? end_of(newcomer.partition, false) : &newcomer;
    if (last == &newcomer) {
      rejected(newcomer, reason::queue_full);
    } else {
      send_away(*last, reason::queue_full);
    }
  }
  void send_away(one& c, reason why) {
    c.at = phase::sent_away;
    c.why = why;
    c.poked = true;
  }
  static std::size_t rejected(one& c, reason why) {
    c.at = phase::rejected;
    c.why = why;
    return c.number;
  }

  seawall::instant told;
  std::vector<seawall::instant> recalled_until;
  std::vector<seawall::instant> standing_since;
};

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_BULKHEAD_MODEL_HPP
