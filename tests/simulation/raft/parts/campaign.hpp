// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_CAMPAIGN_HPP
#define SEAWALL_TESTS_SIMULATION_CAMPAIGN_HPP

// Many runs, and what came of them all; printed.

#include <cstdint>
#include <string>

#include "simulation/raft/parts/cluster.hpp"

namespace raftsim {

struct campaign_options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1000;  ///< 0: until the time is up
  std::uint64_t minutes = 0;   ///< 0: as long as it takes
  unsigned replicas = 0;       ///< 3 or 5; 0: both
  unsigned jobs = 1;
  scenario directed = scenario::none;  ///< else only this one
  bool common = false;                 ///< mutants: only those that few seeds catch

  plan plan_of(std::uint64_t seed) const {
    return directed == scenario::none ? drawn_plan(seed, replicas) : directed_plan(directed, seed);
  }
};

/// Sums. Plain data: processes hand it to each other.
struct totals {
  std::uint64_t seeds = 0;
  std::uint64_t broken = 0;
  std::uint64_t first_broken = 0;  ///< its seed
  std::uint64_t steps = 0;
  std::uint64_t operations = 0;
  std::uint64_t committed = 0;
  std::uint64_t leaders = 0;
  std::uint64_t grants = 0;
  std::uint64_t faults = 0;
  std::uint64_t crashes = 0;
  std::uint64_t syncs = 0;
  double virtual_seconds = 0;
  double slowest_election = 0;  ///< seconds

  void add(const verdict& v);
  void add(const totals& t);
  std::string told() const;
};

/// All true if nothing was broken; of `run_mutants`: if every one was caught.
bool run_campaign(const campaign_options& o);
bool run_one(const campaign_options& o, const std::string& mutant);
bool run_mutants(const campaign_options& o, const std::string& only);
bool explore_all(std::uint64_t most_states);

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_CAMPAIGN_HPP
