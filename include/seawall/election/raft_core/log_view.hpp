// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_LOG_VIEW_HPP
#define SEAWALL_ELECTION_RAFT_CORE_LOG_VIEW_HPP

// A replica's log as it stands in memory: a snapshot and what follows it, with the membership that is in force. What of
// it is on the disk is disk_book.hpp's concern; what is committed, the core's.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/election/raft_core/quorum.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft {

/// What an entry counts for in all bounds: its contents, and a flat rate for the rest.
inline std::size_t cost_of(const entry& e) noexcept {
  constexpr std::size_t flat = 32;
  return flat + e.command.size() + (e.members.voters.size() + e.members.learners.size()) * sizeof(node_id);
}

/// Thread safety: distinct objects safe.
class log_view {
 public:
  /// What is given must be free of contradictions: see `contradiction`.
  log_view(snapshot base, std::vector<entry> entries) : entries_(std::move(entries)) {
    base_ = std::make_shared<const snapshot>(std::move(base));
    memberships_.push_back({base_->index, base_->members});
    for (const entry& e : entries_) note(e);
    assert(entries_.empty() || entries_.front().index == base_->index + 1);
    assert(entries_.empty() || entries_.back().index == last_index());
  }

  log_index base_index() const noexcept { return base_->index; }
  log_index last_index() const noexcept { return base_->index + entries_.size(); }
  term_number last_term() const noexcept { return entries_.empty() ? base_->term : entries_.back().term; }
  std::size_t bytes() const noexcept { return bytes_; }
  /// Shared, so that it can be sent on while a newer one takes its place.
  const std::shared_ptr<const snapshot>& base() const noexcept { return base_; }

  const entry& at(log_index i) const noexcept {
    assert(i > base_index() && i <= last_index());
    return entries_[i - base_index() - 1];
  }
  /// Empty for what is compacted or not there yet.
  std::optional<term_number> term_at(log_index i) const noexcept {
    if (i == base_index()) return base_->term;
    if (i < base_index() || i > last_index()) return std::nullopt;
    return at(i).term;
  }
  bool matches(log_index i, term_number t) const noexcept { return term_at(i) == t; }

  /// True if a log that ends with (`last`, `term`) has all that this one could have committed (thesis, section 3.6.1).
  bool accepts(log_index last, term_number term) const noexcept {
    return term != last_term() ? term > last_term() : last >= last_index();
  }
  /// The last index up to `from` whose term is not above `term`: behind it, two logs cannot agree if the other one's term at
  /// `from` is `term`. Not below the base.
  log_index may_agree(log_index from, term_number term) const noexcept {
    log_index i = std::min(from, last_index());
    while (i > base_index() && at(i).term > term) --i;
    assert(i <= last_index());
    return i;
  }

  /// In force from when it is in the log, committed or not (thesis, section 4.1).
  const membership& members() const noexcept { return memberships_.back().members; }
  log_index members_index() const noexcept { return memberships_.back().index; }
  /// True if `node` is a voter in the membership as of `index`, or in a later one.
  bool votes_since(log_index index, node_id node) const noexcept {
    for (auto m = memberships_.rbegin(); m != memberships_.rend(); ++m) {
      if (contains(m->members.voters, node)) return true;
      if (m->index <= index) break;
    }
    return false;
  }

  void append(entry e) {
    assert(e.index == last_index() + 1);
    assert(e.term >= last_term());
    note(e);
    entries_.push_back(std::move(e));
  }
  /// Removes entries from `from` on, and the memberships that came with them.
  void cut(log_index from) {
    assert(from > base_index() && from <= last_index());
    while (last_index() >= from) {
      bytes_ -= cost_of(entries_.back());
      entries_.pop_back();
    }
    while (memberships_.back().index >= from && memberships_.size() > 1) memberships_.pop_back();
    assert(members_index() <= last_index());
  }
  /// Entries up to `index` give way to `state`.
  void compact(log_index index, std::string state) {
    assert(index > base_index() && index <= last_index());
    const auto newer = std::find_if(memberships_.begin(), memberships_.end(),
                                    [index](const in_force& m) { return m.index > index; });
    assert(newer != memberships_.begin());
    snapshot s{.index = index,
               .term = at(index).term,
               .members = std::prev(newer)->members,
               .state = std::move(state)};
    memberships_.erase(memberships_.begin(), std::prev(newer));
    memberships_.front().index = index;
    const auto kept = entries_.begin() + static_cast<std::ptrdiff_t>(index - base_index());
    for (auto e = entries_.begin(); e != kept; ++e) bytes_ -= cost_of(*e);
    entries_.erase(entries_.begin(), kept);
    base_ = std::make_shared<const snapshot>(std::move(s));
  }
  /// Everything gives way to `s`.
  void reset(snapshot s) {
    assert(s.index > base_index());
    base_ = std::make_shared<const snapshot>(std::move(s));
    entries_.clear();
    bytes_ = 0;
    memberships_.assign(1, {base_->index, base_->members});
    assert(last_index() == base_->index);
  }

 private:
  struct in_force {
    log_index index;
    membership members;
  };

  void note(const entry& e) {
    bytes_ += cost_of(e);
    if (e.kind == entry_kind::members) memberships_.push_back({e.index, e.members});
  }

  std::shared_ptr<const snapshot> base_;
  std::vector<entry> entries_;
  std::vector<in_force> memberships_;  // the base's, and those of the entries; ascending
  std::size_t bytes_ = 0;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_LOG_VIEW_HPP
