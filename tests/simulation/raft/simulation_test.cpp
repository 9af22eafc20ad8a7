// SPDX-License-Identifier: Apache-2.0
// A bounded part of what ./scripts/raft-sim does. SEAWALL_SEQUENCES=<count> for more seeds.
#include <chrono>
#include <cstdint>
#include <string>

#include "property/support.hpp"
#include "simulation/raft/parts/campaign.hpp"
#include "simulation/raft/parts/cluster.hpp"
#include "simulation/raft/parts/exploration.hpp"
#include "simulation/raft/parts/plan.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using raftsim::crash_point;
using raftsim::drawn_plan;
using raftsim::plan;
using raftsim::verdict;

void runs_without_violation(unsigned replicas, std::uint64_t usual) {
  raftsim::totals sum;
  const std::uint64_t count = property::sequences_wanted(usual);
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    const verdict v = run(drawn_plan(seed, replicas));
    sum.add(v);
    INFO("again, in words: ./scripts/raft-sim --trace --nodes ", replicas, " --first ", seed);
    REQUIRE_MESSAGE(v.broken.empty(), v.broken);
  }
  MESSAGE(sum.told());
}

TEST_CASE("raft simulation: three replicas keep every promise, whatever goes wrong") {
  runs_without_violation(3, 1500);
}
TEST_CASE("raft simulation: five replicas keep every promise, whatever goes wrong") {
  runs_without_violation(5, 700);
}

TEST_CASE("raft simulation: what chance brings about too rarely, step by step") {
  for (std::size_t s = 1; s < raftsim::scenario_names.size(); ++s) {
    const std::uint64_t count = property::sequences_wanted(60);
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
      const verdict v = run(raftsim::directed_plan(static_cast<raftsim::scenario>(s), seed));
      INFO("again, in words: ./scripts/raft-sim --trace --scenario ", raftsim::scenario_names[s], " --first ",
           seed);
      REQUIRE_MESSAGE(v.broken.empty(), v.broken);
    }
  }
}

TEST_CASE("raft simulation: the same seed gives the same run, to the nanosecond") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const verdict a = run(drawn_plan(seed)), b = run(drawn_plan(seed));
    CHECK(a.steps == b.steps);
    CHECK(a.virtual_time == b.virtual_time);
    CHECK(a.to_elect == b.to_elect);
    CHECK(a.operations == b.operations);
    CHECK(a.committed == b.committed);
  }
}

plan quiet_plan() {
  plan p = drawn_plan(7, 3);
  p.weather = raftsim::calm_links();
  p.disk = raftsim::calm_disk();
  p.chaos = 500ms;
  p.spares = 0;
  p.bare_majority = false;
  p.single_faults = 0;
  p.compact_behind = 5;
  p.between_operations = 20ms;
  p.core.max_persists = 2;
  p.only = raftsim::single_crash{.replica = 0};
  return p;
}

TEST_CASE("raft simulation: a crash at any point of any write to the disk loses nothing that was promised") {
  const plan quiet = quiet_plan();
  const std::uint64_t persists = run(quiet).persists;
  CHECK(persists > 10);
  std::uint64_t runs = 0;
  const std::uint64_t every = property::slowdown > 1 ? 7 : 2;
  for (std::uint64_t replica = 1; replica <= 3; ++replica) {
    for (std::uint64_t k = 1 + replica % every; k <= persists; k += every) {
      for (const auto where : {crash_point::before_write, crash_point::before_sync, crash_point::before_told,
                               crash_point::before_effects, crash_point::between_effects}) {
        plan p = quiet;
        p.only = raftsim::single_crash{replica, k, where};
        const verdict v = run(p);
        ++runs;
        INFO("replica ", replica, ", write ", k, ", point ", static_cast<int>(where));
        REQUIRE_MESSAGE(v.broken.empty(), v.broken);
      }
    }
  }
  MESSAGE(runs, " runs, each with one crash");
}

void explored(raftsim::small_world w, bool all) {
  w.most_states /= property::slowdown;
  const raftsim::exploration e = explore(w);
  REQUIRE_MESSAGE(e.broken.empty(), e.broken);
  CHECK((e.exhausted || !all || property::slowdown > 1));
  CHECK(e.with_leader > 0);
  MESSAGE(e.states, " states, ", e.transitions, " transitions, ", e.depth, " steps deep, ",
          std::string(e.exhausted ? "all of them" : "not all of them"));
}

TEST_CASE("raft exploration: two time-outs and a proposal, every order of messages and losses") {
  explored({.time_outs = 2, .proposals = 1, .last_term = 2, .most_states = 60'000}, false);
}
TEST_CASE("raft exploration: two time-outs, a crash and a disk that takes its time") {
  explored({.time_outs = 2,
            .proposals = 0,
            .crashes = 1,
            .slow_disk = true,
            .last_term = 2,
            .most_states = 60'000},
           false);
}
TEST_CASE("raft exploration: four time-outs, a crash, three terms, as far as it goes") {
  explored({.time_outs = 4, .proposals = 1, .crashes = 1, .last_term = 3, .most_states = 60'000}, false);
}

}  // namespace
