// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_RAFT_SIDE_HPP
#define SEAWALL_DRILL_ELECTION_RAFT_SIDE_HPP

// The three processes with seawall's Raft, as the driver has them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drill/child_process.hpp"
#include "node_process.hpp"
#include "observer.hpp"
#include "record.hpp"

namespace drill::election {

class raft_side {
 public:
  /// Starts all. `folder`: of logs and certificates. Throws `std::runtime_error`.
  raft_side(std::string folder, observer& o);

  /// All run, follow the same leader, who holds a valid lease, and have seen what it has. Nothing is returned if
  /// that does not come true within `patience`.
  std::optional<record> settled(std::chrono::milliseconds patience);
  /// For people: how each of them stands.
  std::string describe();

  void kill(node n) { processes_[n].kill_now(); }
  void restart(node n);
  void suspend(node n) { processes_[n].suspend(); }
  void resume(node n) { processes_[n].resume(); }

  std::optional<load_figures> load(node n, std::size_t in_flight, std::chrono::milliseconds length);

 private:
  void start_all();
  std::optional<node_status> status(node n);
  bool agree();

  const std::string folder_;
  observer& observer_;
  std::string ports_;
  std::vector<child_process> processes_;
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_RAFT_SIDE_HPP
