// SPDX-License-Identifier: Apache-2.0
// What has gone wrong somewhere in just this way, and what chance would take too long to find.
#include <algorithm>
#include <chrono>

#include "simulation/raft/parts/cluster.hpp"

namespace raftsim {

using namespace std::chrono_literals;

void cluster::play() {
  switch (how_.directed) {
    case scenario::none:
    case scenario::all_at_once: return;  // they have just started, and are to elect somebody
    case scenario::late_acknowledgement: return entries_are_acknowledged_late();
    case scenario::late_append: return an_append_arrives_late();
    case scenario::late_answers: return answers_arrive_late();
    case scenario::late_time_out_now: return a_time_out_now_arrives_late();
    case scenario::forgetful_voter: return a_voter_forgets();
    case scenario::read_by_a_sleeper: return a_sleeper_is_asked();
    case scenario::two_changes: return two_leaders_change();
    case scenario::term_ahead: return a_term_runs_ahead();
  }
}

void cluster::leads(node n) {
  const instant end = loop_.now() + bound() * 4;
  while (watch_.holder(loop_.now()) != n) {
    if (loop_.now() >= end) throw violation("liveness: leadership does not come to whom it is handed over");
    const node now = watch_.holder(loop_.now());
    if (now != raft::nobody) at(now).tell(raft::input::transfer{n});
    loop_.run_for(20ms);
  }
  put(n, 1);
  loop_.run_for(60ms);  // all know that it has committed
}

void cluster::put(node by, std::uint64_t value) {
  const std::uint64_t request = ++requests_ * 16;
  at(by).propose(request, {.client = 98, .sequence = requests_, .key = 7, .value = value});
}

void cluster::cut_off(node n, bool from_it, bool to_it) {
  for (const replica& r : replicas_) {
    if (r.id() == n) continue;
    if (from_it) net_.cut(n, r.id());
    if (to_it) net_.cut(r.id(), n);
  }
}

/// As soon as there is one.
raft::node_id cluster::leader_other_than(node n) {
  const instant end = loop_.now() + bound();
  for (; loop_.now() < end; loop_.run_for(50us)) {
    const replica* const l = leader();
    if (l != nullptr && l->id() != n) return l->id();
  }
  throw violation("liveness: nobody takes the place of a leader that is cut off");
}

void cluster::entries_are_acknowledged_late() {
  leads(1);
  for (const node n : {3, 4, 5}) net_.part({1}, {n});
  at(2).disk().stall_for(10s);
  put(1, 2);
  loop_.run_for(3ms);
  put(1, 3);  // waits at 2 until the first one is on the disk
  loop_.run_for(3ms);
  net_.cut(1, 2);
  elects_other_than(1, "while the leader is cut off");
  loop_.run_for(60ms);
  at(2).disk().go_on();
  loop_.run_for(60ms);
}

void cluster::an_append_arrives_late() {
  raft::message copy = {.kind = raft::message_kind::append, .from = 1, .to = 3, .term = 1, .round = 1};
  leads(1);
  // What the first append of this term has been, unless other terms came before.
  const raft::raft_core& core = at(1).core();
  copy.term = core.term();
  copy.entries = {
      {.index = 1, .term = core.term(), .kind = raft::entry_kind::members, .members = core.members()}};
  net_.part({2}, {1, 3});
  for (std::uint64_t value = 2; value < 12 || at(3).core().commit_index() == core.commit_index(); ++value) {
    put(1, value);
    const raft::log_index index = core.last_index();
    for (int i = 0; i < 400 && core.commit_index() < index; ++i) loop_.run_for(50us);
  }
  // Committed, with 3's acknowledgement, and 3 does not know yet.
  cut_off(1, true, true);
  if (core.term() == 1) at(3).tell(raft::input::received{copy});
  loop_.run_for(20ms);
  net_.join(2, 3);
  net_.join(3, 2);
  elects_other_than(1, "when the leader is cut off");
}

void cluster::answers_arrive_late() {
  leads(1);
  for (const node n : {2, 3})
    net_.set_link(n, 1,
                  seawall::testing::link_options{.delay_min = 150ms, .delay_max = 150ms, .slow_max = 150ms});
  loop_.run_for(400ms);
  cut_off(1, true, false);
  loop_.run_for(how_.core.election_timeout * 3);
  for (const node n : {2, 3}) net_.set_link(n, 1, std::nullopt);
}

void cluster::a_time_out_now_arrives_late() {
  leads(1);
  cut_off(2, true, false);
  net_.join(2, 1);  // still needed, to be handed leadership over
  net_.set_link(1, 2, seawall::testing::link_options{.delay_min = 1s, .delay_max = 1s, .slow_max = 1s});
  at(1).tell(raft::input::transfer{2});
  net_.cut(2, 1);
  net_.set_link(1, 2, std::nullopt);
  const instant sent = loop_.now();
  elects_other_than(2, "when leadership was handed over in vain");
  const node now = watch_.holder(loop_.now());
  net_.join(2, now == 1 ? 3 : 1);  // whom the leader hears as well; itself does not hear 2
  loop_.run_for(sent + duration(1100ms) - loop_.now());
}

void cluster::a_voter_forgets() {
  leads(1);
  net_.part({1}, {3});
  loop_.run_for(how_.core.election_timeout * 2 + dice_.between(duration(0ms), duration(100ms)));
  at(2).stop(dice_.chance(0.5));
  net_.cut(1, 2);
  loop_.run_for(1ms);
  at(2).start();
  loop_.run_for(how_.core.election_timeout * 3);
}

void cluster::a_sleeper_is_asked() {
  leads(1);
  for (replica& r : replicas_) {
    r.clock().drift(loop_.now(), r.id() == 1 ? -200'000 : 200'000);
    r.clock_changed();
  }
  loop_.run_for(dice_.between(duration(200ms), duration(230ms)));
  at(1).pause();
  cut_off(1, false, true);
  const instant begun = loop_.now();
  const node now = leader_other_than(1);
  put(now, 2);
  const std::uint64_t written = requests_ * 16, read = ++requests_ * 16;
  while (!replies_.contains(written) && loop_.now() < begun + duration(220ms)) loop_.run_for(100us);
  at(1).read(read, 7);
  at(1).resume();
  loop_.run_for(50ms);
  if (!replies_.contains(written) || replies_.at(written).refused || !replies_.contains(read)) return;
  if (!replies_.at(read).refused && replies_.at(read).value == 1)
    throw violation("linearisability: replica 1 reads what was there before a write that has ended");
}

void cluster::two_leaders_change() {
  at(5).start();
  leads(1);
  for (const node n : {2, 3, 4}) net_.part({n}, {1, 5});
  at(1).change(++requests_ * 16, {{1, 2, 3, 4, 5}, {}});
  const node second = leader_other_than(1);
  // Two of the three it needs hear it. Of the membership without 1, they would be enough.
  std::vector<node> others = {2, 3, 4};
  others.erase(std::find(others.begin(), others.end(), second));
  const node with_it = others[0], without_it = others[1];
  net_.part({without_it}, {second, with_it});
  at(second).change(++requests_ * 16, {{2, 3, 4}, {}});
  loop_.run_for(50ms);
  for (const node n : {node{1}, node{5}}) {
    net_.join(n, without_it);
    net_.join(without_it, n);
  }
  loop_.run_for(how_.core.election_timeout * 6);
}

void cluster::a_term_runs_ahead() {
  leads(1);
  net_.part({1}, {2, 3});
  put(1, 2);
  // Of the others, one asks for votes in a new term, in vain.
  const auto campaigns = [this](node n) { return at(n).core().current_role() == raft::role::candidate; };
  const instant end = loop_.now() + bound();
  while (!campaigns(2) && !campaigns(3) && loop_.now() < end) loop_.run_for(50us);
  const node ahead = campaigns(2) ? 2 : 3, silent = campaigns(2) ? 3 : 2;
  net_.part({2}, {3});
  at(silent).stop(false);
  loop_.run_for(how_.core.election_timeout * 2);
  net_.join(1, ahead);
  net_.join(ahead, 1);
  elects([](node) { return true; }, "where the longer log has the lower term");
}

}  // namespace raftsim
