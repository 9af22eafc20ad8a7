// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_LEADING_HPP
#define SEAWALL_ELECTION_RAFT_CORE_LEADING_HPP

// Leading: proposals, replication, commit, rounds with lease and reads, changes of membership, handing over. Members of
// raft_core; see machine.hpp.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/election/raft_core/machine.hpp"

namespace seawall::raft {

// What is asked of a leader.

inline void raft_core::on(input::proposed&& in) {
  if (halted_) return answer(in.request, refusal::halted);
  if (!lead_) return answer(in.request, refusal::not_leader);
  if (lead_->handing_over) return answer(in.request, refusal::transferring);
  if (in.command.size() > options_.max_entry_bytes) return answer(in.request, refusal::too_large);
  const bool too_many = log_.last_index() - commit_ >= options_.max_uncommitted ||
                        lead_->uncommitted_bytes + in.command.size() > options_.max_uncommitted_bytes ||
                        log_.bytes() + in.command.size() > options_.max_log_bytes;
  if (too_many) return answer(in.request, refusal::too_many);
  propose(entry_kind::command, std::move(in.command), {}, in.request);
}

/// One change at a time, and none before an entry of the own term has committed: else two leaders could each add a change to the
/// same membership, and commit by quorums that do not overlap (Ongaro, raft-dev, July 2015).
inline void raft_core::on(input::change&& in) {
  if (halted_) return answer(in.request, refusal::halted);
  if (!lead_) return answer(in.request, refusal::not_leader);
  if (lead_->handing_over) return answer(in.request, refusal::transferring);
  const bool opened = ready() || defect(mutant::change_before_own_commit);
  const bool settled = log_.members_index() <= commit_ || defect(mutant::change_while_changing);
  if (!opened || !settled) return answer(in.request, refusal::not_ready);
  if (!single_step(log_.members(), in.to)) return answer(in.request, refusal::bad_change);
  propose(entry_kind::members, {}, std::move(in.to), in.request);
}

/// Answered when a quorum has followed this leader after now, so that nobody else can have committed before (thesis, section 6.4).
inline void raft_core::on(input::read in) {
  if (halted_) return answer(in.request, refusal::halted);
  if (!lead_) return answer(in.request, refusal::not_leader);
  // Before that, the own commit index may be behind that of the last leader.
  if (!ready() && !defect(mutant::read_before_own_commit)) return answer(in.request, refusal::not_ready);
  if (lead_->reads.size() >= options_.max_reads) return answer(in.request, refusal::too_many);
  const std::uint64_t after = lead_->rounds.current();
  const std::uint64_t round = defect(mutant::read_round_reused) ? after : after + 1;
  lead_->reads.push_back({in.request, commit_, round});
}

inline void raft_core::on(input::transfer in) {
  if (!lead_ || lead_->handing_over) return;
  const bool possible = in.to == nobody || (in.to != options_.self && contains(members().voters, in.to));
  if (possible) lead_->handing_over = handover{in.to, now_ + options_.election_timeout, false};
}

inline void raft_core::on(input::resign) {
  if (lead_) {
    lead_->handing_over = handover{nobody, now_ + options_.election_timeout, true};
  } else if (role_ == role::candidate || role_ == role::pre_candidate) {
    become_follower(hard_.term, nobody);
    postpone_election(options_.election_timeout);
  }
}

inline void raft_core::propose(entry_kind kind, std::string command, membership members,
                               std::optional<std::uint64_t> request) {
  assert(lead_ && hard_.term >= log_.last_term());
  const log_index index = log_.last_index() + 1;
  entry e{.index = index,
          .term = hard_.term,
          .kind = kind,
          .command = std::move(command),
          .members = std::move(members)};
  lead_->uncommitted_bytes += cost_of(e);
  log_.append(std::move(e));
  if (request) lead_->entries.push_back({*request, index});
  if (kind == entry_kind::members) settle_followers();
  assert(log_.last_index() == index);
}

// Followers.

inline progress* raft_core::follower(node_id id) {
  assert(lead_);
  const auto found = std::find_if(lead_->followers.begin(), lead_->followers.end(),
                                  [id](const progress& p) { return p.id == id; });
  return found == lead_->followers.end() ? nullptr : &*found;
}

/// One for each other member, as the membership is now.
inline void raft_core::settle_followers() {
  std::vector<node_id> ids = members().voters;
  ids.insert(ids.end(), members().learners.begin(), members().learners.end());
  std::sort(ids.begin(), ids.end());
  std::vector<progress> settled;
  for (const node_id id : ids) {
    if (id == options_.self) continue;
    progress* const known = follower(id);
    if (known != nullptr) {
      settled.push_back(std::move(*known));
    } else {
      settled.emplace_back(id, std::max<log_index>(log_.last_index(), 1), now_);
    }
  }
  lead_->followers = std::move(settled);
  assert(lead_->followers.size() <= max_members);
}

inline void raft_core::on_append_reply(const message& m) {
  progress* const p = lead_ ? follower(m.from) : nullptr;
  if (p == nullptr || m.index > log_.last_index()) return;
  heard(*p, m.round);
  if (m.granted) return p->acknowledged(m.index);
  // Ours up to there has no term above the hint's: beyond it, nothing can agree.
  const log_index agrees = m.hint < log_.base_index() ? m.hint : log_.may_agree(m.hint, m.hint_term);
  p->refused(m.index, agrees);
  assert(p->next() > p->match());
}

inline void raft_core::on_install_reply(const message& m) {
  progress* const p = lead_ ? follower(m.from) : nullptr;
  if (p == nullptr || m.index > log_.last_index()) return;
  heard(*p, m.round);
  if (m.granted) return p->acknowledged(m.index);
  if (p->how() == way::installing && m.index == p->installs().index) p->part_answered(m.offset, m.round);
  assert(p->next() > p->match());
}

inline void raft_core::heard(progress& p, std::uint64_t round) {
  assert(lead_);
  p.heard_at = now_;
  if (round > lead_->rounds.current()) return;
  p.round = std::max(p.round, round);
  settle_rounds();
}

inline void raft_core::replicate_all() {
  for (progress& p : lead_->followers) replicate(p);
}

inline void raft_core::replicate(progress& p) {
  if (p.how() != way::installing && p.next() <= log_.base_index()) p.install(log_.base());
  if (p.how() == way::installing) {
    if (!p.part_under_way()) send_part(p);
    return;
  }
  while (p.next() <= log_.last_index() && p.may_append(options_)) send_append(p);
  if (p.idle() && p.told < commit_) send_heartbeat(p);
  assert(p.next() > log_.base_index());
}

inline void raft_core::send_append(progress& p) {
  message m = to(p.id, message_kind::append);
  m.index = p.next() - 1;
  m.log_term = log_.term_at(m.index).value_or(0);
  m.commit = p.told = commit_;
  m.round = lead_->rounds.current();
  std::size_t bytes = 0;
  for (log_index i = p.next(); i <= log_.last_index() && m.entries.size() < options_.max_batch_entries; ++i) {
    const std::size_t cost = cost_of(log_.at(i));
    if (!m.entries.empty() && bytes + cost > options_.max_batch_bytes) break;
    bytes += cost;
    m.entries.push_back(log_.at(i));
  }
  assert(!m.entries.empty());
  assert(detail::is_place(m.index, m.log_term));
  p.appended(m.entries.back().index, bytes);
  send(std::move(m));
}

inline void raft_core::send_part(progress& p) {
  const snapshot& s = p.installs();
  assert(p.offset() <= s.state.size());
  message m = to(p.id, message_kind::install);
  m.index = s.index;
  m.log_term = s.term;
  m.members = s.members;
  m.round = lead_->rounds.current();
  m.offset = p.offset();
  m.bytes = s.state.substr(p.offset(), options_.max_chunk_bytes);
  m.last = m.offset + m.bytes.size() == s.state.size();
  p.part_sent(m.round);
  send(std::move(m));
}

/// Says what was sent last, so that the answer tells whether it has come; of a snapshot, asks how much of it has.
inline void raft_core::send_heartbeat(progress& p) {
  if (p.how() != way::installing && p.next() <= log_.base_index()) p.install(log_.base());
  const bool installing = p.how() == way::installing;
  message m = to(p.id, installing ? message_kind::install : message_kind::append);
  m.round = lead_->rounds.current();
  if (installing) {
    m.index = p.installs().index;
    m.log_term = p.installs().term;
    m.members = p.installs().members;
    m.offset = p.offset();
  } else {
    m.index = p.next() - 1;
    m.log_term = log_.term_at(m.index).value_or(0);
    m.commit = p.told = commit_;
  }
  assert(detail::is_place(m.index, m.log_term));
  send(std::move(m));
}

/// Counts what is durable, here as elsewhere. Entries of earlier terms commit with the first of the own, never alone: they could be
/// overwritten yet (thesis, section 3.6.2).
inline void raft_core::advance_commit() {
  assert(lead_);
  const log_index own = defect(mutant::acknowledged_before_fsync) ? log_.last_index() : disk_.stable();
  const log_index reached = reached_by_quorum(members().voters, log_index{0}, [&](node_id voter) {
    return voter == options_.self ? own : follower(voter)->match();
  });
  if (reached <= commit_) return;
  assert(reached <= log_.last_index());
  if (log_.term_at(reached) != hard_.term && !defect(mutant::earlier_term_committed)) return;
  while (commit_ < reached) lead_->uncommitted_bytes -= cost_of(log_.at(++commit_));
  // A leader that was removed leads until that has committed, and then lets go (thesis, section 4.2.2).
  if (!is_voter() && log_.members_index() <= commit_ && !lead_->handing_over) on(input::resign{});
}

// Rounds: lease and reads.

inline void raft_core::open_round() {
  lead_->rounds.open(now_);
  assert(lead_->rounds.current() > lead_->answered);
  for (progress& p : lead_->followers) send_heartbeat(p);
  settle_rounds();
}

inline void raft_core::settle_rounds() {
  const std::uint64_t current = lead_->rounds.current();
  const std::uint64_t answered = reached_by_quorum(members().voters, std::uint64_t{0}, [&](node_id voter) {
    return voter == options_.self ? current : follower(voter)->round;
  });
  if (answered <= lead_->answered) return;
  assert(answered <= current);
  lead_->answered = answered;
  if (const auto began = lead_->rounds.answered(answered)) lead_->lease_from = began;
  if (defect(mutant::lease_from_receipt)) lead_->lease_from = now_;
}

/// One round for reads is under way at a time; those that come meanwhile share the next one.
inline void raft_core::settle_reads() {
  auto& reads = lead_->reads;
  if (!reads.empty() && reads.back().round > lead_->rounds.current() &&
      lead_->read_round <= lead_->answered) {
    open_round();
    lead_->read_round = lead_->rounds.current();
  }
  while (!reads.empty() && reads.front().round <= lead_->answered && reads.front().index <= applied_) {
    out_.answers.push_back(
        {.request = reads.front().request, .refused = {}, .index = reads.front().index, .term = hard_.term});
    reads.pop_front();
  }
  assert(reads.size() <= options_.max_reads);
}

inline std::optional<instant> raft_core::lease_until() const noexcept {
  if (halted_ || !ready() || !lead_->lease_from) return std::nullopt;
  if (lead_->handing_over && lead_->handing_over->resigns) return std::nullopt;
  if (defect(mutant::lease_checked_by_timer)) return instant::never();
  const duration length = lease_length(options_.election_timeout, options_.max_clock_drift);
  return std::min(*lead_->lease_from + length, disk_until());
}

/// When it steps down unless a quorum is heard: those that it cannot reach may want to elect somebody (thesis, section 6.2).
inline instant raft_core::quorum_until() const noexcept {
  assert(lead_);
  const instant heard = reached_by_quorum(members().voters, instant::never(), [&](node_id voter) {
    if (voter == options_.self) return instant::never();
    const auto p = std::find_if(lead_->followers.begin(), lead_->followers.end(),
                                [voter](const progress& f) { return f.id == voter; });
    assert(p != lead_->followers.end());
    return p->heard_at;
  });
  return heard + options_.election_timeout;
}

/// When it steps down unless a write turns out to be durable. The vote for itself was one.
inline instant raft_core::disk_until() const noexcept {
  assert(lead_);
  if (defect(mutant::stalled_disk_leads)) return instant::never();
  return std::max(disk_.durable_at(), lead_->since) + options_.disk_limit;
}

inline void raft_core::lead_on_time() {
  assert(lead_);
  if (now_ >= std::min(quorum_until(), disk_until())) return become_follower(hard_.term, nobody);
  if (auto& h = lead_->handing_over; h && now_ >= h->until) {
    if (h->resigns) return become_follower(hard_.term, nobody);
    h.reset();
  }
  if (now_ < lead_->heartbeat_at) return;
  lead_->heartbeat_at = now_ + options_.heartbeat;
  open_round();
  // An idle leader would not notice that its disk has stalled.
  if (disk_.under_way() == 0 && now_ >= disk_.durable_at() + options_.disk_limit / 4) disk_.probe();
}

/// Once all has committed that was accepted and somebody has all of it: leads no longer, and only then says so. Nobody who is asked
/// in that one's name needs to wait for the end of a lease.
inline void raft_core::hand_over() {
  assert(lead_);
  if (!lead_->handing_over || applied_ != log_.last_index()) return;
  const handover h = *lead_->handing_over;
  const progress* best = nullptr;
  bool alone = true;
  for (const progress& p : lead_->followers) {
    if (!contains(members().voters, p.id)) continue;
    alone = false;
    const bool able = p.match() == log_.last_index() && now_ < p.heard_at + options_.election_timeout;
    if (!able || (h.to != nobody && h.to != p.id)) continue;
    if (best == nullptr || best->heard_at < p.heard_at) best = &p;
  }
  if (best == nullptr) {
    if (alone && h.resigns) become_follower(hard_.term, nobody);
    return;
  }
  message m = to(best->id, message_kind::time_out_now);
  m.index = log_.last_index();
  if (defect(mutant::lease_kept_across_transfer)) {
    lead_->handing_over.reset();
  } else {
    become_follower(hard_.term, nobody);
  }
  send(std::move(m));
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_LEADING_HPP
