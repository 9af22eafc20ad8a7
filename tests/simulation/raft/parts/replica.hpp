// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_REPLICA_HPP
#define SEAWALL_TESTS_SIMULATION_REPLICA_HPP

// One machine of the cluster: a process with a core and a state machine, which can be killed, paused and started again, on a
// clock and a disk of its own, which stay. It does what a core says, as a real driver would.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "seawall/election/raft_core.hpp"
#include "seawall/exec/scheduler.hpp"
#include "seawall/testing/simulated_disk.hpp"
#include "seawall/testing/simulated_network.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "simulation/raft/parts/dice.hpp"
#include "simulation/raft/parts/observer.hpp"
#include "simulation/raft/parts/own_clock.hpp"
#include "simulation/raft/parts/plan.hpp"
#include "simulation/raft/parts/small_map.hpp"
#include "simulation/raft/parts/trace.hpp"
#include "simulation/raft/parts/wire.hpp"

namespace raftsim {

using network = seawall::testing::simulated_network<raft::message>;

/// What became of a request to a replica. Not told where the process died: whoever asked waits in vain.
struct reply {
  std::uint64_t request = 0;
  std::optional<raft::refusal> refused = {};
  bool swapped = false;     ///< of a command
  std::uint64_t value = 0;  ///< of a read
};

/// What all replicas of a run share.
struct surroundings {
  seawall::testing::virtual_scheduler& loop;
  network& net;
  observer& watch;
  tracer& trace;
  const plan& how;
  std::function<void(raft::node_id, const reply&)> answered;
  std::function<void(raft::node_id)> died;    ///< at a crash point
  std::function<void(raft::node_id)> halted;  ///< its disk has failed
  std::uint64_t steps = 0;
  std::uint64_t crashes = 0;
  wire codec = {};
};

class replica {
 public:
  replica(surroundings& around, raft::node_id id, raft::stored_state first);
  replica(const replica&) = delete;
  replica& operator=(const replica&) = delete;
  ~replica() { around_.loop.cancel(timer_); }

  raft::node_id id() const { return id_; }
  bool ever_ran() const { return life_ != 0; }
  bool runs() const { return core_.has_value(); }
  bool paused() const { return paused_; }
  /// Neither dead nor asleep.
  bool awake() const { return runs() && !paused_; }
  /// Of one that runs.
  const raft::raft_core& core() const { return *core_; }
  const small_map& map() const { return map_; }
  own_clock& clock() { return clock_; }
  seawall::testing::simulated_disk& disk() { return disk_; }
  /// Nobody else can have changed the map, and all that was committed is in it: as a driver must see to.
  bool lease_valid() const {
    if (!awake() || core_->applied_index() != core_->commit_index()) return false;
    const auto until = core_->lease_until();
    return until && clock_.own(around_.loop.now()) < *until;
  }
  std::uint64_t disk_syncs() const { return disk_.syncs(); }
  std::uint64_t persists() const { return persists_; }
  std::size_t unanswered() const { return pending_.size(); }

  void start();
  /// The process dies; with `power_too`, the machine.
  void stop(bool power_too);
  void pause();
  void resume();
  /// The clock has been set or runs at another rate: its timer is set anew.
  void clock_changed() { wake_at(wake_); }
  void arm(crash_point where) { armed_ = where; }
  /// Dies at no crash point any more.
  void spare() {
    armed_ = crash_point::none;
    spared_ = true;
  }

  void propose(std::uint64_t request, const map_command& c);
  void read(std::uint64_t request, std::uint64_t key);
  void change(std::uint64_t request, raft::membership to);
  void tell(raft::any_input in);

 private:
  struct pending {
    std::uint64_t key = 0;
    bool reads = false;
    raft::log_index waits_for = 0;  // answered by the core, but not applied yet
  };
  struct record {
    std::uint64_t number;
    std::size_t offset, length;
    raft::persist what;
  };
  struct alarm final : seawall::task {
    explicit alarm(replica& r);
    replica& of;
  };

  void step(raft::any_input in);
  void carry_out(raft::effects e);
  void write(raft::persist p);
  void ask_for_sync();
  void synced(std::uint64_t life, std::uint64_t up_to, seawall::testing::disk_answer a);
  void apply(const raft::entry& e);
  void answer(const raft::answer& a);
  void settle(std::uint64_t request, const pending& p, raft::log_index index);
  void maybe_compact();
  void wake_at(instant own);
  void alarmed();
  bool dies_at(crash_point where);
  void recover();

  surroundings& around_;
  const raft::node_id id_;
  dice dice_;
  own_clock clock_;
  seawall::testing::simulated_disk disk_;

  // What lies on the disk: what is durable for certain, and records behind it.
  raft::stored_state stored_;
  std::deque<record> unsynced_;
  std::size_t journal_end_ = 0;
  bool syncing_ = false;
  bool sync_failed_ = false;
  std::uint64_t told_ = 0;  // up to here the core is told, or will be

  // The process.
  std::optional<raft::raft_core> core_;
  std::uint64_t life_ = 0;
  std::uint64_t persists_ = 0;  // in all its lives
  bool paused_ = false;
  std::deque<raft::any_input> inbox_;  // while paused
  small_map map_;
  raft::log_index applied_ = 0;
  std::map<std::uint64_t, pending> pending_;
  std::map<raft::log_index, bool> results_;  // of the last commands
  crash_point armed_ = crash_point::none;
  bool spared_ = false;

  alarm alarm_;
  seawall::testing::virtual_scheduler::timer timer_;
  instant wake_ = instant::never();
  instant last_alarm_;
  unsigned alarms_at_once_ = 0;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_REPLICA_HPP
