// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_LIVE_LOG_HPP
#define SEAWALL_ELECTION_LOG_FILE_LIVE_LOG_HPP

// What the records of a log come to: the newest term and vote, the place of the snapshot, the entries behind
// it. Kept in memory, so that a log that consists mostly of what is no longer true can be written anew
// without reading it.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "seawall/election/log_file/record.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft::wal {

/// Thread safety: distinct objects safe, shared objects unsafe.
class live_log {
 public:
  const hard_state& hard() const noexcept { return hard_; }
  const snapshot_place& base() const noexcept { return base_; }
  const std::deque<entry>& entries() const noexcept { return entries_; }
  std::uint64_t bytes() const noexcept { return bytes_; }  ///< of the entries, as they are written
  log_index last_index() const noexcept { return base_.index + entries_.size(); }

  /// Carries out what `p` says; `place` stands for its base. Nonsense is an error, after which this is of no
  /// more use.
  std::optional<std::string> accept(const persist& p, const snapshot_place& place) {
    auto error = accept_hard(p);
    if (!error && p.base) error = accept_base(p, place);
    if (!error && p.cut_from != 0) error = cut(p.cut_from);
    for (auto e = p.append.begin(); !error && e != p.append.end(); ++e) error = append(*e);
    return error;
  }

  /// What was read.
  std::optional<std::string> accept(const record& r) {
    if (r.checkpoint) *this = live_log();
    return accept(r.what, r.place);
  }

  /// All of it as one record.
  std::string checkpoint() const {
    persist all;
    all.hard = hard_;
    all.base.emplace();
    std::string out;
    out.reserve(bytes_ + 128);
    put_record(out, true, all, base_, entries_);
    return out;
  }

 private:
  using number = std::uint64_t;

  static std::string text(const char* what, number a, const char* between, number b) {
    return std::string(what) + std::to_string(a) + between + std::to_string(b);
  }
  term_number last_term() const noexcept { return entries_.empty() ? base_.term : entries_.back().term; }

  std::optional<std::string> accept_hard(const persist& p) {
    if (!p.hard) return std::nullopt;
    if (p.hard->term < hard_.term) return text("the term goes back from ", hard_.term, " to ", p.hard->term);
    if (p.hard->term == hard_.term && hard_.vote != nobody && p.hard->vote != hard_.vote)
      return text("the vote of one term changes from ", hard_.vote, " to ", p.hard->vote);
    hard_ = *p.hard;
    return std::nullopt;
  }

  std::optional<std::string> accept_base(const persist& p, const snapshot_place& place) {
    if (place.index < base_.index || place.term < base_.term)
      return text("the snapshot at index ", place.index, " is older than the one at ", base_.index);
    if (place.term > hard_.term) return text("a snapshot of term ", place.term, " in term ", hard_.term);
    if (!p.keep_entries || place.index >= last_index()) {
      entries_.clear();
      bytes_ = 0;
      base_ = place;
      return std::nullopt;
    }
    const term_number there =
        place.index == base_.index ? base_.term : entries_[place.index - base_.index - 1].term;
    if (there != place.term)
      return text("entries are kept behind a snapshot of term ", place.term, ", but the log has term ",
                  there);
    for (; base_.index < place.index; ++base_.index) {
      bytes_ -= bytes_of(entries_.front());
      entries_.pop_front();
    }
    base_ = place;
    return std::nullopt;
  }

  std::optional<std::string> cut(log_index from) {
    if (from <= base_.index)
      return text("entries are cut from ", from, ", behind a snapshot at ", base_.index);
    while (last_index() >= from) {
      bytes_ -= bytes_of(entries_.back());
      entries_.pop_back();
    }
    return std::nullopt;
  }

  std::optional<std::string> append(const entry& e) {
    if (e.index != last_index() + 1) return text("entry ", e.index, " comes after entry ", last_index());
    if (e.term < last_term()) return text("an entry of term ", e.term, " comes after one of ", last_term());
    if (e.term > hard_.term) return text("an entry of term ", e.term, " in term ", hard_.term);
    bytes_ += bytes_of(e);
    entries_.push_back(e);
    return std::nullopt;
  }

  hard_state hard_;
  snapshot_place base_;
  std::deque<entry> entries_;  // base_.index + 1 and on
  std::uint64_t bytes_ = 0;
};

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_LIVE_LOG_HPP
