// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_UNIT_ELECTION_RAFT_CORE_DRIVEN_HPP
#define SEAWALL_UNIT_ELECTION_RAFT_CORE_DRIVEN_HPP

// One core in the hands of a test, which plays its disk and all other replicas.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster.hpp"

namespace seawall::raft::test {

inline entry command(log_index i, term_number t) {
  return {.index = i, .term = t, .kind = entry_kind::command, .command = "c" + number(i)};
}

/// Replica 1 of 1 to 3, unless said otherwise; its disk is quick, unless `slow`.
class driven {
 public:
  explicit driven(stored_state s = {}, core_options o = options_of(1)) : options(o) {
    holds.holds = std::move(s);
    if (holds.holds.base.members == membership{}) holds.holds.base.members = {{1, 2, 3}, {}};
    start();
  }

  void start() { core.emplace(options, holds.holds, now, 1); }
  void crash() {
    core.reset();
    holds.writes.clear();
    sent.clear();
  }
  effects step(any_input what) {
    effects e = core->step(now, std::move(what));
    if (e.store) holds.writes.push_back(*e.store);
    for (const message& m : e.send) sent.push_back(m);
    for (const answer& a : e.answers) answers.push_back(a);
    wake_at = e.wake_at;
    if (!holds.slow) durable();
    return e;
  }
  void durable() {
    while (!holds.writes.empty()) durable_one();
  }
  void durable_one() {
    const std::uint64_t n = holds.writes.front().number;
    holds.write();
    step(input::persisted{n});
  }
  /// `m` comes from `from`, in `term`.
  effects receive(node_id from, term_number term, message m) {
    m.from = from;
    m.to = 1;
    m.term = term;
    return step(input::received{std::move(m)});
  }
  effects tick(duration later = {}) {
    now = now + later;
    return step(input::tick{});
  }
  /// What was sent to `to` last, and since the last look.
  std::optional<message> last(node_id node, message_kind kind) {
    std::optional<message> out;
    for (const message& m : sent) {
      if (m.to == node && m.kind == kind) out = m;
    }
    return out;
  }
  /// Campaigns, and `voters` say yes. Its first entry is not acknowledged by anybody yet.
  void lead(const std::vector<node_id>& voters = {2, 3}) {
    while (core->current_role() != role::pre_candidate && core->current_role() != role::candidate &&
           core->current_role() != role::leader) {
      now = std::max(now, wake_at);
      tick();
    }
    for (const node_id v : voters)
      receive(v, core->term() + 1, {.kind = message_kind::pre_vote_reply, .granted = true});
    for (const node_id v : voters)
      receive(v, core->term(), {.kind = message_kind::vote_reply, .granted = true});
    sent.clear();
  }
  /// `from` has all up to `index`, as of the last round.
  effects acknowledge(node_id from, log_index index) { return acknowledge(from, index, round()); }
  effects acknowledge(node_id from, log_index index, std::uint64_t of_round) {
    return receive(from, core->term(),
                   {.kind = message_kind::append_reply, .index = index, .granted = true, .round = of_round});
  }
  /// The last round that any message told.
  std::uint64_t round() {
    for (const message& m : sent) known_round = std::max(known_round, m.round);
    return std::max<std::uint64_t>(known_round, 1);
  }

  core_options options;
  disk holds;
  instant now = at_ms(0);
  instant wake_at = at_ms(0);
  std::optional<raft_core> core;
  std::vector<message> sent;
  std::vector<answer> answers;
  std::uint64_t known_round = 0;
};

inline message vote(log_index last = 0, term_number last_term = 0) {
  return {.kind = message_kind::vote, .index = last, .log_term = last_term};
}
inline message pre_vote(log_index last = 0, term_number last_term = 0) {
  return {.kind = message_kind::pre_vote, .index = last, .log_term = last_term};
}
inline message append(log_index after, term_number term, std::vector<entry> entries = {},
                      log_index commit = 0) {
  return {.kind = message_kind::append,
          .index = after,
          .log_term = term,
          .commit = commit,
          .round = 1,
          .entries = std::move(entries)};
}

}  // namespace seawall::raft::test

#endif  // SEAWALL_UNIT_ELECTION_RAFT_CORE_DRIVEN_HPP
