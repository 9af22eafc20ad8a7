// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_OBSERVER_HPP
#define SEAWALL_TESTS_SIMULATION_OBSERVER_HPP

// Sees all replicas and all disks at once, and after every step says whether Raft's promises hold. It works out by itself what
// is committed, from what lies on the disks, and believes no replica.

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "seawall/election/raft_core.hpp"
#include "simulation/raft/parts/own_clock.hpp"
#include "simulation/raft/parts/shadow.hpp"

namespace raftsim {

/// A promise was broken.
struct violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class observer {
 public:
  /// What becomes of a replica.
  void started(raft::node_id n, const raft::stored_state& from, const raft::raft_core& core,
               const own_clock& clock);
  void stopped(raft::node_id n);
  /// A record is on the medium: a loss of power does not take it.
  void durable(raft::node_id n, const raft::persist& p);
  /// The replica is told so.
  void told(raft::node_id n, std::uint64_t number) { nodes_[n].told = number; }
  /// After a step, before anything of it is carried out.
  void stepped(raft::node_id n, instant now, const raft::raft_core& core, const raft::effects& e);
  /// What the state machine has come to.
  void applied(raft::node_id n, const raft::entry& e, std::uint64_t digest);
  void restored(raft::node_id n, const raft::snapshot& s, std::uint64_t digest);

  // What it knows.
  raft::log_index committed() const { return committed_.size(); }
  std::uint64_t leaders() const { return leaders_.size(); }
  std::uint64_t grants() const { return grants_; }
  /// Whose lease is valid now; nobody if there is none.
  raft::node_id holder(instant now) const;
  raft::log_index applied_by(raft::node_id n) const;

 private:
  struct watched {
    bool up = false;
    outline memory = {};   // its log, durable or not
    outline ordered = {};  // what the disk will hold when all is written that it has ordered
    outline on_disk = {};
    std::uint64_t number = 0;  // of the last order
    std::uint64_t told = 0;    // of the last that it knows to be on the disk
    raft::role as = raft::role::follower;
    raft::term_number term = 0;
    raft::log_index commit = 0;
    raft::log_index applied = 0;
    std::optional<instant> lease = {};
    raft::term_number granted = 0;
    const own_clock* clock = nullptr;
  };
  struct known_entry {
    std::uint64_t digest;
    raft::term_number term_before;
  };

  static bool leads_on(const watched& w, const raft::raft_core& core) {
    return w.as == raft::role::leader && core.current_role() == raft::role::leader && w.term == core.term();
  }
  static std::string name(raft::node_id n) { return "replica " + std::to_string(n); }
  static bool valid(const watched& w, instant now) { return w.up && w.lease && w.clock->own(now) < *w.lease; }

  void check_store(raft::node_id n, watched& w, const raft::persist& p);
  void check_hard(raft::node_id n, const outline& before, const raft::hard_state& h);
  void check_log(raft::node_id n, watched& w, const raft::raft_core& core);
  void check_append(raft::node_id n, outline& log, const raft::entry& e);
  void check_order(raft::node_id n, const watched& w, const raft::raft_core& core) const;
  void check_sent(raft::node_id n, const watched& w, const raft::message& m);
  void check_leader(raft::node_id n, const watched& w, const raft::raft_core& core);
  void check_commit(raft::node_id n, watched& w, const raft::raft_core& core);
  void check_lease(raft::node_id n, watched& w, const raft::raft_core& core, instant now);
  void check_digest(raft::node_id n, raft::log_index i, std::uint64_t digest);

  std::map<raft::node_id, watched> nodes_;
  std::map<raft::term_number, raft::node_id> leaders_;
  std::map<std::pair<raft::term_number, raft::node_id>, raft::node_id> votes_;
  std::unordered_map<std::uint64_t, known_entry> entries_;  // by index and term
  std::vector<outline::line> committed_;                    // by index - 1
  std::vector<raft::term_number> committed_in_;        // the leader's term: an entry may be older than that
  std::vector<std::optional<std::uint64_t>> digests_;  // by index
  std::pair<raft::term_number, raft::node_id> last_grant_{0, raft::nobody};
  std::uint64_t grants_ = 0;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_OBSERVER_HPP
