// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/observer.hpp"

#include <algorithm>

#include "simulation/raft/parts/trace.hpp"

namespace raftsim {

namespace {

std::string at(raft::log_index i, raft::term_number t) {
  return "entry " + std::to_string(i) + " of term " + std::to_string(t);
}
[[noreturn]] void broken(const std::string& promise, const std::string& how) {
  throw violation(promise + ": " + how);
}

}  // namespace

void observer::started(raft::node_id n, const raft::stored_state& from, const raft::raft_core& core,
                       const own_clock& clock) {
  watched& w = nodes_[n];
  w = {};
  w.up = true;
  w.memory = w.ordered = w.on_disk = outline(from);
  w.as = core.current_role();
  w.term = core.term();
  w.commit = w.applied = core.commit_index();
  w.clock = &clock;
  if (core.term() != from.hard.term)
    broken("restart", name(n) + " does not start in the term that it has stored");
}

void observer::stopped(raft::node_id n) {
  nodes_[n].up = false;
  nodes_[n].lease.reset();
}

void observer::durable(raft::node_id n, const raft::persist& p) {
  watched& w = nodes_[n];
  carry_out(w.on_disk, p);
}

void observer::stepped(raft::node_id n, instant now, const raft::raft_core& core, const raft::effects& e) {
  watched& w = nodes_[n];
  check_log(n, w, core);
  if (e.store) check_store(n, w, *e.store);
  check_order(n, w, core);
  for (const raft::message& m : e.send) check_sent(n, w, m);
  if (core.current_role() == raft::role::leader) check_leader(n, w, core);
  check_commit(n, w, core);
  check_lease(n, w, core, now);
  w.as = core.current_role();
  w.term = core.term();
}

// Two logs with the same term at an index agree up to there: check_append sees to that.
void observer::check_log(raft::node_id n, watched& w, const raft::raft_core& core) {
  const raft::log_view& log = core.log();
  raft::log_index agreed = std::min(w.memory.last(), log.last_index());
  while (agreed > w.memory.base && agreed > log.base_index() &&
         w.memory.at(agreed).term != log.at(agreed).term)
    --agreed;
  if (agreed < w.memory.last()) {
    if (leads_on(w, core)) broken("leader append-only", name(n) + " takes from its own log");
    if (agreed < w.commit) broken("state machine safety", name(n) + " cuts off what it has committed");
    w.memory.cut(agreed + 1);
  }
  if (log.base_index() > w.memory.base) {
    const raft::log_index base = log.base_index();
    const raft::term_number term = log.term_at(base).value_or(0);
    if (base > committed_.size() || committed_[base - 1].term != term)
      broken("state machine safety",
             name(n) + " keeps a snapshot of what is not committed: " + at(base, term));
    w.memory.put_base(base, term, w.memory.holds(base, term));
  }
  for (raft::log_index i = w.memory.last() + 1; i <= log.last_index(); ++i)
    check_append(n, w.memory, log.at(i));
}

void observer::check_store(raft::node_id n, watched& w, const raft::persist& p) {
  if (p.number != ++w.number) broken("persist", name(n) + " skips a number");
  if (p.hard) check_hard(n, w.ordered, *p.hard);
  carry_out(w.ordered, p);
  if (!p.append.empty() && p.append.back().index != w.ordered.last())
    broken("persist", name(n) + " leaves a gap: " + words(p));
}

// Unless something is under way, in which case it may have to wait.
void observer::check_order(raft::node_id n, const watched& w, const raft::raft_core& core) const {
  if (w.told != w.number || core.halted()) return;
  const bool same = w.ordered.last() == w.memory.last() && w.ordered.last_term() == w.memory.last_term() &&
                    w.ordered.hard.term == core.term();
  if (!same) broken("persist", name(n) + " has not ordered what it has in memory to be written");
}

void observer::check_hard(raft::node_id n, const outline& before, const raft::hard_state& h) {
  const bool back = h.term < before.hard.term;
  const bool other =
      h.term == before.hard.term && before.hard.vote != raft::nobody && h.vote != before.hard.vote;
  if (back || other)
    broken("one vote in a term", name(n) + " goes from term " + std::to_string(before.hard.term) + ", vote " +
                                     std::to_string(before.hard.vote) + ", to " + std::to_string(h.term) +
                                     ", vote " + std::to_string(h.vote));
}

// By induction: if the same index and term always comes with the same contents and after the same term, logs that agree in
// one entry agree in all before it.
void observer::check_append(raft::node_id n, outline& log, const raft::entry& e) {
  if (e.index != log.last() + 1) broken("log", name(n) + " leaves a gap before " + at(e.index, e.term));
  const known_entry now{digest_of(e), log.last_term()};
  const auto [found, is_new] = entries_.try_emplace(e.index << 24U | e.term, now);
  if (!is_new && (found->second.digest != now.digest || found->second.term_before != now.term_before))
    broken("log matching", name(n) + " has another " + at(e.index, e.term) + " than was there before");
  log.lines.push_back({e.term, now.digest});
}

void observer::check_sent(raft::node_id n, const watched& w, const raft::message& m) {
  const raft::hard_state& kept = w.on_disk.hard;
  const auto early = [&](const char* what) {
    broken("send is gated on persist", name(n) + " sends before " + what + " is durable: " + words(m));
  };
  switch (m.kind) {
    case raft::message_kind::vote_reply: {
      if (!m.granted) return;
      if (kept.term < m.term || (kept.term == m.term && kept.vote != m.to)) early("the vote");
      const auto [found, first] = votes_.try_emplace({m.term, n}, m.to);
      if (!first && found->second != m.to)
        broken("one vote in a term", name(n) + " votes twice in term " + std::to_string(m.term));
      return;
    }
    case raft::message_kind::append_reply:
    case raft::message_kind::install_reply:
      if (!m.granted) return;
      if (kept.term < m.term) early("the term");
      if (w.on_disk.last() < m.index) early("what it acknowledges");
      if (w.on_disk.has(m.index) && w.on_disk.at(m.index).term > m.term) early("what it acknowledges");
      return;
    case raft::message_kind::vote:
    case raft::message_kind::append:
    case raft::message_kind::install:
      if (kept.term < m.term) early("the term");
      return;
    default: return;
  }
}

void observer::check_leader(raft::node_id n, const watched& w, const raft::raft_core& core) {
  if (w.as == raft::role::leader && w.term == core.term()) return;
  const auto [found, first] = leaders_.try_emplace(core.term(), n);
  if (!first)
    broken("election safety", name(n) + " leads term " + std::to_string(core.term()) + ", in which " +
                                  name(found->second) + " has led");
  // Votes that come late may yet make a leader of a term in which nothing can be committed any more.
  const auto later = std::lower_bound(committed_in_.begin(), committed_in_.end(), core.term());
  if (later == committed_in_.begin()) return;
  const auto last = static_cast<raft::log_index>(later - committed_in_.begin());
  const raft::term_number term = committed_[last - 1].term;
  if (!w.memory.holds(last, term))
    broken("leader completeness", name(n) + " leads term " + std::to_string(core.term()) + " without " +
                                      at(last, term) + ", which is committed");
}

void observer::check_commit(raft::node_id n, watched& w, const raft::raft_core& core) {
  const raft::log_index now = core.commit_index();
  if (now < w.commit) broken("commit", name(n) + " takes back what was committed");
  const bool leads = w.as == raft::role::leader || core.current_role() == raft::role::leader;
  if (now > committed_.size() && leads) {
    if (!w.memory.has(now)) broken("commit", name(n) + " commits what it has not written");
    const raft::term_number term = w.memory.at(now).term;
    const auto& voters = core.members().voters;
    const auto on_disk = std::count_if(voters.begin(), voters.end(),
                                       [&](raft::node_id v) { return nodes_[v].on_disk.holds(now, term); });
    if (2 * static_cast<std::size_t>(on_disk) <= voters.size())
      broken("commit", name(n) + " commits " + at(now, term) + ", which is on the disks of " +
                           std::to_string(on_disk) + " of " + std::to_string(voters.size()));
    if (term != core.term()) broken("commit", name(n) + " commits by counting " + at(now, term));
    while (committed_.size() < now) {
      committed_.push_back(w.memory.at(committed_.size() + 1));
      committed_in_.push_back(core.term());
    }
  }
  if (now > committed_.size())
    broken("state machine safety",
           name(n) + " commits up to " + std::to_string(now) + ", which no leader has");
  for (raft::log_index i = std::max(w.commit, w.memory.base) + 1; i <= now && w.memory.has(i); ++i) {
    if (w.memory.at(i).digest != committed_[i - 1].digest)
      broken("state machine safety",
             name(n) + " commits another " + at(i, w.memory.at(i).term) + " than was committed");
  }
  w.commit = now;
}

void observer::check_lease(raft::node_id n, watched& w, const raft::raft_core& core, instant now) {
  w.lease = core.lease_until();
  if (!valid(w, now)) return;
  for (const auto& [other, o] : nodes_) {
    if (other != n && valid(o, now))
      broken("one valid lease", name(n) + " of term " + std::to_string(core.term()) + " and " + name(other) +
                                    " of term " + std::to_string(o.term) + " hold one each");
  }
  if (w.granted == core.term()) return;
  if (core.term() <= last_grant_.first)
    broken("tokens increase", name(n) + " is granted " + std::to_string(core.term()) + " after " +
                                  name(last_grant_.second) + " was granted " +
                                  std::to_string(last_grant_.first));
  w.granted = core.term();
  last_grant_ = {core.term(), n};
  ++grants_;
}

void observer::applied(raft::node_id n, const raft::entry& e, std::uint64_t digest) {
  watched& w = nodes_[n];
  if (e.index != w.applied + 1)
    broken("apply", name(n) + " is handed " + at(e.index, e.term) + " out of turn");
  if (e.index > committed_.size() || committed_[e.index - 1].digest != digest_of(e))
    broken("state machine safety",
           name(n) + " applies " + at(e.index, e.term) + ", which is not what was committed");
  w.applied = e.index;
  check_digest(n, e.index, digest);
}

void observer::restored(raft::node_id n, const raft::snapshot& s, std::uint64_t digest) {
  watched& w = nodes_[n];
  if (s.index <= w.applied) broken("apply", name(n) + " restores what it has applied");
  w.applied = s.index;
  check_digest(n, s.index, digest);
}

void observer::check_digest(raft::node_id n, raft::log_index i, std::uint64_t digest) {
  if (digests_.size() <= i) digests_.resize(i + 1);
  if (!digests_[i]) digests_[i] = digest;
  if (*digests_[i] != digest)
    broken("state machine safety",
           name(n) + " has another state at " + std::to_string(i) + " than a replica had before");
}

raft::node_id observer::holder(instant now) const {
  for (const auto& [n, w] : nodes_) {
    if (valid(w, now)) return n;
  }
  return raft::nobody;
}

raft::log_index observer::applied_by(raft::node_id n) const {
  const auto found = nodes_.find(n);
  return found == nodes_.end() ? 0 : found->second.applied;
}

}  // namespace raftsim
