// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_CLIENTS_HPP
#define SEAWALL_TESTS_SIMULATION_CLIENTS_HPP

// Clients that put, get and compare-and-set, one operation after another each. They go to whoever leads, or to anybody; ask again
// when refused; give up on what takes too long, and never know then what came of it. What they were answered is checked.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "simulation/raft/parts/dice.hpp"
#include "simulation/raft/parts/history.hpp"
#include "simulation/raft/parts/later.hpp"
#include "simulation/raft/parts/plan.hpp"
#include "simulation/raft/parts/replica.hpp"
#include "simulation/raft/parts/small_map.hpp"

namespace raftsim {

class clients {
 public:
  clients(const plan& how, agenda& later, std::deque<replica>& replicas);
  clients(const clients&) = delete;
  clients& operator=(const clients&) = delete;

  void begin();
  /// No new operations; what is under way is abandoned.
  void end() { ended_ = true; }
  void answered(raft::node_id by, const reply& r);

  std::uint64_t done() const { return done_; }
  /// Throws a violation unless all that was answered fits one map.
  void check() const;

 private:
  struct client {
    std::uint64_t id;
    std::uint64_t sequence = 0;
    std::uint64_t round = 0;    // counts operations: what belongs to an earlier one comes too late
    std::uint64_t request = 0;  // the one that is waited for; zero: none
    std::uint64_t key = 0;
    operation what = {};
    bool by_lease = false;
    bool doubtful = false;  // was proposed, and may be done yet
    unsigned attempts = 0;
    raft::node_id leader = raft::nobody;
  };

  void next(client& c);
  void ask(client& c);
  void ask_again(client& c, duration after);
  void give_up(client& c);
  void finish(client& c);
  void record(client& c);
  void rest(client& c);
  replica* somebody(client& c);
  std::uint64_t key_for(std::uint64_t group);

  const plan& how_;
  agenda& later_;
  std::deque<replica>& replicas_;
  dice dice_;
  std::vector<client> all_;
  std::map<std::uint64_t, std::vector<operation>> histories_;  // by key
  std::map<std::uint64_t, std::size_t> begun_;                 // by key: operations that have begun
  std::map<std::uint64_t, std::uint64_t> generation_;          // by group of keys
  std::uint64_t moments_ = 0;
  std::uint64_t values_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t done_ = 0;
  bool ended_ = false;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_CLIENTS_HPP
