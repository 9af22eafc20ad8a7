// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_DEFECTS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_DEFECTS_HPP

// Defects that implementations of Raft have shipped, each of which a test can put back into this one to see that it is
// noticed. Without SEAWALL_ELECTION_MUTANTS, which only tests define (for a whole program), `defect` is a constant false.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace seawall::raft {

enum class mutant : std::uint8_t {
  none,
  // Votes and terms.
  vote_cleared_on_step_down,  ///< a candidate that follows the leader of its term forgets that it voted for itself
  votes_lost_on_restart,
  term_and_vote_apart,  ///< the vote reaches the disk one write after its term
  failed_write_ignored,
  kept_back_across_terms,  ///< an acknowledgement leaves when its entries are durable, though the term has moved on
  // Commit.
  earlier_term_committed,     ///< by counting replicas
  acknowledged_before_fsync,  ///< a leader counts itself for what its disk has not got
  append_cuts_agreeing,       ///< an append that comes late removes what came after it
  commit_beyond_match,        ///< a follower commits what the append does not reach
  quorum_too_small,           ///< for even sizes
  // Snapshots.
  append_from_zero_after_compaction,
  conflict_kept_at_snapshot,
  snapshot_during_append,  ///< an append under way, once durable, is taken for the snapshot that came after it
  // Liveness.
  pre_vote_deadlock,  ///< a longer log with a lower term is never told of the higher one
  pre_vote_is_contact,
  former_leader_refused,
  equal_time_outs,
  stalled_disk_leads,
  // Lease.
  lease_checked_by_timer,
  lease_from_receipt,  ///< counted from when the quorum's answer came
  lease_without_drift,
  lease_kept_across_transfer,
  delayed_time_out_now,
  votes_at_once_after_restart,
  // Reads.
  read_before_own_commit,
  read_round_reused,  ///< an answer to what was sent before the read confirms it
  // Membership.
  change_before_own_commit,  ///< the gap in single-step changes that Ongaro reported in 2015
  change_while_changing,
  removed_servers_disrupt,
};

inline constexpr std::array<std::string_view, 30> mutant_names = {
    "none",
    "vote_cleared_on_step_down",
    "votes_lost_on_restart",
    "term_and_vote_apart",
    "failed_write_ignored",
    "kept_back_across_terms",
    "earlier_term_committed",
    "acknowledged_before_fsync",
    "append_cuts_agreeing",
    "commit_beyond_match",
    "quorum_too_small",
    "append_from_zero_after_compaction",
    "conflict_kept_at_snapshot",
    "snapshot_during_append",
    "pre_vote_deadlock",
    "pre_vote_is_contact",
    "former_leader_refused",
    "equal_time_outs",
    "stalled_disk_leads",
    "lease_checked_by_timer",
    "lease_from_receipt",
    "lease_without_drift",
    "lease_kept_across_transfer",
    "delayed_time_out_now",
    "votes_at_once_after_restart",
    "read_before_own_commit",
    "read_round_reused",
    "change_before_own_commit",
    "change_while_changing",
    "removed_servers_disrupt",
};
static_assert(mutant_names.size() == static_cast<std::size_t>(mutant::removed_servers_disrupt) + 1);

#ifdef SEAWALL_ELECTION_MUTANTS
/// The one that is put back. Not synchronised: set before the cores run.
inline mutant active_mutant = mutant::none;
inline bool defect(mutant m) noexcept { return m == active_mutant; }
#else
constexpr bool defect(mutant) noexcept { return false; }
#endif

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_DEFECTS_HPP
