// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_CHECKS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_CHECKS_HPP

// What a message or a stored state must fulfil before a core looks at it. A message comes over the network: one that
// contradicts itself is dropped, never asserted on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/election/raft_core/quorum.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft {

/// Terms, indices and rounds beyond it are not believed: counting one by one nobody gets there, and nothing overflows.
inline constexpr std::uint64_t last_number = std::uint64_t{1} << 62U;

namespace detail {

inline bool well_formed(const entry& e) {
  switch (e.kind) {
    case entry_kind::nothing: return e.command.empty() && e.members == membership{};
    case entry_kind::command: return e.members == membership{};
    case entry_kind::members:
      return e.command.empty() && !e.members.voters.empty() && raft::well_formed(e.members);
  }
  return false;
}

/// `entries` follow (`index`, `term`) without a gap, and no term is above `most`.
inline bool follow(const std::vector<entry>& entries, log_index index, term_number term, term_number most) {
  for (const entry& e : entries) {
    if (e.index != index + 1 || e.term == 0 || e.term < term || e.term > most || !well_formed(e))
      return false;
    index = e.index;
    term = e.term;
  }
  return true;
}

/// A place in a log: both numbers are zero, or neither.
inline bool is_place(log_index index, term_number term) { return (index == 0) == (term == 0); }

}  // namespace detail

inline bool well_formed(const message& m) {
  if (m.from == nobody || m.to == nobody || m.from == m.to) return false;
  if (m.term == 0 || std::max({m.term, m.index, m.commit, m.round, m.hint, m.offset}) > last_number)
    return false;
  switch (m.kind) {
    case message_kind::pre_vote:
    case message_kind::vote: return detail::is_place(m.index, m.log_term) && m.log_term < m.term;
    case message_kind::append:
      return detail::is_place(m.index, m.log_term) && m.log_term <= m.term &&
             detail::follow(m.entries, m.index, m.log_term, m.term);
    case message_kind::install:
      return m.index != 0 && m.log_term != 0 && m.log_term <= m.term && !m.members.voters.empty() &&
             well_formed(m.members);
    case message_kind::append_reply: return detail::is_place(m.hint, m.hint_term);
    case message_kind::pre_vote_reply:
    case message_kind::vote_reply:
    case message_kind::install_reply:
    case message_kind::time_out_now: return true;
  }
  return false;
}

/// What about a stored state cannot be; empty if it can.
inline std::string contradiction(const stored_state& s) {
  const auto place = [](log_index i) { return " at index " + std::to_string(i); };
  if (!detail::is_place(s.base.index, s.base.term))
    return "the snapshot has an index or a term, but not both";
  if (!well_formed(s.base.members)) return "the snapshot's membership contradicts itself";
  if (s.base.index != 0 && s.base.members.voters.empty()) return "the snapshot has no voters";
  if (s.hard.term < s.base.term) return "the term is below that of the snapshot";
  if (s.hard.term > last_number || s.base.index > last_number) return "the term or an index is out of range";
  log_index index = s.base.index;
  term_number term = s.base.term;
  for (const entry& e : s.entries) {
    if (e.index != index + 1) return "the log has a gap" + place(index + 1);
    if (e.term == 0 || e.term < term) return "the log's terms descend" + place(e.index);
    if (e.term > s.hard.term) return "the log is ahead of the term" + place(e.index);
    if (!detail::well_formed(e)) return "an entry contradicts itself" + place(e.index);
    index = e.index;
    term = e.term;
  }
  return {};
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_CHECKS_HPP
