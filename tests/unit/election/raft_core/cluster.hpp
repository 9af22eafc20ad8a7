// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_UNIT_ELECTION_RAFT_CORE_CLUSTER_HPP
#define SEAWALL_UNIT_ELECTION_RAFT_CORE_CLUSTER_HPP

// A handful of cores on one clock, with disks and a network that do what a test says, and a record of all that happened.

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "seawall/election/raft_core.hpp"
#include "text.hpp"

namespace seawall::raft::test {

inline constexpr auto ms = [](std::int64_t n) { return duration(std::chrono::milliseconds(n)); };
inline constexpr auto at_ms = [](std::int64_t n) { return instant::from_ns(n * 1'000'000); };

/// Heartbeats of 100 ms, time-outs of 1000 ms and up to 500 ms more; no drift to speak of, so that figures are round.
inline core_options options_of(node_id self) {
  core_options o;
  o.self = self;
  o.max_clock_drift = 0.0;
  return o;
}

struct disk {
  stored_state holds;
  std::deque<persist> writes;  // under way
  bool slow = false;           // writes wait until they are told

  void write() {
    persist p = std::move(writes.front());
    writes.pop_front();
    if (p.hard) holds.hard = *p.hard;
    if (p.base) {
      auto& e = holds.entries;
      const auto covered = [&](const entry& x) { return !p.keep_entries || x.index <= p.base->index; };
      e.erase(std::remove_if(e.begin(), e.end(), covered), e.end());
      holds.base = *p.base;
    }
    while (p.cut_from != 0 && !holds.entries.empty() && holds.entries.back().index >= p.cut_from)
      holds.entries.pop_back();
    for (entry& x : p.append) holds.entries.push_back(std::move(x));
  }
};

struct replica {
  core_options options;
  disk d;
  std::unique_ptr<raft_core> core;
  instant wake_at;
  std::string state;  // the commands that were applied, one after the other
  std::vector<answer> answers;

  raft_core* operator->() const { return core.get(); }
};

class cluster {
 public:
  explicit cluster(membership first, core_options like = options_of(nobody)) : like_(like) {
    for (const node_id n : first.voters) add(n, first);
    for (const node_id n : first.learners) add(n, first);
  }
  explicit cluster(std::vector<node_id> voters) : cluster(membership{std::move(voters), {}}) {}

  /// One that starts with the membership `first`, or knows of none yet.
  void add(node_id n, membership first = {}) {
    replica& r = replicas_[n];
    r.options = like_;
    r.options.self = n;
    r.d.holds.base.members = std::move(first);
    start(n);
  }
  replica& operator[](node_id n) { return replicas_.at(n); }
  instant now() const { return now_; }
  std::vector<message>& network() { return network_; }
  std::vector<std::string>& record() { return record_; }

  void crash(node_id n) {
    replicas_.at(n).core.reset();
    replicas_.at(n).d.writes.clear();
  }
  void start(node_id n) {
    replica& r = replicas_.at(n);
    r.core = std::make_unique<raft_core>(r.options, r.d.holds, now_, n);
    r.state = r.d.holds.base.state;
    r.wake_at = now_;
  }

  effects step(node_id n, any_input what) {
    const auto found = replicas_.find(n);
    if (found == replicas_.end() || found->second.core == nullptr) return {};
    replica& r = found->second;
    const std::string before = standing(r);
    effects e = r.core->step(now_, std::move(what));
    if (const std::string after = standing(r); after != before) say(n, "is " + after);
    r.wake_at = e.wake_at;
    take(n, r, e);
    if (!r.d.slow) durable(n);
    return e;
  }
  /// All writes of `n` that are under way.
  void durable(node_id n) {
    replica& r = replicas_.at(n);
    while (r.core != nullptr && !r.d.writes.empty()) {
      const std::uint64_t number = r.d.writes.front().number;
      r.d.write();
      step(n, input::persisted{number});
    }
  }
  void receive(message m) { step(m.to, input::received{std::move(m)}); }

  /// Everything on its way arrives, in order; what comes of it stays on its way.
  void deliver() {
    deliver([](const message&) { return true; });
  }
  template <class Which>
  void deliver(Which&& which) {
    std::vector<message> rest, now;
    for (message& m : network_) (which(m) && !is_cut(m) ? now : rest).push_back(std::move(m));
    network_ = std::move(rest);
    for (message& m : now) receive(std::move(m));
  }
  void drop() { network_.clear(); }
  /// Delivers until nothing is on its way.
  void settle() {
    for (int i = 0; i < 1000 && !network_.empty(); ++i) {
      deliver();
      drop_cut();
    }
  }
  /// Messages from and to `n` are lost.
  void cut(node_id n) { cut_.push_back(n); }
  void heal() { cut_.clear(); }

  /// Time passes, and whoever wanted to be woken is; messages stay on their way.
  void pass(duration d) {
    const instant end = now_ + d;
    for (;;) {
      node_id next = nobody;
      for (auto& [n, r] : replicas_) {
        if (r.core != nullptr && r.wake_at <= end &&
            (next == nobody || r.wake_at < replicas_.at(next).wake_at))
          next = n;
      }
      if (next == nobody) break;
      now_ = std::max(now_, replicas_.at(next).wake_at);
      step(next, input::tick{});
    }
    now_ = end;
  }
  /// The same on a network without delay.
  void live(duration d) {
    const instant end = now_ + d;
    settle();
    while (now_ < end) {
      pass(std::min(ms(10), end - now_));
      settle();
    }
  }
  node_id leader() const {
    for (const auto& [n, r] : replicas_) {
      if (r.core != nullptr && r.core->current_role() == role::leader && r.core->lease_until() > now_)
        return n;
    }
    return nobody;
  }
  /// Makes `n` the leader: only its time-out passes.
  void elect(node_id n) {
    now_ = now_ + ms(1001);
    step(n, input::tick{});
    while (replicas_.at(n).core->current_role() == role::follower) {
      now_ = std::max(now_, replicas_.at(n).wake_at);
      step(n, input::tick{});
    }
    settle();
  }

 private:
  static std::string standing(const replica& r) {
    std::string out = std::string(name_of(r.core->current_role())) + " in term " + number(r.core->term());
    if (r.core->leader() != nobody && r.core->current_role() != role::leader)
      out += " of " + number(r.core->leader());
    return r.core->halted() ? "halted" : out;
  }
  void say(node_id n, const std::string& what) { record_.push_back(number(n) + " " + what); }

  void take(node_id n, replica& r, const effects& e) {
    if (e.store) {
      say(n, text(*e.store));
      r.d.writes.push_back(*e.store);
    }
    for (const message& m : e.send) {
      record_.push_back(text(m));
      network_.push_back(m);
    }
    if (e.restore) {
      say(n, "restores " + text(*e.restore));
      r.state = e.restore->state;
    }
    if (!e.apply.empty()) say(n, "applies " + text(e.apply));
    for (const entry& x : e.apply) r.state += x.command;
    for (const answer& a : e.answers) {
      say(n, text(a));
      r.answers.push_back(a);
    }
  }
  bool is_cut(const message& m) const {
    return std::find(cut_.begin(), cut_.end(), m.from) != cut_.end() ||
           std::find(cut_.begin(), cut_.end(), m.to) != cut_.end();
  }
  void drop_cut() {
    network_.erase(
        std::remove_if(network_.begin(), network_.end(), [this](const message& m) { return is_cut(m); }),
        network_.end());
  }

  core_options like_;
  instant now_ = instant::from_ns(0);
  std::map<node_id, replica> replicas_;
  std::vector<message> network_;
  std::vector<node_id> cut_;
  std::vector<std::string> record_;
};

}  // namespace seawall::raft::test

#endif  // SEAWALL_UNIT_ELECTION_RAFT_CORE_CLUSTER_HPP
