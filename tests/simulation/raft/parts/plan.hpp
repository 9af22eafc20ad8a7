// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_PLAN_HPP
#define SEAWALL_TESTS_SIMULATION_PLAN_HPP

// What a run is made of, all of it drawn from its seed.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "seawall/election/raft_core.hpp"
#include "seawall/testing/simulated_disk.hpp"
#include "seawall/testing/simulated_network.hpp"
#include "seawall/time.hpp"

namespace raftsim {

namespace raft = seawall::raft;
using seawall::duration;

/// Where on the way from an order to write to what depends on it a process dies.
enum class crash_point : std::uint8_t {
  none,
  before_write,     ///< ordered, and nothing done
  before_sync,      ///< written
  before_told,      ///< durable, and the core does not know
  before_effects,   ///< the core knows, and nobody else
  between_effects,  ///< some of the messages are out
};

/// The only thing that goes wrong in a run.
struct single_crash {
  std::uint64_t replica = 1;
  std::uint64_t persist = 1;  ///< the how manyth of that replica's
  crash_point where = crash_point::before_write;
};

struct plan {
  std::uint64_t seed = 0;
  std::uint64_t voters = 3;  ///< at first
  std::uint64_t spares = 0;  ///< replicas that may be taken in later
  raft::core_options core = {};
  duration chaos = {};                          ///< for so long everything goes wrong
  duration between_faults = {};                 ///< on average
  seawall::testing::link_options weather = {};  ///< while it does
  seawall::testing::disk_options disk = {};
  std::size_t compact_behind = 64;  ///< entries that are applied before they give way to a snapshot
  unsigned clients = 3;
  duration between_operations = {};
  std::optional<single_crash> only = {};
  bool bare_majority = false;   ///< what comes up again is no more than can elect
  bool changes = true;          ///< of the membership
  unsigned single_faults = 0;   ///< when all is well again, one after another
};

/// `replicas`: 3 or 5; 0: drawn.
plan drawn_plan(std::uint64_t seed, unsigned replicas = 0);

/// How a network and a disk behave on a good day.
seawall::testing::link_options calm_links();
seawall::testing::disk_options calm_disk();

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_PLAN_HPP
