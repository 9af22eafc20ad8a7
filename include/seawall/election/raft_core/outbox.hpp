// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_OUTBOX_HPP
#define SEAWALL_ELECTION_RAFT_CORE_OUTBOX_HPP

// Messages that are kept back until the disk has what they promise.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "seawall/election/raft_types.hpp"

namespace seawall::raft {

/// Bounded: of messages of a kind to a node that wait for the same persist only the last is kept, as it says the most; and
/// beyond `max_kept` a message is lost, as on a network.
///
/// Thread safety: distinct objects safe.
class outbox {
 public:
  static constexpr std::size_t max_kept = 1024;

  /// Until persist `number` is durable.
  void keep(message m, std::uint64_t number) {
    assert(number > 0);
    const auto same = std::find_if(kept_.begin(), kept_.end(), [&](const item& i) {
      return i.number == number && i.what.to == m.to && i.what.kind == m.kind && i.what.term == m.term &&
             i.what.granted == m.granted;
    });
    if (same != kept_.end()) {
      m.round = std::max(m.round, same->what.round);
      if (m.granted) m.index = std::max(m.index, same->what.index);
      same->what = std::move(m);
    } else if (kept_.size() < max_kept) {
      kept_.push_back({number, std::move(m)});
    }
    assert(kept_.size() <= max_kept);
  }
  /// In the order in which they were kept.
  void release(std::uint64_t done, std::vector<message>& out) {
    auto rest = kept_.begin();
    for (item& i : kept_) {
      if (i.number <= done) {
        out.push_back(std::move(i.what));
      } else {
        if (&i != &*rest) *rest = std::move(i);
        ++rest;
      }
    }
    kept_.erase(rest, kept_.end());
    assert(std::all_of(kept_.begin(), kept_.end(), [done](const item& i) { return i.number > done; }));
  }
  /// The term has moved on: what was promised in the last one must not be said any more. An acknowledgement of entries that are
  /// durable only now would count towards an old leader's commit, after this replica has promised to forget that leader.
  void clear() noexcept { kept_.clear(); }
  std::size_t size() const noexcept { return kept_.size(); }

 private:
  struct item {
    std::uint64_t number;
    message what;
  };

  std::vector<item> kept_;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_OUTBOX_HPP
