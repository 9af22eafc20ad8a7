// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_MACHINE_HPP
#define SEAWALL_ELECTION_RAFT_CORE_MACHINE_HPP

// The class raft_core: what it offers, what it holds, and the step. Its parts are told in elections.hpp (who leads),
// following.hpp (being led) and leading.hpp; raft_core.hpp is what to include.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "seawall/election/raft_core/checks.hpp"
#include "seawall/election/raft_core/defects.hpp"
#include "seawall/election/raft_core/disk_book.hpp"
#include "seawall/election/raft_core/log_view.hpp"
#include "seawall/election/raft_core/options.hpp"
#include "seawall/election/raft_core/outbox.hpp"
#include "seawall/election/raft_core/progress.hpp"
#include "seawall/election/raft_core/quorum.hpp"
#include "seawall/election/raft_core/rounds.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/options.hpp"
#include "seawall/random.hpp"
#include "seawall/time.hpp"

namespace seawall::raft {

/// One replica of a Raft cluster (Ongaro: "Consensus: Bridging Theory and Practice", Stanford, 2014) as a machine: inputs in,
/// effects out, nothing else. The same inputs give the same effects.
///
/// Guarantees, as long as the disk keeps what was said to be `persisted`:
/// 1. At most one leader in a term.
/// 2. What was handed out to be applied is the same on all replicas, index by index.
/// 3. If clocks drift by at most `max_clock_drift`, no two `lease_until()` lie ahead of their clocks at once.
/// 4. A message says only what is durable already: it is kept back until then.
/// 5. Every `proposed`, `read` and `change` gets one answer.
///
/// The state machine outside starts with `stored.base`, and is told of the rest by `effects`. Whoever holds the lease must know that
/// it has ended, or changed, before the effects of a step are carried out: what is sent may let others lead.
///
/// Thread safety: distinct objects safe. Cost: a step copies each entry that it stores, sends or applies.
class raft_core {
 public:
  /// `now` is a clock that does not run backwards, `seed` one that differs between replicas.
  /// Errors: refuses options that are not valid, and a stored state that contradicts itself (see `contradiction`).
  raft_core(core_options options, stored_state stored, instant now, std::uint64_t seed);

  /// What has happened, and what is to be done about it. A `now` before the last one counts as the last one.
  effects step(instant now, any_input what);

  // Between steps.

  role current_role() const noexcept { return role_; }
  term_number term() const noexcept { return hard_.term; }
  /// Who leads in this term, as far as is known; `nobody` once it was not heard for too long.
  node_id leader() const noexcept { return leader_; }
  log_index commit_index() const noexcept { return commit_; }
  log_index applied_index() const noexcept { return applied_; }
  log_index last_index() const noexcept { return log_.last_index(); }
  /// Of the snapshot; what is behind it is in the log.
  log_index base_index() const noexcept { return log_.base_index(); }
  std::size_t log_bytes() const noexcept { return log_.bytes(); }
  const membership& members() const noexcept { return log_.members(); }
  /// What is in memory, durable or not.
  const log_view& log() const noexcept { return log_; }
  bool halted() const noexcept { return halted_; }

  /// Until when nobody else can lead, by the clock that gives `now`; to be compared with that clock at each use. Engaged only for a
  /// leader whose first entry of its term has committed: then `term()` is a fencing token greater than all before it.
  std::optional<instant> lease_until() const noexcept;

 private:
  struct waiting_read {
    std::uint64_t request;
    log_index index;
    std::uint64_t round;
  };
  struct waiting_entry {
    std::uint64_t request;
    log_index index;
  };
  /// Of a snapshot that comes in parts.
  struct arrival {
    snapshot what;
    node_id from;
  };
  struct handover {
    node_id to;  // nobody: whoever is nearest
    instant until;
    bool resigns;  // steps down, even if nobody takes over
  };
  /// All that a leader forgets when it steps down.
  struct leading {
    explicit leading(instant now) : since(now) {}

    instant since;
    log_index first_own = 0;  // the entry that opened the term
    std::vector<progress> followers = {};
    std::deque<waiting_entry> entries = {};
    std::size_t uncommitted_bytes = 0;
    instant heartbeat_at = {};
    round_book rounds = {};
    std::optional<instant> lease_from = {};  // when the last round that a quorum answered began
    std::uint64_t answered = 0;              // that round
    std::uint64_t read_round = 0;            // the last one opened for reads
    std::deque<waiting_read> reads = {};
    std::optional<handover> handing_over = {};
  };

  // Inputs.
  void on(input::tick) {}
  void on(input::received&& in);
  void on(input::persisted in);
  void on(input::persist_failed);
  void on(input::proposed&& in);
  void on(input::read in);
  void on(input::transfer in);
  void on(input::change&& in);
  void on(input::resign);
  void on(input::compacted&& in);
  void on_time();
  void finish();
  void deliver();
  void write();
  instant wake_at() const noexcept;

  // Who leads: elections.hpp.
  bool is_voter() const noexcept { return contains(log_.members().voters, options_.self); }
  bool may_campaign() const noexcept;
  bool refuses_votes() const noexcept;
  void postpone_election(duration least);
  void election_due();
  void pre_campaign();
  void campaign(bool by_transfer);
  void ask_for_votes(message_kind kind, term_number in_term, bool by_transfer);
  void count_votes();
  void take_vote(node_id from);
  void on_pre_vote(const message& m);
  void on_vote(const message& m);
  void on_pre_vote_reply(const message& m);
  void on_vote_reply(const message& m);
  void on_time_out_now(const message& m);
  void enter_term(hard_state next);
  void become_follower(term_number in_term, node_id leader);
  void become_leader();

  // Being led: following.hpp.
  bool follow(const message& m);
  void on_append(message& m);
  log_index append_entries(message& m);
  void refuse_append(const message& m);
  void on_install(message& m);
  void install(const message& m);
  void acknowledge(const message& m, message_kind kind, log_index index);
  void answer_past_leader(const message& m);
  void commit_to(log_index index);
  void settle_role();

  // Leading: leading.hpp.
  bool ready() const noexcept { return lead_ && commit_ >= lead_->first_own; }
  progress* follower(node_id id);
  void settle_followers();
  void propose(entry_kind kind, std::string command, membership members,
               std::optional<std::uint64_t> request);
  void on_append_reply(const message& m);
  void on_install_reply(const message& m);
  void heard(progress& p, std::uint64_t round);
  void replicate(progress& p);
  void replicate_all();
  void send_append(progress& p);
  void send_part(progress& p);
  void send_heartbeat(progress& p);
  void open_round();
  void settle_rounds();
  void settle_reads();
  void advance_commit();
  void hand_over();
  void lead_on_time();
  instant quorum_until() const noexcept;
  instant disk_until() const noexcept;

  message to(node_id node, message_kind kind) const {
    return {.kind = kind, .from = options_.self, .to = node, .term = hard_.term};
  }
  void send(message m) { send(std::move(m), disk_.number_for_hard()); }
  void send(message m, std::uint64_t after);
  void answer(std::uint64_t request, refusal why) { out_.answers.push_back({request, why}); }

  const core_options options_;
  random_source random_;
  instant now_;
  const instant started_;
  const bool new_here_;  // never took part: has promised nothing before it started
  bool halted_ = false;

  hard_state hard_;
  log_view log_;
  disk_book disk_;
  outbox kept_;
  log_index commit_;
  log_index applied_;

  role role_ = role::follower;
  node_id leader_ = nobody;
  instant election_at_;
  std::optional<instant> contact_;  // when a leader was last heard
  std::vector<node_id> votes_;      // of others, for pre-candidate or candidate
  std::optional<arrival> arriving_;
  std::optional<leading> lead_;  // engaged for a leader

  effects out_;
};

inline raft_core::raft_core(core_options options, stored_state stored, instant now, std::uint64_t seed)
    : options_(checked("raft_core", std::move(options))),
      random_(seed),
      now_(now),
      started_(now),
      new_here_(stored.hard == hard_state{}),
      hard_(stored.hard),
      log_([&] {
        const std::string why = contradiction(stored);
        if (!why.empty()) refuse("raft_core: stored state: " + why);
        return log_view(std::move(stored.base), std::move(stored.entries));
      }()),
      disk_(log_.last_index(), now),
      commit_(log_.base_index()),
      applied_(log_.base_index()) {
  if (defect(mutant::votes_lost_on_restart)) hard_.vote = nobody;
  settle_role();
  postpone_election(options_.election_timeout);
}

inline effects raft_core::step(instant now, any_input what) {
  out_ = {};
  now_ = std::max(now_, now);
  // A leader that comes back from a pause is one no longer, whatever has piled up meanwhile.
  if (lead_ && now_ >= std::min(quorum_until(), disk_until())) become_follower(hard_.term, nobody);
  std::visit([this](auto& in) { on(std::move(in)); }, what);
  if (!halted_) {
    on_time();
    finish();
  }
  out_.wake_at = wake_at();
  assert(!out_.restore || !lead_);
  assert(!halted_ || (out_.send.empty() && !out_.store));
  return std::exchange(out_, {});
}

// Inputs that are not messages.

inline void raft_core::on(input::received&& in) {
  message& m = in.what;
  if (halted_ || m.to != options_.self || !well_formed(m)) return;
  switch (m.kind) {
    case message_kind::pre_vote: return on_pre_vote(m);
    case message_kind::pre_vote_reply: return on_pre_vote_reply(m);
    case message_kind::vote: return on_vote(m);
    case message_kind::time_out_now: return on_time_out_now(m);
    default: break;
  }
  if (m.term < hard_.term) return answer_past_leader(m);
  if (m.term > hard_.term) become_follower(m.term, nobody);
  assert(m.term == hard_.term);
  switch (m.kind) {
    case message_kind::append: return on_append(m);
    case message_kind::install: return on_install(m);
    case message_kind::vote_reply: return on_vote_reply(m);
    case message_kind::append_reply: return on_append_reply(m);
    case message_kind::install_reply: return on_install_reply(m);
    default: break;
  }
}

inline void raft_core::on(input::persisted in) {
  if (halted_ || !disk_.done(in.number)) return;
  kept_.release(disk_.last_done(), out_.send);
  assert(disk_.stable() <= log_.last_index());
  if (role_ == role::candidate) count_votes();
}

inline void raft_core::on(input::persist_failed) {
  if (defect(mutant::failed_write_ignored)) return on(input::persisted{disk_.last_issued()});
  // What the disk holds now, nobody knows: a later write that succeeds would not mean that an earlier one has.
  become_follower(hard_.term, nobody);
  kept_.clear();
  out_.send.clear();
  halted_ = true;
}

inline void raft_core::on(input::compacted&& in) {
  if (halted_ || in.index <= log_.base_index() || in.index > applied_) return;
  if (in.state.size() > options_.max_snapshot_bytes) return;
  log_.compact(in.index, std::move(in.state));
  disk_.compacted(in.index);
  assert(log_.base_index() == in.index && applied_ >= in.index);
}

// The end of each step.

inline void raft_core::on_time() {
  if (lead_) return lead_on_time();
  if (now_ >= election_at_) election_due();
}

inline void raft_core::finish() {
  if (lead_) advance_commit();
  deliver();
  if (lead_) {
    replicate_all();
    settle_reads();
    hand_over();
  }
  write();
}

/// Hands out what has committed, and answers for it.
inline void raft_core::deliver() {
  assert(applied_ <= commit_ && commit_ <= log_.last_index());
  const log_index last = std::min<log_index>(commit_, applied_ + options_.max_apply);
  while (applied_ < last) out_.apply.push_back(log_.at(++applied_));
  if (!lead_) return;
  auto& waiting = lead_->entries;
  while (!waiting.empty() && waiting.front().index <= applied_) {
    const waiting_entry& w = waiting.front();
    out_.answers.push_back(
        {.request = w.request, .refused = {}, .index = w.index, .term = log_.at(w.index).term});
    waiting.pop_front();
  }
}

inline void raft_core::write() {
  if (!disk_.dirty(log_.last_index()) || disk_.under_way() >= options_.max_persists) return;
  assert(!out_.store);
  out_.store = disk_.issue(hard_, log_, now_);
}

inline instant raft_core::wake_at() const noexcept {
  if (halted_) return instant::never();
  if (applied_ < commit_) return now_;
  if (!lead_) return election_at_;
  instant at = std::min({lead_->heartbeat_at, quorum_until(), disk_until()});
  if (lead_->handing_over) at = std::min(at, lead_->handing_over->until);
  return at;
}

inline void raft_core::send(message m, std::uint64_t after) {
  assert(m.from == options_.self && m.to != options_.self);
  if (halted_) return;
  if (after <= disk_.last_done()) {
    out_.send.push_back(std::move(m));
  } else {
    kept_.keep(std::move(m), after);
  }
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_MACHINE_HPP
