// SPDX-License-Identifier: Apache-2.0
// What must be well when nothing goes wrong any more, or one thing at a time.
#include <algorithm>
#include <chrono>

#include "simulation/raft/parts/cluster.hpp"

namespace raftsim {

using namespace std::chrono_literals;

// Whoever has started again waits for a time-out; a handful of split votes; clocks that run slow.
duration cluster::bound() const {
  return (how_.core.election_timeout + how_.core.election_jitter) * 12 + how_.core.disk_limit * 4;
}

void cluster::heal() {
  faults_on_ = false;
  trace_.line(loop_.now(), "all is well again");
  net_.heal();
  net_.set_links(how_.good_weather);
  std::uint64_t may_rest = how_.bare_majority ? (how_.voters - 1) / 2 : 0;
  for (replica& r : replicas_) {
    r.resume();
    r.spare();
    r.disk().fail_syncs(0);
    r.disk().set_options(how_.good_disk);
    r.disk().go_on();
    const bool rests = may_rest > 0 && dice_.chance(0.6);
    if (rests || (r.runs() && r.core().halted())) r.stop(true);
    if (rests) {
      --may_rest;
      resting_.push_back(r.id());
    } else if (!r.runs() && r.ever_ran()) {
      r.start();
    }
  }
  to_elect_ = elects([](node) { return true; }, "when all was well again");
  commits();
  if (how_.single_faults == 0) clients_.end();
  // For long enough that a replica which was removed, or lags behind, would have disturbed.
  loop_.run_for(how_.core.election_timeout * (how_.single_faults > 0 ? 4 : 2));
  stays(how_.single_faults > 0 ? 4 : 2, "when all was well again");
}

duration cluster::elects(const std::function<bool(node)>& good, const char* when) {
  const instant begun = loop_.now();
  while (loop_.now() < begun + bound()) {
    const node n = watch_.holder(loop_.now());
    if (n != raft::nobody && good(n)) return loop_.now() - begun;
    loop_.run_for(1ms);
  }
  throw violation(std::string("liveness: nobody is elected ") + when);
}
duration cluster::elects_other_than(node n, const char* when) {
  return elects([n](node other) { return other != n; }, when);
}

void cluster::stays(std::int64_t time_outs, const char* when) {
  const replica* const l = leader();
  const node n = l == nullptr ? raft::nobody : l->id();
  const raft::term_number term = l == nullptr ? 0 : l->core().term();
  loop_.run_for(how_.core.election_timeout * time_outs);
  const replica* const now = leader();
  if (n == raft::nobody || now != l || now->core().term() != term)
    throw violation("liveness: the leader of term " + std::to_string(term) + ", replica " +
                    std::to_string(n) + ", is disturbed " + when);
}

bool cluster::accepts(std::uint64_t request) {
  for (int k = 0; k < 40; ++k) {
    const auto found = replies_.find(request);
    if (found != replies_.end()) return !found->second.refused;
    loop_.run_for(5ms);
  }
  return false;
}

void cluster::commits() {
  const instant begun = loop_.now();
  while (loop_.now() < begun + bound()) {
    replica* const l = leader();
    const std::uint64_t request = ++requests_ * 16;
    if (l != nullptr)
      l->propose(request, {.client = 99, .sequence = requests_, .key = 1U << 30U, .value = requests_});
    if (l != nullptr && accepts(request)) return;
    loop_.run_for(5ms);
  }
  throw violation("liveness: nothing is committed though all is well");
}

void cluster::changes_to(const raft::membership& to) {
  const instant begun = loop_.now();
  while (loop_.now() < begun + bound()) {
    replica* const l = leader();
    const std::uint64_t request = ++requests_ * 16;
    if (l != nullptr) l->change(request, to);
    if (l != nullptr && accepts(request)) return;
    const replica* const now = leader();
    if (now != nullptr && now->core().members() == to) return;
    loop_.run_for(5ms);
  }
  throw violation("liveness: the membership cannot be changed though all is well");
}

// One more may go wrong.
bool cluster::has_followers_to_spare() {
  const replica* const l = leader();
  if (l == nullptr) return false;
  const auto& voters = l->core().members().voters;
  const auto up = std::count_if(voters.begin(), voters.end(), [this](node n) { return at(n).awake(); });
  return 2 * static_cast<std::size_t>(up - 1) > voters.size();
}

raft::node_id cluster::follower() {
  const replica* const l = leader();
  std::vector<node> all = l->core().members().voters;
  all.erase(std::remove_if(all.begin(), all.end(), [&](node n) { return n == l->id() || !at(n).awake(); }),
            all.end());
  return all.empty() ? raft::nobody : dice_.pick_from(all);
}

void cluster::single_faults() {
  for (unsigned left = how_.single_faults; left > 0; --left) {
    if (!has_followers_to_spare()) return dice_.chance(0.5) ? all_start_again() : leadership_is_handed_over();
    switch (dice_.below(10)) {
      case 0: follower_is_cut_off(); break;
      case 1: leader_is_cut_off(); break;
      case 2: leader_dies(); break;
      case 3: leader_sleeps(); break;
      case 4: disk_of_the_leader_stalls(); break;
      case 5: leadership_is_handed_over(); break;
      case 6:
      case 7: follower_is_removed(); break;
      case 8: leader_is_removed(); break;
      default: all_start_again(); break;
    }
    settles();
    stays(4, "when one fault was over");
  }
}

void cluster::follower_is_cut_off() {
  const node n = follower();
  trace_.line(loop_.now(), "follower ", n, " is cut off");
  const std::uint64_t kind = dice_.below(3);
  for (const replica& r : replicas_) {
    if (r.id() == n) continue;
    if (kind != 1) net_.cut(n, r.id());
    if (kind != 2) net_.cut(r.id(), n);
  }
  stays(dice_.between(2, 8), "by a follower that is cut off");
  net_.heal();
  stays(4, "by a follower that was cut off");
}

void cluster::leader_is_cut_off() {
  const node n = leader()->id();
  trace_.line(loop_.now(), "leader ", n, " is cut off");
  const std::uint64_t kind = dice_.below(3);
  for (const replica& r : replicas_) {
    if (r.id() == n) continue;
    if (kind != 1) net_.cut(n, r.id());
    if (kind != 2) net_.cut(r.id(), n);
  }
  elects_other_than(n, kind == 1   ? "while the leader hears nobody"
                       : kind == 2 ? "while nobody hears the leader"
                                   : "while the leader is cut off");
  net_.heal();
}

void cluster::leader_dies() {
  const node n = leader()->id();
  at(n).stop(dice_.chance(0.5));
  elects_other_than(n, "after the leader has died");
  at(n).start();
}

void cluster::leader_sleeps() {
  const node n = leader()->id();
  at(n).pause();
  elects_other_than(n, "while the leader is paused");
  at(n).resume();
}

void cluster::disk_of_the_leader_stalls() {
  const node n = leader()->id();
  trace_.line(loop_.now(), "the disk of leader ", n, " stalls");
  at(n).disk().stall_for(bound() * 2);
  elects_other_than(n, "while the leader's disk stalls");
  at(n).disk().go_on();
}

void cluster::leadership_is_handed_over() {
  const node n = follower();
  if (n == raft::nobody) return;
  leader()->tell(raft::input::transfer{n});
  elects([n](node other) { return other == n; }, "to whom leadership is handed over");
}

// It goes on, not knowing of it.
void cluster::follower_is_removed() {
  const node n = follower();
  raft::membership m = leader()->core().members();
  m.voters.erase(std::find(m.voters.begin(), m.voters.end(), n));
  changes_to(m);
  stays(6, "by a follower that was removed");
}

void cluster::leader_is_removed() {
  const node n = leader()->id();
  raft::membership m = leader()->core().members();
  m.voters.erase(std::find(m.voters.begin(), m.voters.end(), n));
  changes_to(m);
  elects_other_than(n, "after the leader was removed");
}

void cluster::all_start_again() {
  trace_.line(loop_.now(), "all start again");
  std::vector<node> up;
  for (replica& r : replicas_) {
    if (r.runs()) up.push_back(r.id());
    r.stop(true);
  }
  loop_.run_for(dice_.between(duration(1ms), duration(100ms)));
  for (const node n : up) at(n).start();
  elects([](node) { return true; }, "after all have started again");
}

// All members come to the same, and owe nobody an answer.
void cluster::converges() {
  for (const node n : resting_) at(n).start();
  const instant begun = loop_.now();
  std::string lags;
  while (loop_.now() < begun + bound()) {
    loop_.run_for(20ms);
    const replica* const l = leader();
    lags = l == nullptr ? "nobody leads" : "";
    if (l == nullptr) continue;
    raft::membership m = l->core().members();
    m.voters.insert(m.voters.end(), m.learners.begin(), m.learners.end());
    for (const node n : m.voters) {
      if (!at(n).runs() || watch_.applied_by(n) != watch_.committed())
        lags = "replica " + std::to_string(n) + " lags behind";
      if (at(n).runs() && at(n).unanswered() != 0) lags = "replica " + std::to_string(n) + " owes answers";
    }
    if (lags.empty()) return;
  }
  throw violation("liveness: at the end " + lags);
}

}  // namespace raftsim
