// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_PLAN_HPP
#define SEAWALL_TESTS_SIMULATION_PLAN_HPP

// What a run is made of, all of it drawn from its seed.

#include <array>
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

/// What chance brings about too rarely, step by step: scenarios.cpp. Clients are not needed there.
enum class scenario : std::uint8_t {
  none,
  all_at_once,           ///< clocks, disks and network are so regular that equal time-outs stay equal
  late_acknowledgement,  ///< a disk is done with entries when their term is over, and others have taken their place
  late_append,           ///< the first append of all arrives again, when it has long been compacted
  late_answers,          ///< a leader hears late that it was followed, and then nobody hears it any more
  late_time_out_now,  ///< it arrives when somebody else leads
  forgetful_voter,    ///< the only one that hears both a leader and its rival starts again
  read_by_a_sleeper,  ///< a leader with a slow clock sleeps, is replaced, and asked before it has looked at its clock
  two_changes,  ///< two leaders change the same membership, each by a quorum of its own (Ongaro, 2015)
  term_ahead,   ///< a longer log with a lower term and a shorter one with a higher are all that is left
};
inline constexpr std::array<const char*, 10> scenario_names = {
    "none",         "all_at_once",       "late_acknowledgement", "late_append",
    "late_answers", "late_time_out_now", "forgetful_voter",      "read_by_a_sleeper",
    "two_changes",  "term_ahead"};

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
  scenario directed = scenario::none;
  /// Of the network and the disks when all is well.
  seawall::testing::link_options good_weather = {};
  seawall::testing::disk_options good_disk = {};
  bool bare_majority = false;  ///< what comes up again is no more than can elect
  bool changes = true;         ///< of the membership
  unsigned single_faults = 0;  ///< when all is well again, one after another
};

/// `replicas`: 3 or 5; 0: drawn.
plan drawn_plan(std::uint64_t seed, unsigned replicas = 0);
/// Drawn where the scenario leaves a choice.
plan directed_plan(scenario which, std::uint64_t seed);

/// How a network and a disk behave on a good day.
seawall::testing::link_options calm_links();
seawall::testing::disk_options calm_disk();

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_PLAN_HPP
