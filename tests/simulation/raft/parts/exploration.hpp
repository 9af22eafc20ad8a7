// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_EXPLORATION_HPP
#define SEAWALL_TESTS_SIMULATION_EXPLORATION_HPP

// All that can happen to three replicas within bounds, breadth first: every order of messages, time-outs, writes and crashes,
// every message lost or late. A state is known by what each replica has seen, in its order, and what is under way: orders that no
// replica can tell apart are tried once. Leases are not looked at: here, clocks run as they like.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/election/raft_core.hpp"

namespace raftsim {

/// How often each thing may happen on the way to a state.
struct small_world {
  unsigned time_outs = 2;
  unsigned heartbeats = 0;
  unsigned proposals = 1;
  unsigned crashes = 0;
  unsigned doubled = 0;    ///< messages that arrive and stay under way
  bool slow_disk = false;  ///< a write becomes durable when it likes, else at once
  seawall::raft::term_number last_term = 3;
  unsigned most_steps = 100;
  std::size_t most_states = 1'000'000;
};

struct exploration {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  unsigned depth = 0;
  bool exhausted = false;  ///< else most_states or most_steps was reached
  std::uint64_t with_leader = 0;
  std::uint64_t with_commit = 0;
  seawall::raft::term_number highest_term = 0;
  std::string broken = {};  ///< and the way that led there
};

exploration explore(const small_world& w);

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_EXPLORATION_HPP
