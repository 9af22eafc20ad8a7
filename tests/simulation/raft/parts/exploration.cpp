// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/exploration.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "simulation/raft/parts/dice.hpp"
#include "simulation/raft/parts/observer.hpp"
#include "simulation/raft/parts/shadow.hpp"
#include "simulation/raft/parts/trace.hpp"

namespace raftsim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t replicas = 3;

raft::core_options options_of(raft::node_id n) {
  raft::core_options o;
  o.self = n;
  o.heartbeat = 10ms;
  o.election_timeout = 100ms;
  o.election_jitter = 10ms;
  o.disk_limit = 1h;
  return o;
}

/// One replica with its disk. Never changed: a step makes another one.
struct node_state {
  raft::raft_core core;
  raft::stored_state disk;
  std::vector<raft::persist> unsynced = {};
  instant now = {};
  instant wake = instant::never();
  std::uint64_t seen = 0;  // digest of all that has come to it
  std::uint64_t seed = 0;
};

struct flight {
  raft::message what;
  std::uint64_t digest;
};

enum class happening : std::uint8_t {
  arrives,
  arrives_and_stays,
  time_out,
  proposal,
  sync,
  crash,
  crash_keeping
};

struct choice {
  happening what = happening::arrives;
  std::uint8_t node = 0;
  std::uint64_t message = 0;
};

struct left_over {
  unsigned time_outs, heartbeats, proposals, crashes, doubled;
};

struct world {
  std::array<std::shared_ptr<const node_state>, replicas> nodes;
  std::vector<std::shared_ptr<const flight>> under_way;  // by digest
  left_over left;
  std::vector<std::pair<raft::term_number, std::uint8_t>> leaders;
  std::vector<outline::line> committed;
  std::size_t number = 0;
};

std::uint64_t digest_of_message(const raft::message& m) {
  std::uint64_t d = static_cast<std::uint64_t>(m.kind);
  for (const std::uint64_t v :
       {m.from, m.to, m.term, m.index, m.log_term, m.commit, std::uint64_t{m.granted},
        std::uint64_t{m.by_transfer}, m.round, m.hint, m.hint_term, m.offset, std::uint64_t{m.last}})
    d = folded(d, v);
  for (const raft::entry& e : m.entries) d = folded(d, digest_of(e));
  return folded(d, digest_of(m.bytes));
}

class explorer {
 public:
  explicit explorer(const small_world& w) : bounds_(w) {}

  exploration run() {
    std::vector<world> frontier;
    frontier.push_back(first());
    note(frontier.back(), 0, {});
    try {
      while (!frontier.empty() && found_.depth < bounds_.most_steps && !full()) {
        std::vector<world> next;
        for (const world& w : frontier) expand(w, next);
        frontier = std::move(next);
        ++found_.depth;
      }
      found_.exhausted = frontier.empty();
    } catch (const violation& v) {
      found_.broken = std::string(v.what()) + way_to(at_, choice_);
    }
    found_.states = seen_.size();
    return found_;
  }

 private:
  struct step_back {
    std::size_t before;
    choice by;
  };

  bool full() const { return seen_.size() >= bounds_.most_states; }

  world first() const {
    world w;
    w.left = {bounds_.time_outs, bounds_.heartbeats, bounds_.proposals, bounds_.crashes, bounds_.doubled};
    for (std::size_t i = 0; i < replicas; ++i) {
      raft::stored_state s;
      s.base.members.voters = {1, 2, 3};
      node_state n{raft::raft_core(options_of(i + 1), s, instant(), i), s};
      n.seen = folded(1, i);
      n.wake = n.core.step(instant(), raft::input::tick{}).wake_at;
      w.nodes[i] = std::make_shared<const node_state>(std::move(n));
    }
    return w;
  }

  void expand(const world& w, std::vector<world>& next) {
    std::uint64_t last = 0;
    for (const auto& f : w.under_way) {
      if (f->digest == last) continue;  // the same twice
      last = f->digest;
      const auto to = static_cast<std::uint8_t>(f->what.to - 1);
      go(w, {happening::arrives, to, f->digest}, next);
      if (w.left.doubled > 0) go(w, {happening::arrives_and_stays, to, f->digest}, next);
    }
    for (std::uint8_t i = 0; i < replicas; ++i) {
      const node_state& n = *w.nodes[i];
      const bool leads = n.core.current_role() == raft::role::leader;
      const bool may_beat = leads && w.left.heartbeats > 0;
      const bool may_campaign = !leads && w.left.time_outs > 0 && n.core.term() < bounds_.last_term;
      if (n.wake != instant::never() && (may_beat || may_campaign)) go(w, {happening::time_out, i}, next);
      if (leads && w.left.proposals > 0) go(w, {happening::proposal, i}, next);
      if (!n.unsynced.empty()) go(w, {happening::sync, i}, next);
      if (w.left.crashes > 0) go(w, {happening::crash, i}, next);
      if (w.left.crashes > 0 && !n.unsynced.empty()) go(w, {happening::crash_keeping, i}, next);
    }
  }

  void go(const world& before, choice c, std::vector<world>& next) {
    if (full()) return;
    ++found_.transitions;
    at_ = before.number;
    choice_ = c;
    world after = happen(before, c);
    if (!seen_.insert(key_of(after)).second) return;
    note(after, before.number, c);
    next.push_back(std::move(after));
  }

  void note(world& w, std::size_t before, choice by) {
    w.number = back_.size();
    back_.push_back({before, by});
    if (!w.leaders.empty()) ++found_.with_leader;
    if (!w.committed.empty()) ++found_.with_commit;
    for (const auto& n : w.nodes) found_.highest_term = std::max(found_.highest_term, n->core.term());
  }

  world happen(const world& before, choice c) const {
    world w = before;
    const std::size_t i = c.node;
    switch (c.what) {
      case happening::arrives:
      case happening::arrives_and_stays: {
        const auto found = std::find_if(w.under_way.begin(), w.under_way.end(),
                                        [&](const auto& f) { return f->digest == c.message; });
        const std::shared_ptr<const flight> f = *found;
        if (c.what == happening::arrives) {
          w.under_way.erase(found);
        } else {
          --w.left.doubled;
        }
        step(w, i, raft::input::received{f->what}, f->digest);
        break;
      }
      case happening::time_out: {
        if (w.nodes[i]->core.current_role() == raft::role::leader) {
          --w.left.heartbeats;
        } else {
          --w.left.time_outs;
        }
        auto n = std::make_shared<node_state>(*w.nodes[i]);
        n->now = std::max(n->now, n->wake);
        w.nodes[i] = std::move(n);
        step(w, i, raft::input::tick{}, 11);
        break;
      }
      case happening::proposal: {
        --w.left.proposals;
        step(w, i, raft::input::proposed{w.left.proposals, std::to_string(w.left.proposals)},
             12 + w.left.proposals);
        break;
      }
      case happening::sync: sync(w, i); break;
      case happening::crash:
      case happening::crash_keeping: crash(w, i, c.what == happening::crash_keeping); break;
    }
    return w;
  }

  void sync(world& w, std::size_t i) const {
    auto n = std::make_shared<node_state>(*w.nodes[i]);
    const std::uint64_t number = n->unsynced.front().number;
    carry_out(n->disk, n->unsynced.front());
    n->unsynced.erase(n->unsynced.begin());
    w.nodes[i] = std::move(n);
    step(w, i, raft::input::persisted{number}, 13);
  }

  void crash(world& w, std::size_t i, bool keeps) const {
    --w.left.crashes;
    raft::stored_state disk = w.nodes[i]->disk;
    if (keeps) {
      for (const raft::persist& p : w.nodes[i]->unsynced) carry_out(disk, p);
    }
    const instant now = w.nodes[i]->now;
    node_state n{raft::raft_core(options_of(i + 1), disk, now, i), disk};
    n.now = now;
    n.seen = folded(w.nodes[i]->seen, keeps ? 14 : 15);
    n.wake = n.core.step(now, raft::input::tick{}).wake_at;
    w.nodes[i] = std::make_shared<const node_state>(std::move(n));
  }

  void step(world& w, std::size_t i, raft::any_input in, std::uint64_t digest) const {
    auto n = std::make_shared<node_state>(*w.nodes[i]);
    n->seen = folded(n->seen, digest);
    const raft::role was = n->core.current_role();
    const raft::term_number term = n->core.term();
    raft::effects e = n->core.step(n->now, std::move(in));
    n->wake = e.wake_at;
    if (e.store) n->unsynced.push_back(*std::move(e.store));
    for (raft::message& m : e.send) {
      const std::uint64_t d = digest_of_message(m);
      auto f = std::make_shared<const flight>(flight{std::move(m), d});
      w.under_way.insert(std::upper_bound(w.under_way.begin(), w.under_way.end(), f,
                                          [](const auto& a, const auto& b) { return a->digest < b->digest; }),
                         std::move(f));
    }
    w.nodes[i] = n;
    const bool leads = n->core.current_role() == raft::role::leader;
    if (leads && (was != raft::role::leader || term != n->core.term())) elected(w, i);
    committed(w, i);
    // The tick is wanted at once where there is more to hand out.
    if (!bounds_.slow_disk && !n->unsynced.empty()) sync(w, i);
  }

  static void elected(world& w, std::size_t i) {
    const raft::raft_core& core = w.nodes[i]->core;
    for (const auto& [term, who] : w.leaders) {
      if (term == core.term())
        throw violation("election safety: two leaders of term " + std::to_string(term));
    }
    w.leaders.emplace_back(core.term(), static_cast<std::uint8_t>(i));
    std::sort(w.leaders.begin(), w.leaders.end());
    complete(w, core);
  }
  static void complete(const world& w, const raft::raft_core& core) {
    for (std::size_t k = 0; k < w.committed.size(); ++k) {
      if (k >= core.last_index() || digest_of(core.log().at(k + 1)) != w.committed[k].digest)
        throw violation("leader completeness: the leader of term " + std::to_string(core.term()) +
                        " has not got entry " + std::to_string(k + 1));
    }
  }

  // Whoever says so, leader or not: nobody may ever say otherwise.
  static void committed(world& w, std::size_t i) {
    const raft::raft_core& core = w.nodes[i]->core;
    for (raft::log_index k = 1; k <= core.commit_index(); ++k) {
      const raft::entry& e = core.log().at(k);
      if (k > w.committed.size()) w.committed.push_back({e.term, digest_of(e)});
      if (w.committed[k - 1].digest != digest_of(e))
        throw violation("state machine safety: two entries are committed at " + std::to_string(k));
    }
    for (const auto& n : w.nodes) {
      const bool later = !w.committed.empty() && n->core.term() > w.committed.back().term;
      if (n->core.current_role() == raft::role::leader && later) complete(w, n->core);
      match(n->core, core);
    }
  }
  static void match(const raft::raft_core& a, const raft::raft_core& b) {
    bool same = false;
    for (raft::log_index k = std::min(a.last_index(), b.last_index()); k > 0; --k) {
      const bool equal = digest_of(a.log().at(k)) == digest_of(b.log().at(k));
      if ((same || a.log().at(k).term == b.log().at(k).term) && !equal)
        throw violation("log matching: two logs agree at an entry and not at " + std::to_string(k));
      same = same || equal;
    }
  }

  static std::uint64_t key_of(const world& w) {
    std::uint64_t key = 1;
    for (const auto& n : w.nodes) key = folded(key, n->seen);
    for (const auto& f : w.under_way) key = folded(key, f->digest);
    for (const unsigned v :
         {w.left.time_outs, w.left.heartbeats, w.left.proposals, w.left.crashes, w.left.doubled})
      key = folded(key, v);
    return key;
  }

  // Played again from the beginning, as states do not remember it.
  std::string way_to(std::size_t number, choice last) const {
    std::vector<choice> way = {last};
    for (; number != 0; number = back_[number].before) way.push_back(back_[number].by);
    std::string out;
    world w = first();
    for (auto c = way.rbegin(); c != way.rend(); ++c) {
      out += "\n  " + told(w, *c);
      if (std::next(c) != way.rend()) w = happen(w, *c);
    }
    return out;
  }
  static std::string told(const world& w, const choice& c) {
    const std::string who = std::to_string(c.node + 1);
    switch (c.what) {
      case happening::arrives:
      case happening::arrives_and_stays:
        for (const auto& f : w.under_way) {
          if (f->digest == c.message)
            return words(f->what) + (c.what == happening::arrives ? " arrives" : " arrives, and will again");
        }
        return "?";
      case happening::time_out: return who + " times out";
      case happening::proposal: return who + " is asked to write";
      case happening::sync: return "the disk of " + who + " has written";
      case happening::crash: return who + " starts again without what was not synced";
      case happening::crash_keeping: return who + " starts again";
    }
    return "?";
  }

  const small_world bounds_;
  exploration found_;
  std::unordered_set<std::uint64_t> seen_;
  std::vector<step_back> back_;
  std::size_t at_ = 0;
  choice choice_;
};

}  // namespace

exploration explore(const small_world& w) { return explorer(w).run(); }

}  // namespace raftsim
