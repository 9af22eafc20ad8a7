// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_FOLLOWING_HPP
#define SEAWALL_ELECTION_RAFT_CORE_FOLLOWING_HPP

// Being led: taking entries and snapshots from the leader of the term. Members of raft_core; see machine.hpp.

#include <algorithm>
#include <cassert>
#include <utility>

#include "seawall/election/raft_core/machine.hpp"

namespace seawall::raft {

/// False if `m` claims a second leader in this term, which no correct replica does.
inline bool raft_core::follow(const message& m) {
  assert(m.term == hard_.term);
  if (lead_ || (leader_ != nobody && leader_ != m.from)) return false;
  if (role_ == role::candidate || role_ == role::pre_candidate) become_follower(hard_.term, m.from);
  leader_ = m.from;
  contact_ = now_;
  postpone_election(options_.election_timeout);
  assert(role_ == role::follower || role_ == role::learner);
  return true;
}

inline void raft_core::on_append(message& m) {
  if (!follow(m)) return;
  // What has committed here is in every later leader's log: it need not be compared, and may be compacted away.
  if (m.index > commit_ && !log_.matches(m.index, m.log_term)) return refuse_append(m);
  const log_index reaches = append_entries(m);
  commit_to(std::min(m.commit, defect(mutant::commit_beyond_match) ? log_.last_index() : reaches));
  settle_role();
  acknowledge(m, message_kind::append_reply, std::max(reaches, commit_));
}

/// Returns up to where the log now agrees with the leader's. Entries that agree stay, whatever comes after them: an append that
/// comes late must not remove what a later one brought.
inline log_index raft_core::append_entries(message& m) {
  const auto cut = [this](log_index from) {
    assert(from > commit_);
    disk_.log_cut(from);
    log_.cut(from);
  };
  const bool from_zero = defect(mutant::append_from_zero_after_compaction) && m.index == 0;
  if (from_zero && log_.base_index() > 0 && log_.last_index() > commit_) cut(commit_ + 1);
  log_index reaches = m.index;
  for (entry& e : m.entries) {
    if (e.index > commit_ && !log_.matches(e.index, e.term)) {
      if (e.index <= log_.last_index()) cut(e.index);
      const bool full = log_.bytes() + cost_of(e) > options_.max_log_bytes && applied_ > log_.base_index();
      if (full || e.term < log_.last_term()) break;
      log_.append(std::move(e));
      reaches = log_.last_index();
    } else {
      reaches = e.index;
    }
  }
  const bool cuts = defect(mutant::append_cuts_agreeing) && !m.entries.empty();
  if (cuts && reaches >= commit_ && reaches < log_.last_index()) cut(reaches + 1);
  assert(reaches <= std::max(log_.last_index(), commit_));
  return reaches;
}

/// Says where the logs may agree, so that the leader skips a whole term at a time (thesis, section 3.5, end).
inline void raft_core::refuse_append(const message& m) {
  assert(m.index > commit_);
  message r = to(m.from, message_kind::append_reply);
  r.index = m.index;
  r.round = m.round;
  r.hint = std::max(log_.may_agree(m.index, m.log_term), commit_);
  r.hint_term = log_.term_at(r.hint).value_or(0);
  assert(detail::is_place(r.hint, r.hint_term));
  send(std::move(r));
}

/// Leaves once all up to `index` is durable, and the term as well.
inline void raft_core::acknowledge(const message& m, message_kind kind, log_index index) {
  assert(index <= log_.last_index());
  message r = to(m.from, kind);
  r.granted = true;
  r.index = index;
  r.round = m.round;
  send(std::move(r), std::max(disk_.number_for_hard(), disk_.number_for(index)));
}

inline void raft_core::on_install(message& m) {
  if (!follow(m)) return;
  if (m.index <= commit_) return acknowledge(m, message_kind::install_reply, commit_);
  // Only an entry of the same term at that index says that the log before it is the snapshot's.
  const bool kept = defect(mutant::conflict_kept_at_snapshot) && m.index <= log_.last_index();
  if (kept || log_.matches(m.index, m.log_term)) {
    commit_to(m.index);
    settle_role();
    return acknowledge(m, message_kind::install_reply, m.index);
  }
  const bool same = arriving_ && arriving_->from == m.from && arriving_->what.index == m.index &&
                    arriving_->what.term == m.log_term;
  if (!same) {
    arriving_ = arrival{{.index = m.index, .term = m.log_term, .members = m.members, .state = {}}, m.from};
  }
  std::string& state = arriving_->what.state;
  if (m.offset == state.size() && m.bytes.size() <= options_.max_snapshot_bytes - state.size()) {
    state += m.bytes;
    if (m.last) return install(m);
  }
  assert(state.size() <= options_.max_snapshot_bytes);
  message r = to(m.from, message_kind::install_reply);
  r.index = m.index;
  r.round = m.round;
  r.offset = state.size();
  send(std::move(r));
}

inline void raft_core::install(const message& m) {
  assert(arriving_ && arriving_->what.index > commit_);
  snapshot s = std::move(arriving_->what);
  arriving_.reset();
  disk_.installed(s.index, commit_);
  out_.restore = s;
  commit_ = applied_ = s.index;
  log_.reset(std::move(s));
  settle_role();
  assert(log_.last_index() == m.index);
  acknowledge(m, message_kind::install_reply, m.index);
}

/// It does not know yet that the term has moved on, and would go on for ever.
inline void raft_core::answer_past_leader(const message& m) {
  assert(m.term < hard_.term);
  if (m.kind != message_kind::append && m.kind != message_kind::install) return;
  message r = to(m.from, message_kind::append_reply);
  r.index = m.index;
  r.round = m.round;
  send(std::move(r));
}

inline void raft_core::commit_to(log_index index) {
  assert(!lead_);
  assert(index <= log_.last_index() || index <= commit_);
  commit_ = std::max(commit_, index);
}

/// A follower that has become a voter may campaign; one that is not, or has been one for the last time, may not.
inline void raft_core::settle_role() {
  if (role_ != role::follower && role_ != role::learner) return;
  assert(!lead_);
  role_ = may_campaign() ? role::follower : role::learner;
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_FOLLOWING_HPP
