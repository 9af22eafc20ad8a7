// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_DISK_BOOK_HPP
#define SEAWALL_ELECTION_RAFT_CORE_DISK_BOOK_HPP

// Keeps books on the disk: what differs from it, which writes are under way, how far it is durable, and when it last
// was quick. Writes nothing itself; a persist says what is to be written.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "seawall/election/raft_core/defects.hpp"
#include "seawall/election/raft_core/log_view.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/time.hpp"

namespace seawall::raft {

/// Guarantees:
/// 1. A persist holds everything in which memory then differs from what earlier ones have written.
/// 2. An index counts as durable only if the very entry that is in memory is.
///
/// Thread safety: distinct objects safe.
class disk_book {
 public:
  /// Up to `last` everything is on the disk.
  disk_book(log_index last, instant now) noexcept : handed_(last), stable_(last), durable_at_(now) {}

  // What has changed in memory. Entries beyond the last that was handed over need no mention.

  void hard_changed() noexcept {
    hard_dirty_ = true;
    hard_number_ = next_;
  }
  void log_cut(log_index from) noexcept {
    assert(from > 0);
    forget_beyond(from - 1);
    if (from > handed_) return;
    handed_ = from - 1;
    cut_from_ = cut_from_ == 0 ? from : std::min(cut_from_, from);
  }
  /// The log was replaced; up to `agreed` the old one was the same.
  void installed(log_index index, log_index agreed) noexcept {
    assert(agreed < index);
    if (!defect(mutant::snapshot_during_append)) forget_beyond(agreed);
    base_ = base_change::replaces;
    handed_ = index;
    cut_from_ = 0;
  }
  void compacted(log_index index) noexcept {
    assert(index > 0);
    if (base_ == base_change::none) base_ = base_change::shortens;
    handed_ = std::max(handed_, index);
    if (cut_from_ != 0) cut_from_ = std::max(cut_from_, index + 1);
  }
  /// The hard state is to be written again, only to see how long that takes.
  void probe() noexcept { hard_dirty_ = true; }

  // Writes.

  bool dirty(log_index last) const noexcept {
    return hard_dirty_ || base_ != base_change::none || cut_from_ != 0 || last > handed_;
  }
  std::size_t under_way() const noexcept { return under_way_.size(); }

  persist issue(const hard_state& hard, const log_view& log, instant now) {
    assert(dirty(log.last_index()));
    assert(handed_ <= log.last_index() && handed_ >= log.base_index());
    persist p{.number = next_++};
    if (hard_dirty_) p.hard = hard;
    hard_dirty_ = defect(mutant::term_and_vote_apart) && leave_vote_for_later(p);
    if (base_ != base_change::none) {
      p.base = *log.base();
      p.keep_entries = base_ == base_change::shortens;
    }
    p.cut_from = cut_from_;
    p.append.reserve(log.last_index() - handed_);
    for (log_index i = handed_ + 1; i <= log.last_index(); ++i) p.append.push_back(log.at(i));
    base_ = base_change::none;
    cut_from_ = 0;
    handed_ = log.last_index();
    under_way_.push_back({p.number, handed_, now});
    return p;
  }
  /// All up to `number` are durable. Numbers that were never issued are not believed.
  bool done(std::uint64_t number) noexcept {
    if (number >= next_) return false;
    while (!under_way_.empty() && under_way_.front().number <= number) {
      stable_ = std::max(stable_, under_way_.front().last);
      durable_at_ = under_way_.front().at;
      under_way_.pop_front();
    }
    done_ = std::max(done_, number);
    assert(stable_ <= handed_);
    return true;
  }

  // What is durable: now, and after which persist.

  std::uint64_t last_done() const noexcept { return done_; }
  std::uint64_t last_issued() const noexcept { return next_ - 1; }
  log_index stable() const noexcept { return stable_; }
  bool hard_durable() const noexcept { return hard_number_ <= done_; }
  std::uint64_t number_for_hard() const noexcept { return hard_number_; }
  std::uint64_t number_for(log_index index) const noexcept {
    if (index <= stable_) return 0;
    for (const write& w : under_way_) {
      if (w.last >= index) return w.number;
    }
    return next_;
  }
  /// When the latest write that is durable was asked for: from then on the disk was slow, if it is.
  instant durable_at() const noexcept { return durable_at_; }
  instant oldest_under_way() const noexcept {
    return under_way_.empty() ? instant::never() : under_way_.front().at;
  }

 private:
  enum class base_change : std::uint8_t { none, shortens, replaces };

  struct write {
    std::uint64_t number;
    log_index last;  // durable with it, if the log was not cut since
    instant at;
  };

  /// Writes under way may end with entries that are no longer the log's.
  void forget_beyond(log_index last) noexcept {
    stable_ = std::min(stable_, last);
    for (write& w : under_way_) w.last = std::min(w.last, last);
  }

  bool leave_vote_for_later(persist& p) noexcept {
    if (!p.hard || p.hard->vote == nobody || vote_left_) return vote_left_ = false;
    p.hard->vote = nobody;
    return vote_left_ = true;
  }

  std::uint64_t next_ = 1;
  std::uint64_t done_ = 0;
  std::uint64_t hard_number_ = 0;  // the persist with which the present hard state becomes durable
  bool hard_dirty_ = false;
  bool vote_left_ = false;  // of a mutant
  base_change base_ = base_change::none;
  log_index cut_from_ = 0;
  log_index handed_;  // up to here memory's entries are on the disk or in a write
  log_index stable_;
  instant durable_at_;
  std::deque<write> under_way_;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_DISK_BOOK_HPP
