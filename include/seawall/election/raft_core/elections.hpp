// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_ELECTIONS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_ELECTIONS_HPP

// Who leads: time-outs, pre-votes, votes, and the changes between roles. Members of raft_core; see machine.hpp.

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <utility>

#include "seawall/election/raft_core/machine.hpp"

namespace seawall::raft {

/// The time F, which leases are built on: whoever has followed a leader votes for nobody else before that leader's lease has
/// ended. What was promised before a restart is not remembered, hence a start counts as having heard a leader.
inline bool raft_core::refuses_votes() const noexcept {
  if (lead_) return true;
  const duration f = options_.election_timeout;
  const bool restarted = !new_here_ && !defect(mutant::votes_at_once_after_restart) && now_ < started_ + f;
  return restarted || (contact_ && now_ < *contact_ + f);
}

/// Also a replica that was removed, until that has committed: perhaps nobody else has the entry that removes it, and those who have
/// not got it cannot win against the longer log. Its own vote does not count then. (Thesis, section 4.2.2.)
inline bool raft_core::may_campaign() const noexcept { return log_.votes_since(commit_, options_.self); }

inline void raft_core::postpone_election(duration least) {
  assert(least > duration::zero());
  const auto spread = static_cast<std::uint64_t>(options_.election_jitter.ns());
  // Drawn anew each time: two that collide do so again only by chance.
  const std::uint64_t drawn = defect(mutant::equal_time_outs) ? 0 : random_.up_to(spread);
  election_at_ = now_ + least + duration::from_ns(static_cast<std::int64_t>(drawn));
}

inline void raft_core::election_due() {
  assert(!lead_ && now_ >= election_at_);
  if (!defect(mutant::former_leader_refused)) leader_ = nobody;
  if (role_ == role::learner) return postpone_election(options_.election_timeout);
  // A disk too slow to keep a vote makes no leader, but a new term at each attempt.
  const bool stalled = now_ >= disk_.oldest_under_way() + options_.disk_limit;
  if (stalled || refuses_votes()) return postpone_election(options_.election_timeout);
  if (defect(mutant::removed_servers_disrupt)) return campaign(false);
  pre_campaign();
}

/// Asks who would vote before anything is changed: a replica that cannot win disturbs nobody (thesis, section 9.6).
inline void raft_core::pre_campaign() {
  assert(may_campaign() && !lead_);
  role_ = role::pre_candidate;
  votes_.clear();
  // Whoever campaigns has waited for F already.
  postpone_election(options_.election_timeout / 2);
  ask_for_votes(message_kind::pre_vote, hard_.term + 1, false);
  count_votes();
}

inline void raft_core::campaign(bool by_transfer) {
  assert(may_campaign() && !lead_);
  enter_term({.term = hard_.term + 1, .vote = options_.self});
  role_ = role::candidate;
  leader_ = nobody;
  votes_.clear();
  postpone_election(options_.election_timeout / 2);
  ask_for_votes(message_kind::vote, hard_.term, by_transfer);
  count_votes();
}

inline void raft_core::ask_for_votes(message_kind kind, term_number in_term, bool by_transfer) {
  for (const node_id voter : log_.members().voters) {
    if (voter == options_.self) continue;
    message m = to(voter, kind);
    m.term = in_term;
    m.index = log_.last_index();
    m.log_term = log_.last_term();
    m.by_transfer = by_transfer;
    send(std::move(m));
  }
}

/// The own vote counts once it is durable, as the others' do; before that, nobody else was asked.
inline void raft_core::count_votes() {
  assert(role_ == role::pre_candidate || role_ == role::candidate);
  if (role_ == role::candidate && !disk_.hard_durable()) return;
  const bool won = is_quorum(log_.members().voters, [this](node_id voter) {
    return voter == options_.self || std::find(votes_.begin(), votes_.end(), voter) != votes_.end();
  });
  if (!won) return;
  if (role_ == role::pre_candidate) return campaign(false);
  become_leader();
}

inline void raft_core::on_pre_vote(const message& m) {
  if (defect(mutant::pre_vote_is_contact)) contact_ = now_;
  if (defect(mutant::pre_vote_deadlock) && m.term <= hard_.term) return;
  const bool former = defect(mutant::former_leader_refused) && m.from == leader_;
  const bool granted =
      m.term > hard_.term && log_.accepts(m.index, m.log_term) && !refuses_votes() && !former;
  message r = to(m.from, message_kind::pre_vote_reply);
  r.granted = granted;
  // Refused: our term, so that a longer log with a lower term learns of it and can win in the next one.
  if (granted) r.term = m.term;
  if (r.term == 0) return;  // a replica that has never taken part: nothing to be learned from
  send(std::move(r));
}

inline void raft_core::on_vote(const message& m) {
  const bool stranger = defect(mutant::removed_servers_disrupt) && !contains(log_.members(), m.from);
  // Without a word, and without taking over the term: so do servers that were removed, and not told of it, disturb nobody.
  // A leader that hands over has ended its lease before it asked for this.
  if (m.term >= hard_.term && !m.by_transfer && !stranger && refuses_votes()) return;
  if (m.term > hard_.term) become_follower(m.term, nobody);
  const bool free = hard_.vote == nobody || hard_.vote == m.from;
  const bool granted = m.term == hard_.term && free && !lead_ && log_.accepts(m.index, m.log_term);
  if (granted) {
    if (hard_.vote != m.from) enter_term({.term = hard_.term, .vote = m.from});
    if (role_ == role::pre_candidate) become_follower(hard_.term, nobody);
    postpone_election(options_.election_timeout);
  }
  message r = to(m.from, message_kind::vote_reply);
  r.granted = granted;
  send(std::move(r));
}

inline void raft_core::take_vote(node_id from) {
  assert(from != options_.self);
  const bool known = std::find(votes_.begin(), votes_.end(), from) != votes_.end();
  if (!known && contains(log_.members(), from)) votes_.push_back(from);
  assert(votes_.size() < max_members);
  count_votes();
}

inline void raft_core::on_pre_vote_reply(const message& m) {
  if (!m.granted) {
    if (m.term > hard_.term && role_ == role::pre_candidate) become_follower(m.term, nobody);
    return;
  }
  if (role_ != role::pre_candidate || m.term != hard_.term + 1) return;
  take_vote(m.from);
}

inline void raft_core::on_vote_reply(const message& m) {
  assert(m.term == hard_.term);
  if (role_ != role::candidate || !m.granted) return;
  take_vote(m.from);
}

/// Honoured only from the leader that is followed, in its term: that one has stepped down when it sent this, and whoever leads later
/// has a term of its own. (Thesis, section 3.10.)
inline void raft_core::on_time_out_now(const message& m) {
  const bool late = m.term != hard_.term || m.from != leader_;
  if (late && !defect(mutant::delayed_time_out_now)) return;
  if (role_ != role::follower || m.index > log_.last_index()) return;
  campaign(true);
}

/// Term and vote change together, or not at all.
inline void raft_core::enter_term(hard_state next) {
  assert(next.term > hard_.term || (next.term == hard_.term && hard_.vote == nobody));
  if (next.term > hard_.term) {
    if (!defect(mutant::kept_back_across_terms)) kept_.clear();
    arriving_.reset();
  }
  hard_ = next;
  disk_.hard_changed();
}

inline void raft_core::become_follower(term_number in_term, node_id leader) {
  assert(in_term >= hard_.term);
  if (in_term > hard_.term) {
    enter_term({.term = in_term, .vote = nobody});
  } else if (defect(mutant::vote_cleared_on_step_down) && role_ == role::candidate) {
    hard_.vote = nobody;
    disk_.hard_changed();
  }
  if (lead_) {
    for (const waiting_entry& w : lead_->entries) answer(w.request, refusal::unknown);
    for (const waiting_read& r : lead_->reads) answer(r.request, refusal::not_leader);
    lead_.reset();
    postpone_election(options_.election_timeout);
  }
  role_ = role::follower;
  leader_ = leader;
  votes_.clear();
  settle_role();
}

inline void raft_core::become_leader() {
  assert(role_ == role::candidate && disk_.hard_durable());
  assert(hard_.vote == options_.self);
  role_ = role::leader;
  leader_ = options_.self;
  contact_.reset();
  votes_.clear();
  arriving_.reset();
  lead_.emplace(now_);
  for (log_index i = commit_ + 1; i <= log_.last_index(); ++i)
    lead_->uncommitted_bytes += cost_of(log_.at(i));
  lead_->first_own = log_.last_index() + 1;
  lead_->heartbeat_at = now_ + options_.heartbeat;
  lead_->rounds.open(now_);
  // The first entry of all tells the membership: a replica that is taken in later starts without one, and neither its snapshots
  // nor whoever gets these could do without (thesis, section 4.4).
  if (log_.last_index() == 0) {
    propose(entry_kind::members, {}, log_.members(), std::nullopt);
  } else {
    propose(entry_kind::nothing, {}, {}, std::nullopt);
  }
  settle_followers();
  settle_rounds();
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_ELECTIONS_HPP
