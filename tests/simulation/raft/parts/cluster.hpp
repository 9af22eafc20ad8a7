// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_CLUSTER_HPP
#define SEAWALL_TESTS_SIMULATION_CLUSTER_HPP

// A run: replicas, network and clients; first everything goes wrong, then all is well again and somebody must be elected, and
// stay so; then one thing goes wrong at a time, and the cluster must do what it promises for that.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "seawall/testing/virtual_scheduler.hpp"
#include "simulation/raft/parts/clients.hpp"
#include "simulation/raft/parts/dice.hpp"
#include "simulation/raft/parts/later.hpp"
#include "simulation/raft/parts/observer.hpp"
#include "simulation/raft/parts/plan.hpp"
#include "simulation/raft/parts/replica.hpp"
#include "simulation/raft/parts/trace.hpp"

namespace raftsim {

/// What came of a run.
struct verdict {
  std::uint64_t seed = 0;
  std::string broken = {};  ///< empty: nothing
  std::uint64_t steps = 0;
  duration virtual_time = {};
  std::uint64_t operations = 0;
  std::uint64_t leaders = 0;
  std::uint64_t grants = 0;
  std::uint64_t committed = 0;
  std::uint64_t faults = 0;
  std::uint64_t crashes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t persists = 0;  ///< of the replica that has ordered most
  duration to_elect = {};      ///< in the heal phase
};

verdict run(const plan& how, bool trace = false);

class cluster {
 public:
  cluster(const plan& how, bool trace);
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  /// Throws what is broken.
  void run();
  void tell(verdict& v) const;

 private:
  using node = raft::node_id;

  // Things that go wrong: faults.cpp.
  void begin_faults();
  void next_fault();
  void fault();
  void crash_somebody();
  void crash_at_a_persist();
  void crash_all();
  void pause_somebody();
  void stall_a_disk();
  void fail_a_sync();
  void cut_some_links();
  void change_the_weather();
  void change_a_clock();
  void hand_over();
  void change_members();
  void revive(node n, duration after);
  /// Unless the time of the faults is over by then.
  void later(duration after, std::function<void()> what);
  node somebody();
  replica& at(node n) { return replicas_[static_cast<std::size_t>(n - 1)]; }
  /// Whoever thinks it leads, in the highest term.
  replica* leader();

  // Step by step: scenarios.cpp.
  void play();
  void entries_are_acknowledged_late();
  void an_append_arrives_late();
  void answers_arrive_late();
  void a_time_out_now_arrives_late();
  void a_voter_forgets();
  void a_sleeper_is_asked();
  void two_leaders_change();
  void a_term_runs_ahead();
  /// It leads, has a lease, and is followed by all.
  void leads(node n);
  void cut_off(node n, bool from_it, bool to_it);
  void put(node by, std::uint64_t value);
  node leader_other_than(node n);

  // What must be well: recovery.cpp.
  void heal();
  /// Nobody but one of whom `good` says so.
  duration elects(const std::function<bool(node)>& good, const char* when);
  duration elects_other_than(node n, const char* when);
  void settles() { loop_.run_for(how_.core.election_timeout * 4); }
  void stays(std::int64_t time_outs, const char* when);
  bool has_followers_to_spare();
  node follower();
  void single_faults();
  void follower_is_cut_off();
  void leader_is_cut_off();
  void leader_dies();
  void leader_sleeps();
  void disk_of_the_leader_stalls();
  void leadership_is_handed_over();
  void follower_is_removed();
  void leader_is_removed();
  void all_start_again();
  bool accepts(std::uint64_t request);
  void commits();
  void converges();
  void changes_to(const raft::membership& to);
  /// An election on a good day, however unlucky.
  duration bound() const;

  const plan how_;
  seawall::testing::virtual_scheduler loop_;
  network net_;
  observer watch_;
  tracer trace_;
  dice dice_;
  surroundings around_;
  std::deque<replica> replicas_;
  agenda later_;
  clients clients_;

  bool faults_on_ = false;
  std::vector<node> resting_;  // stay dead for now
  std::uint64_t faults_ = 0;
  std::uint64_t requests_ = 0;
  std::map<std::uint64_t, reply> replies_;  // to own requests
  duration to_elect_;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_CLUSTER_HPP
