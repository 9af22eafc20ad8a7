// SPDX-License-Identifier: Apache-2.0
// What goes wrong while everything does.
#include <algorithm>
#include <chrono>

#include "simulation/raft/parts/cluster.hpp"

namespace raftsim {

using namespace std::chrono_literals;

void cluster::begin_faults() {
  net_.set_links(how_.weather);
  next_fault();
}

void cluster::next_fault() {
  later_.after(dice_.between(duration::zero(), how_.between_faults * 2), [this] {
    if (!faults_on_) return;
    ++faults_;
    fault();
    next_fault();
  });
}

void cluster::fault() {
  const std::uint64_t roll = dice_.below(100);
  if (roll < 14) return crash_somebody();
  if (roll < 34) return crash_at_a_persist();
  if (roll < 36) return crash_all();
  if (roll < 46) return pause_somebody();
  if (roll < 54) return stall_a_disk();
  if (roll < 56) return fail_a_sync();
  if (roll < 72) return cut_some_links();
  if (roll < 77) return change_the_weather();
  if (roll < 81) return change_a_clock();
  if (roll < 88) return hand_over();
  if (how_.changes) change_members();
}

replica* cluster::leader() {
  replica* found = nullptr;
  for (replica& r : replicas_) {
    if (!r.runs() || r.core().current_role() != raft::role::leader) continue;
    if (found == nullptr || found->core().term() < r.core().term()) found = &r;
  }
  return found;
}

// The leader as often as not: nobody else has as much to lose.
raft::node_id cluster::somebody() {
  const replica* const l = leader();
  if (l != nullptr && dice_.chance(0.45)) return l->id();
  return 1 + dice_.below(replicas_.size());
}

void cluster::later(duration after, std::function<void()> what) {
  later_.after(after, [this, what = std::move(what)] {
    if (faults_on_) what();
  });
}
void cluster::revive(node n, duration after) {
  later(after, [this, n] {
    if (!at(n).runs()) at(n).start();
  });
}

void cluster::crash_somebody() {
  const node n = somebody();
  if (!at(n).runs()) return;
  at(n).stop(dice_.chance(0.6));
  // Soon enough to meet what it has forgotten, or late.
  revive(n, dice_.chance(0.5) ? dice_.between(duration(1ms), duration(20ms))
                              : dice_.between(duration(20ms), duration(900ms)));
}

void cluster::crash_at_a_persist() {
  at(somebody())
      .arm(dice_.pick({crash_point::before_write, crash_point::before_sync, crash_point::before_told,
                       crash_point::before_effects, crash_point::between_effects}));
}

void cluster::crash_all() {
  for (replica& r : replicas_) {
    if (!r.runs()) continue;
    r.stop(dice_.chance(0.9));
    revive(r.id(), dice_.between(duration(1ms), duration(400ms)));
  }
}

void cluster::pause_somebody() {
  const node n = somebody();
  if (!at(n).awake()) return;
  at(n).pause();
  later(dice_.between(duration(5ms), dice_.chance(0.7) ? how_.core.election_timeout * 3 : duration(1500ms)),
        [this, n] { at(n).resume(); });
}

void cluster::stall_a_disk() {
  at(somebody()).disk().stall_for(dice_.between(duration(5ms), duration(700ms)));
}

void cluster::fail_a_sync() { at(somebody()).disk().fail_syncs(1); }

void cluster::cut_some_links() {
  const std::uint64_t kind = dice_.below(5);
  const auto all = static_cast<node>(replicas_.size());
  if (kind == 0) {  // two sides
    std::vector<node> side, other;
    for (node n = 1; n <= all; ++n) (dice_.chance(0.5) ? side : other).push_back(n);
    net_.part(side, other);
  } else {
    const node a = somebody();
    for (node b = 1; b <= all; ++b) {
      if (a == b) continue;
      const bool out = kind == 1 || kind == 2 || (kind == 4 && dice_.chance(0.5));
      const bool in = kind == 1 || kind == 3 || (kind == 4 && dice_.chance(0.5));
      if (out) net_.cut(a, b);
      if (in) net_.cut(b, a);
    }
  }
  later(dice_.between(duration(10ms), dice_.chance(0.7) ? how_.core.election_timeout * 4 : duration(2s)),
        [this] { net_.heal(); });
}

void cluster::change_the_weather() { net_.set_links(dice_.chance(0.5) ? how_.weather : calm_links()); }

void cluster::change_a_clock() {
  const node n = somebody();
  const auto most = static_cast<std::int64_t>(how_.core.max_clock_drift * 1e6);
  at(n).clock().drift(loop_.now(), dice_.pick({-most, most, dice_.between(-most, most)}));
  at(n).clock_changed();
}

void cluster::hand_over() {
  replica* const l = leader();
  if (l == nullptr || !l->awake()) return;
  if (dice_.chance(0.2)) return l->tell(raft::input::resign{});
  l->tell(raft::input::transfer{dice_.below(replicas_.size() + 1)});
}

// Takes somebody in, promotes, removes; often two in a row, which must not overlap.
void cluster::change_members() {
  replica* const l = leader();
  if (l == nullptr || !l->awake()) return;
  for (std::uint64_t left = dice_.chance(0.5) ? 2 : 1; left > 0; --left) {
    if (!l->awake() || l->core().current_role() != raft::role::leader) return;
    raft::membership m = l->core().members();
    const node n = 1 + dice_.below(replicas_.size());
    const auto drop = [n](std::vector<node>& from) {
      const auto found = std::find(from.begin(), from.end(), n);
      if (found == from.end()) return false;
      from.erase(found);
      return true;
    };
    const auto add = [n](std::vector<node>& to) { to.insert(std::lower_bound(to.begin(), to.end(), n), n); };
    if (drop(m.learners)) {
      if (dice_.chance(0.7)) add(m.voters);
    } else if (m.voters.size() > 1 + dice_.below(2) && drop(m.voters)) {
      if (dice_.chance(0.3)) add(m.learners);
    } else {
      add(dice_.chance(0.5) ? m.learners : m.voters);
      if (!at(n).runs()) at(n).start();
    }
    std::sort(m.voters.begin(), m.voters.end());
    l->change(++requests_ * 16, m);
  }
}

}  // namespace raftsim
