// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/plan.hpp"

#include <chrono>

#include "simulation/raft/parts/dice.hpp"

namespace raftsim {

using namespace std::chrono_literals;
using seawall::testing::disk_options;
using seawall::testing::link_options;

link_options calm_links() { return {.delay_min = 200us, .delay_max = 1ms}; }

disk_options calm_disk() {
  return {.write_min = 10us, .write_max = 50us, .sync_min = 200us, .sync_max = 1ms, .sector_bytes = 64};
}

plan drawn_plan(std::uint64_t seed, unsigned replicas) {
  dice d(seed * 0x9e3779b97f4a7c15U + 1);
  plan p;
  p.seed = seed;
  p.voters = replicas != 0 ? replicas : d.pick<std::uint64_t>({3, 3, 3, 5, 5});
  p.spares = d.pick<std::uint64_t>({0, 0, 1, 2});

  raft::core_options& o = p.core;
  o.heartbeat = 20ms;
  o.election_timeout = d.pick<duration>({100ms, 150ms, 200ms});
  o.election_jitter = d.pick<duration>({50ms, 100ms, 200ms});
  o.max_clock_drift = d.pick({0.0, 0.01, 0.1, 0.2});
  o.disk_limit = d.pick<duration>({100ms, 200ms, 400ms});
  o.max_batch_entries = d.pick<std::size_t>({1, 3, 256});
  o.max_inflight = d.pick<std::size_t>({1, 4, 64});
  o.max_uncommitted = d.pick<std::size_t>({4, 4096});
  o.max_chunk_bytes = d.pick<std::size_t>({40, 300, 65536});
  o.max_persists = d.pick<std::size_t>({1, 2, 16});
  o.max_apply = d.pick<std::size_t>({1, 5, 1024});

  // Most runs are short: what goes wrong soon after a start is as good as what goes wrong later, and more of it is tried.
  const bool is_long = d.chance(0.04);
  p.chaos = is_long ? d.between(duration(1s), duration(4s)) : d.between(duration(150ms), duration(500ms));
  p.between_faults = d.pick<duration>({15ms, 40ms, 100ms});
  link_options& w = p.weather;
  w = d.chance(0.7) ? calm_links() : link_options{.delay_min = 1ms, .delay_max = 15ms};
  w.lost = d.pick({0.0, 0.0, 0.02, 0.15});
  w.doubled = d.pick({0.0, 0.05, 0.3});
  w.slow = d.pick({0.0, 0.02, 0.2});
  w.slow_max = d.pick<duration>({50ms, 300ms, 2s});
  p.disk = calm_disk();
  p.disk.slow = d.pick({0.0, 0.05, 0.3});
  p.disk.slow_max = d.pick<duration>({10ms, 60ms});
  p.disk.failed_syncs = d.pick({0.0, 0.0, 0.002});
  p.compact_behind = d.pick<std::size_t>({3, 12, 60});
  p.clients = static_cast<unsigned>(d.between(2, 4));
  p.between_operations = d.pick<duration>({5ms, 20ms, 40ms, 80ms});
  p.bare_majority = p.spares == 0 && d.chance(0.5);
  // Who may rest is known beforehand only if nobody comes and goes.
  p.changes = !p.bare_majority;
  p.single_faults = is_long || d.chance(0.1) ? static_cast<unsigned>(d.between(1, 2)) : 0;
  p.good_weather = calm_links();
  p.good_disk = calm_disk();
  return p;
}

plan directed_plan(scenario which, std::uint64_t seed) {
  dice d(seed * 0x9e3779b97f4a7c15U + 2);
  plan p;
  p.seed = seed;
  p.directed = which;
  p.changes = false;
  p.weather = p.good_weather = calm_links();
  p.disk = p.good_disk = calm_disk();
  p.between_operations = 20ms;
  raft::core_options& o = p.core;
  o.heartbeat = 20ms;
  o.election_timeout = 200ms;
  o.election_jitter = 50ms;
  o.max_clock_drift = 0;
  o.disk_limit = 400ms;
  switch (which) {
    case scenario::all_at_once: {
      const duration trip = d.between(duration(200us), duration(1ms));
      p.weather = p.good_weather = {.delay_min = trip, .delay_max = trip};
      p.disk.write_min = p.disk.write_max = p.good_disk.write_min = p.good_disk.write_max = 10us;
      p.disk.sync_min = p.disk.sync_max = p.good_disk.sync_min = p.good_disk.sync_max = 200us;
      break;
    }
    case scenario::late_acknowledgement:
      p.voters = 5;
      o.max_persists = 1;
      o.disk_limit = 5s;
      break;
    case scenario::late_append: p.compact_behind = 3; break;
    case scenario::two_changes:
      p.voters = 4;
      p.spares = 1;
      break;
    case scenario::read_by_a_sleeper:
      o.max_clock_drift = 0.2;
      o.election_jitter = 20ms;
      break;
    default: break;
  }
  return p;
}

}  // namespace raftsim
