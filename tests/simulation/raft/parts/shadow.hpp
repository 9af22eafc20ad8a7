// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_SHADOW_HPP
#define SEAWALL_TESTS_SIMULATION_SHADOW_HPP

// What a `persist` record does to what a disk holds: to all of it, as a node finds it when it starts, and to the mere outline
// of the log that the observer looks at.

#include <cstdint>
#include <string_view>
#include <vector>

#include "seawall/election/raft_types.hpp"
#include "simulation/raft/parts/dice.hpp"

namespace raftsim {

namespace raft = seawall::raft;

inline std::uint64_t digest_of(std::string_view bytes) {
  std::uint64_t d = bytes.size();
  for (const char c : bytes) d = (d ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return folded(d, 0);
}
inline std::uint64_t digest_of(const raft::entry& e) {
  std::uint64_t d = folded(static_cast<std::uint64_t>(e.kind), digest_of(e.command));
  for (const raft::node_id n : e.members.voters) d = folded(d, n);
  d = folded(d, 0);
  for (const raft::node_id n : e.members.learners) d = folded(d, n);
  return folded(folded(d, e.index), e.term);
}

/// A log without its contents.
struct outline {
  struct line {
    raft::term_number term;
    std::uint64_t digest;
  };

  raft::hard_state hard = {};
  raft::log_index base = 0;
  raft::term_number base_term = 0;
  std::vector<line> lines = {};  // base + 1, and on

  outline() = default;
  explicit outline(const raft::stored_state& s) : hard(s.hard), base(s.base.index), base_term(s.base.term) {
    for (const raft::entry& e : s.entries) lines.push_back({e.term, digest_of(e)});
  }

  raft::log_index last() const { return base + lines.size(); }
  raft::term_number last_term() const { return lines.empty() ? base_term : lines.back().term; }
  bool has(raft::log_index i) const { return i > base && i <= last(); }
  const line& at(raft::log_index i) const { return lines[static_cast<std::size_t>(i - base - 1)]; }
  /// Of what is in the snapshot nothing is known but that it is there.
  bool holds(raft::log_index i, raft::term_number term) const {
    return i <= base || (has(i) && at(i).term == term);
  }

  void put_base(raft::log_index index, raft::term_number term, bool keep_entries) {
    if (!keep_entries || index >= last()) {
      lines.clear();
    } else if (index > base) {
      lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(index - base));
    }
    base = index;
    base_term = term;
  }
  void cut(raft::log_index from) {
    if (from != 0 && from <= last())
      lines.resize(static_cast<std::size_t>(from > base ? from - base - 1 : 0));
  }
};

inline void carry_out(outline& disk, const raft::persist& p) {
  if (p.hard) disk.hard = *p.hard;
  if (p.base) disk.put_base(p.base->index, p.base->term, p.keep_entries);
  disk.cut(p.cut_from);
  for (const raft::entry& e : p.append) disk.lines.push_back({e.term, digest_of(e)});
}

/// In the order of its fields.
inline void carry_out(raft::stored_state& disk, const raft::persist& p) {
  auto& all = disk.entries;
  if (p.hard) disk.hard = *p.hard;
  if (p.base) {
    const raft::log_index last = disk.base.index + all.size();
    if (!p.keep_entries || p.base->index >= last) {
      all.clear();
    } else if (p.base->index > disk.base.index) {
      all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(p.base->index - disk.base.index));
    }
    disk.base = *p.base;
  }
  if (p.cut_from != 0 && p.cut_from <= disk.base.index + all.size())
    all.resize(static_cast<std::size_t>(p.cut_from > disk.base.index ? p.cut_from - disk.base.index - 1 : 0));
  all.insert(all.end(), p.append.begin(), p.append.end());
}

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_SHADOW_HPP
