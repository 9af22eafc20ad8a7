// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/trace.hpp"

#include <array>
#include <variant>

namespace raftsim {

namespace {

template <std::size_t N, class Enum>
std::string named(const std::array<const char*, N>& names, Enum value) {
  const auto at = static_cast<std::size_t>(value);
  return at < N ? names[at] : "?";
}

std::string ids(const std::vector<raft::node_id>& all) {
  std::string out;
  for (const raft::node_id n : all) out += (out.empty() ? "" : ",") + std::to_string(n);
  return out;
}

struct input_words {
  std::string operator()(const raft::input::tick&) const { return "tick"; }
  std::string operator()(const raft::input::received& r) const { return words(r.what); }
  std::string operator()(const raft::input::persisted& p) const {
    return "persisted #" + std::to_string(p.number);
  }
  std::string operator()(const raft::input::persist_failed&) const { return "persist failed"; }
  std::string operator()(const raft::input::proposed& p) const {
    return "proposed r" + std::to_string(p.request);
  }
  std::string operator()(const raft::input::read& r) const { return "read r" + std::to_string(r.request); }
  std::string operator()(const raft::input::transfer& t) const {
    return "transfer to " + std::to_string(t.to);
  }
  std::string operator()(const raft::input::change& c) const { return "change to " + words(c.to); }
  std::string operator()(const raft::input::resign&) const { return "resign"; }
  std::string operator()(const raft::input::compacted& c) const {
    return "compacted to " + std::to_string(c.index);
  }
};

}  // namespace

std::string words(raft::role r) {
  return named<5>({"follower", "pre-candidate", "candidate", "LEADER", "learner"}, r);
}
std::string words(raft::refusal r) {
  return named<9>({"not leader", "too many", "too large", "transferring", "not ready", "not a member",
                   "bad change", "halted", "unknown"},
                  r);
}
std::string words(const raft::membership& m) {
  return "{" + ids(m.voters) + (m.learners.empty() ? "" : " | " + ids(m.learners)) + "}";
}

std::string words(const raft::entry& e) {
  std::string out = std::to_string(e.index) + "t" + std::to_string(e.term);
  if (e.kind == raft::entry_kind::nothing) out += "-";
  if (e.kind == raft::entry_kind::members) out += words(e.members);
  return out;
}

std::string words(const raft::message& m) {
  std::ostringstream out;
  out << named<9>({"pre-vote", "pre-vote-reply", "vote", "vote-reply", "append", "append-reply", "install",
                   "install-reply", "time-out-now"},
                  m.kind)
      << '(' << m.from << '>' << m.to << " t" << m.term;
  if (m.index != 0 || m.log_term != 0) out << " at " << m.index << 't' << m.log_term;
  if (m.commit != 0) out << " commit " << m.commit;
  if (m.granted) out << " granted";
  if (m.by_transfer) out << " by transfer";
  if (m.round != 0) out << " round " << m.round;
  if (m.hint != 0) out << " hint " << m.hint << 't' << m.hint_term;
  for (const raft::entry& e : m.entries) out << ' ' << words(e);
  if (m.kind == raft::message_kind::install || m.offset != 0)
    out << " offset " << m.offset << '+' << m.bytes.size() << (m.last ? " last" : "");
  out << ')';
  return out.str();
}

std::string words(const raft::persist& p) {
  std::ostringstream out;
  out << "store #" << p.number;
  if (p.hard) out << " t" << p.hard->term << " vote " << p.hard->vote;
  if (p.base)
    out << " base " << p.base->index << 't' << p.base->term << (p.keep_entries ? " keep" : " alone");
  if (p.cut_from != 0) out << " cut " << p.cut_from;
  for (const raft::entry& e : p.append) out << ' ' << words(e);
  return out.str();
}

std::string words(const raft::any_input& in) { return std::visit(input_words{}, in); }

std::string words(const raft::effects& e) {
  std::ostringstream out;
  if (e.store) out << "  " << words(*e.store);
  for (const raft::message& m : e.send) out << "\n                     send " << words(m);
  if (e.restore) out << "\n                     restore " << e.restore->index;
  if (!e.apply.empty())
    out << "\n                     apply " << e.apply.front().index << ".." << e.apply.back().index;
  for (const raft::answer& a : e.answers)
    out << "\n                     answer r" << a.request << ": "
        << (a.refused ? words(*a.refused) : "at " + std::to_string(a.index));
  return out.str();
}

}  // namespace raftsim
