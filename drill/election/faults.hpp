// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_FAULTS_HPP
#define SEAWALL_DRILL_ELECTION_FAULTS_HPP

// One leader after the other is killed, or stopped for longer than the time-out.

#include <cstdint>
#include <vector>

#include "etcd_side.hpp"
#include "options.hpp"
#include "raft_side.hpp"
#include "seawall/time.hpp"

namespace drill::election {

/// Of one kind of fault.
struct failovers {
  /// Until somebody else held a valid lease. Of seawall only.
  std::vector<seawall::duration> until_grant = {};
  /// Until a write has committed, which needs a leader that most replicas follow, and what it wrote on most of their
  /// disks. seawall: the first one of the new leader. etcd: the first one of a client that asks the survivors again
  /// and again, as whoever uses an etcd cluster is a client of it.
  std::vector<seawall::duration> until_write = {};
};
struct failover_record {
  failovers killed = {};
  failovers paused = {};
  std::uint64_t missed = 0;  ///< the leader had changed by itself before the fault came; tried again
};
struct failover_result {
  failover_record seawall = {};
  failover_record etcd = {};
};

/// In turns, so that whatever else the machine does hits both alike. `etcd` may be null.
/// Throws `std::runtime_error` if a cluster does not come back within half a minute.
failover_result run_faults(const options& o, raft_side& raft, observer& o_log, etcd_side* etcd);

/// Writes through the leaders, in turns.
struct load_result {
  std::vector<load_figures> seawall = {};
  std::vector<load_figures> etcd = {};
};
load_result run_loads(const options& o, raft_side& raft, etcd_side* etcd);

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_FAULTS_HPP
