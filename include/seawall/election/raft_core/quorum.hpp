// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_QUORUM_HPP
#define SEAWALL_ELECTION_RAFT_CORE_QUORUM_HPP

// How many are a majority, how far a majority has come, and which memberships may follow each other. Pure functions.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <functional>
#include <vector>

#include "seawall/election/raft_core/defects.hpp"
#include "seawall/election/raft_types.hpp"

namespace seawall::raft {

/// Voters and learners together.
inline constexpr std::size_t max_members = 32;

/// The least number of voters of which any two groups overlap.
inline std::size_t quorum_of(std::size_t voters) noexcept {
  if (defect(mutant::quorum_too_small)) return (voters + 1) / 2;
  return voters / 2 + 1;
}

/// The greatest value that a quorum has reached, each voter at least: `of(voter)` says how far it is. `none` without voters.
template <class T, class Of>
T reached_by_quorum(const std::vector<node_id>& voters, T none, Of&& of) {
  assert(voters.size() <= max_members);
  if (voters.empty()) return none;
  std::array<T, max_members> values;
  const auto last = std::transform(voters.begin(), voters.end(), values.begin(), of);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(quorum_of(voters.size()) - 1);
  assert(nth < last);
  std::nth_element(values.begin(), nth, last, std::greater<>());
  return *nth;
}

/// True if those for which `has(voter)` are a quorum.
template <class Has>
bool is_quorum(const std::vector<node_id>& voters, Has&& has) {
  const auto count = std::count_if(voters.begin(), voters.end(), has);
  return !voters.empty() && static_cast<std::size_t>(count) >= quorum_of(voters.size());
}

/// Of an ascending list.
inline bool contains(const std::vector<node_id>& nodes, node_id node) {
  assert(std::is_sorted(nodes.begin(), nodes.end()));
  return std::binary_search(nodes.begin(), nodes.end(), node);
}
inline bool contains(const membership& m, node_id node) {
  return contains(m.voters, node) || contains(m.learners, node);
}

/// Both lists ascend, without repetition and `nobody`; nobody is in both; not too many. No voters is a membership, too:
/// that of a replica which has yet to be told.
inline bool well_formed(const membership& m) {
  if (m.voters.size() + m.learners.size() > max_members) return false;
  const auto ascends = [](const std::vector<node_id>& nodes) {
    return std::adjacent_find(nodes.begin(), nodes.end(), std::greater_equal<>()) == nodes.end() &&
           (nodes.empty() || nodes.front() != nobody);
  };
  if (!ascends(m.voters) || !ascends(m.learners)) return false;
  return std::none_of(m.learners.begin(), m.learners.end(),
                      [&](node_id node) { return contains(m.voters, node); });
}

/// A step after which any quorum of `to` overlaps with any of `from`: one voter more, one less, or the same (thesis,
/// section 4.1). Learners come and go as they like.
inline bool single_step(const membership& from, const membership& to) {
  assert(well_formed(from));
  if (!well_formed(to) || to.voters.empty()) return false;
  std::array<node_id, 2 * max_members> apart;
  const auto last = std::set_symmetric_difference(from.voters.begin(), from.voters.end(), to.voters.begin(),
                                                  to.voters.end(), apart.begin());
  return last - apart.begin() <= 1;
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_QUORUM_HPP
