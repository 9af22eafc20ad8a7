// SPDX-License-Identifier: Apache-2.0
// raft_elector does what every elector does. Two more replicas, whom nobody observes, vote, so that one
// candidate alone can be elected; when it is one of them who is elected, it hands over.
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "election/raft_cluster.hpp"
#include "election_conformance/elector_conformance.hpp"
#include "seawall/election/raft_elector.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using node = raft_cluster::node;

class raft_engine {
 public:
  // Times that hold while the machine stands still for a while.
  raft_engine()
      : cluster_(5, [](seawall::raft_elector_options& o) {
          o.raft.election_timeout = 2s;
          o.raft.election_jitter = 200ms;
        }) {
    for (const node n : {witness, witness + 1}) {
      cluster_.start(n, {.on_elected = [this, n](const seawall::leadership& l) { hand_over(n, l); },
                         .on_lost = {},
                         .on_leader_changed = [this](std::optional<std::string> leader) { note(leader); }});
    }
  }
  std::unique_ptr<seawall::raft_elector> make(const std::string& name) { return cluster_.make(number(name)); }
  void cut_off(const std::string& name) { cluster_.network().cut_off(number(name)); }
  void mend(const std::string& name) { cluster_.network().mend(number(name)); }
  seawall::duration lease() const { return 2s; }

 private:
  static constexpr node witness = 4;

  static node number(const std::string& name) { return static_cast<node>(name[0] - 'a' + 1); }
  void note(const std::optional<std::string>& leader) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (leader && number(*leader) < witness) last_ = *leader;
  }
  /// To a candidate who can be heard, and is not the one who has led; it may have been started only just now.
  void hand_over(node n, const seawall::leadership& l) {
    while (!l.stop().stop_requested()) {
      const std::string to = candidate(cluster_[n].network().peers);
      if (!to.empty()) return cluster_[n].transfer_to(to);
      std::this_thread::sleep_for(1ms);
    }
  }
  std::string candidate(const std::vector<seawall::raft::transport_peer_stats>& peers) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string to;
    for (const auto& p : peers) {
      const std::string name = raft_cluster::name(p.id);
      if (p.id < witness && p.heard && name != last_ && (to.empty() || ++turn_ % 2 == 0)) to = name;
    }
    return to;
  }

  std::mutex mutex_;
  std::string last_;  // who has led, of the candidates
  int turn_ = 0;
  raft_cluster cluster_;  // last: its callbacks use everything above
};

// In parts, so that they can run side by side.
void conforms(std::size_t part, std::size_t parts) {
  const auto rows = election_test::elector_conformance<raft_engine>();
  for (std::size_t i = part; i < rows.size(); i += parts) {
    SUBCASE(rows[i].name) {
      raft_engine engine;
      rows[i].check(engine);
    }
  }
}

TEST_CASE("raft_elector: conformance of the elector, part 1") { conforms(0, 4); }
TEST_CASE("raft_elector: conformance of the elector, part 2") { conforms(1, 4); }
TEST_CASE("raft_elector: conformance of the elector, part 3") { conforms(2, 4); }
TEST_CASE("raft_elector: conformance of the elector, part 4") { conforms(3, 4); }

}  // namespace
