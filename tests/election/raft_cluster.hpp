// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_ELECTION_RAFT_CLUSTER_HPP
#define SEAWALL_TESTS_ELECTION_RAFT_CLUSTER_HPP

// Replicas of the embedded Raft in one process, with real disks and connections, that can be stopped, started
// again from their disks, and cut off. Times are real: tests wait for conditions.

#include <stdlib.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "election/routes.hpp"
#include "seawall/election/raft_elector.hpp"
#include <doctest/doctest.h>

namespace raft_test {

using namespace std::chrono_literals;

/// Whether it has come true within half a minute.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

inline seawall::instant in_time() { return seawall::steady_clock::now() + 30s; }

class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "seawall-raft-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  std::string name() const { return path_.filename().string(); }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Nodes are 1, 2, 3... by number, "a", "b", "c"... by name.
class raft_cluster {
 public:
  using node = std::uint64_t;
  using change = std::function<void(seawall::raft_elector_options&)>;

  explicit raft_cluster(node nodes, change adapt = {}) : adapt_(std::move(adapt)), ways_(numbers(nodes)) {
    for (node n = 1; n <= nodes; ++n) nodes_[n] = nullptr;
  }
  ~raft_cluster() {
    // All at once: each tries to hand over to another one.
    std::vector<std::thread> ending;
    for (auto& [n, e] : nodes_) ending.emplace_back([replica = &e] { end(*replica); });
    for (std::thread& t : ending) t.join();
  }

  static std::string name(node n) { return std::string(1, static_cast<char>('a' + n - 1)); }

  /// Made, from what is on its disk, and not started.
  std::unique_ptr<seawall::raft_elector> make(node n) {
    auto e = seawall::raft_elector::open(options(n));
    REQUIRE_MESSAGE(e.ok(), e.status().ToString());
    ways_.set_target(n, (*e)->port());
    return *std::move(e);
  }
  seawall::raft_elector& start(node n, seawall::election_callbacks callbacks = {}) {
    nodes_.at(n) = make(n);
    nodes_.at(n)->start(std::move(callbacks));
    return *nodes_.at(n);
  }
  void start_all() {
    for (const auto& [n, e] : nodes_) start(n);
  }
  void stop(node n) { end(nodes_.at(n)); }
  seawall::raft_elector& operator[](node n) { return *nodes_.at(n); }
  routes& network() { return ways_; }

  std::optional<node> leading() {
    for (const auto& [n, e] : nodes_) {
      if (e != nullptr && e->current()) return n;
    }
    return std::nullopt;
  }
  /// Waits for one.
  node leader() {
    std::optional<node> found;
    REQUIRE(eventually([&] { return (found = leading()).has_value(); }));
    return *found;
  }
  /// Has it lead: whoever else does hands over, each time.
  seawall::leadership lead(node n) {
    std::optional<seawall::leadership> led;
    REQUIRE(eventually([&] {
      const auto l = leading();
      if (l && *l != n) nodes_.at(*l)->transfer_to(name(n));
      return (led = nodes_.at(n)->current()).has_value();
    }));
    return *led;
  }
  /// Who leads at this moment, by his token.
  seawall::leadership grant() {
    std::optional<seawall::leadership> led;
    REQUIRE(eventually([&] {
      for (const auto& [n, e] : nodes_) {
        if (e != nullptr && (led = e->current())) return true;
      }
      return false;
    }));
    return *led;
  }
  /// One that runs, and does not lead.
  node follower() {
    const node l = leader();
    for (const auto& [n, e] : nodes_) {
      if (n != l && e != nullptr) return n;
    }
    FAIL("no follower");
    return 0;
  }

  seawall::raft_elector_options options(node n) {
    // Of this test alone: a port that was given back may belong to another one's replica by now.
    seawall::raft_elector_options o{.cluster = folder_.name(), .self = n, .directory = folder_.path(name(n))};
    for (const auto& [m, e] : nodes_) {
      o.nodes.push_back({.id = m,
                         .name = name(m),
                         .host = "127.0.0.1",
                         .port = m == n ? std::uint16_t{0} : ways_.port(n, m)});
    }
    o.raft.heartbeat = 50ms;
    o.raft.election_timeout = 500ms;
    o.raft.election_jitter = 250ms;
    o.log.segment_bytes = 1U << 20U;
    o.transport.security = seawall::raft::transport_security::plain_text_on_loopback;
    if (adapt_) adapt_(o);
    return o;
  }

 private:
  static void end(std::unique_ptr<seawall::raft_elector>& e) {
    if (e == nullptr) return;
    // Whatever a core says can be said.
    const seawall::raft::transport_stats s = e->network();
    CHECK_MESSAGE(s.unsendable == 0, s.last_refusal);
    CHECK(s.unknown_peer == 0);
    // There until it has ended: its callbacks may ask for it.
    delete e.get();
    (void)e.release();
  }
  static std::set<node> numbers(node most) {
    std::set<node> all;
    for (node n = 1; n <= most; ++n) all.insert(n);
    return all;
  }

  const change adapt_;
  temporary_folder folder_;
  routes ways_;
  std::map<node, std::unique_ptr<seawall::raft_elector>> nodes_;
};

}  // namespace raft_test

#endif  // SEAWALL_TESTS_ELECTION_RAFT_CLUSTER_HPP
