// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_UNIT_ELECTION_RAFT_CORE_TEXT_HPP
#define SEAWALL_UNIT_ELECTION_RAFT_CORE_TEXT_HPP

// What cores say to each other and to their drivers, for people: one line each. An entry is "index/term".

#include <string>
#include <string_view>
#include <vector>

#include "seawall/election/raft_core.hpp"

namespace seawall::raft::test {

inline std::string number(std::uint64_t n) { return std::to_string(n); }
inline std::string place(log_index i, term_number t) { return number(i) + "/" + number(t); }

inline std::string text(const std::vector<node_id>& nodes) {
  std::string out;
  for (const node_id n : nodes) out += (out.empty() ? "" : " ") + number(n);
  return out;
}
inline std::string text(const membership& m) {
  return "{" + text(m.voters) + (m.learners.empty() ? "" : " learning " + text(m.learners)) + "}";
}
inline std::string text(const entry& e) {
  const std::string at = place(e.index, e.term);
  if (e.kind == entry_kind::command) return at + " '" + e.command + "'";
  return e.kind == entry_kind::members ? at + " members " + text(e.members) : at + " nothing";
}
inline std::string text(const std::vector<entry>& entries) {
  std::string out;
  for (const entry& e : entries) out += (out.empty() ? "" : ", ") + text(e);
  return out;
}
inline std::string text(const snapshot& s) {
  return "snapshot " + place(s.index, s.term) + " " + text(s.members) + " '" + s.state + "'";
}

inline std::string_view name_of(message_kind k) {
  static constexpr std::string_view names[] = {
      "pre-vote",     "pre-vote reply", "vote",          "vote reply",   "append",
      "append reply", "install",        "install reply", "time-out now",
  };
  return names[static_cast<std::size_t>(k)];
}
inline std::string_view name_of(role r) {
  static constexpr std::string_view names[] = {"follower", "pre-candidate", "candidate", "leader", "learner"};
  return names[static_cast<std::size_t>(r)];
}
inline std::string_view name_of(refusal r) {
  static constexpr std::string_view names[] = {"not leader",   "too many",  "too large",
                                               "transferring", "not ready", "no member",
                                               "bad change",   "halted",    "unknown"};
  return names[static_cast<std::size_t>(r)];
}

inline std::string text(const message& m) {
  std::string out =
      number(m.from) + ">" + number(m.to) + " " + std::string(name_of(m.kind)) + ", term " + number(m.term);
  switch (m.kind) {
    case message_kind::pre_vote:
    case message_kind::vote:
      return out + ": log ends at " + place(m.index, m.log_term) +
             (m.by_transfer ? ", asked to by the leader" : "");
    case message_kind::pre_vote_reply:
    case message_kind::vote_reply: return out + (m.granted ? ": granted" : ": refused");
    case message_kind::append:
      out += ", round " + number(m.round) + ": after " + place(m.index, m.log_term);
      if (!m.entries.empty()) out += " come " + text(m.entries) + ";";
      return out + " committed " + number(m.commit);
    case message_kind::append_reply:
      out += ", round " + number(m.round);
      if (m.granted) return out + ": has all to " + number(m.index);
      return out + ": has not " + number(m.index) + ", perhaps to " + place(m.hint, m.hint_term);
    case message_kind::install:
      return out + ", round " + number(m.round) + ": snapshot " + place(m.index, m.log_term) + " " +
             text(m.members) + ", from byte " + number(m.offset) + " '" + m.bytes + "'" +
             (m.last ? ", end" : "");
    case message_kind::install_reply:
      out += ", round " + number(m.round);
      return out + (m.granted ? ": has all to " + number(m.index)
                              : ": of snapshot " + number(m.index) + " has " + number(m.offset) + " bytes");
    case message_kind::time_out_now: return out + ": log ends at " + number(m.index);
    case message_kind::request:
    case message_kind::request_reply: break;  // no core says these
  }
  return out;
}

inline std::string text(const persist& p) {
  std::string out = "writes #" + number(p.number) + ":";
  if (p.hard) out += " term " + number(p.hard->term) + " vote " + number(p.hard->vote) + ";";
  if (p.base) out += " " + text(*p.base) + (p.keep_entries ? ", keeps what follows;" : ", nothing follows;");
  if (p.cut_from != 0) out += " cuts from " + number(p.cut_from) + ";";
  if (!p.append.empty()) out += " " + text(p.append) + ";";
  out.back() = out.back() == ';' ? ' ' : out.back();
  while (out.back() == ' ') out.pop_back();
  return out;
}

inline std::string text(const answer& a) {
  const std::string out = "answers #" + number(a.request) + ": ";
  return a.refused ? out + std::string(name_of(*a.refused)) : out + place(a.index, a.term);
}

inline std::string milliseconds(instant i) {
  return number(static_cast<std::uint64_t>(i.ns() / 1'000'000)) + "ms";
}

inline std::string text(const raft_core& c) {
  std::string out = std::string(name_of(c.current_role())) + ", term " + number(c.term());
  if (c.leader() != nobody) out += ", led by " + number(c.leader());
  out += ", committed " + number(c.commit_index()) + " of " + number(c.last_index());
  if (const auto lease = c.lease_until()) out += ", lease to " + milliseconds(*lease);
  return out + (c.halted() ? ", halted" : "");
}

}  // namespace seawall::raft::test

#endif  // SEAWALL_UNIT_ELECTION_RAFT_CORE_TEXT_HPP
