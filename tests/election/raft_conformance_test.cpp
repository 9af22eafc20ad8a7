// SPDX-License-Identifier: Apache-2.0
// raft_elector does what every elector does. Two more replicas, whom nobody observes, vote, so that one
// candidate alone can be elected; when it is one of them who is elected, it hands over.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "election/raft_cluster.hpp"
#include "election_conformance/elector_conformance.hpp"
#include "seawall/election/raft_elector.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using node = raft_cluster::node;

class raft_engine {
 public:
  raft_engine() : cluster_(5) {
    for (const node n : {witness, witness + 1}) {
      cluster_.start(n, {.on_elected = [this, n](const seawall::leadership&) { hand_over(n); },
                         .on_lost = {},
                         .on_leader_changed = [this](std::optional<std::string> leader) { note(leader); }});
    }
  }
  std::unique_ptr<seawall::raft_elector> make(const std::string& name) { return cluster_.make(number(name)); }
  void cut_off(const std::string& name) { cluster_.network().cut_off(number(name)); }
  void mend(const std::string& name) { cluster_.network().mend(number(name)); }
  seawall::duration lease() const { return 500ms; }

 private:
  static constexpr node witness = 4;

  static node number(const std::string& name) { return static_cast<node>(name[0] - 'a' + 1); }
  void note(const std::optional<std::string>& leader) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (leader && number(*leader) < witness) last_ = *leader;
  }
  /// To a candidate who can be heard, and is not the one who has led.
  void hand_over(node n) {
    const auto peers = cluster_[n].network().peers;
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string to = last_;
    for (const auto& p : peers) {
      const std::string name = raft_cluster::name(p.id);
      if (p.id < witness && p.heard && (to.empty() || to == last_ || ++turn_ % 2 == 0) && name != last_)
        to = name;
    }
    if (!to.empty()) cluster_[n].transfer_to(to);
  }

  raft_cluster cluster_;
  std::mutex mutex_;
  std::string last_;  // who has led, of the candidates
  int turn_ = 0;
};

TEST_CASE("raft_elector: conformance of the elector") {
  for (const auto& row : election_test::elector_conformance<raft_engine>()) {
    SUBCASE(row.name) {
      raft_engine engine;
      row.check(engine);
    }
  }
}

}  // namespace
