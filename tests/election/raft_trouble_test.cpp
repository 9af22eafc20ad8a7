// SPDX-License-Identifier: Apache-2.0
// What a cluster lives through: restarts, snapshots, changes of membership, disks that stall and fail.
#include <cstdint>
#include <string>

#include "election/moody_files.hpp"
#include "election/raft_cluster.hpp"
#include "seawall/election/raft_elector.hpp"
#include "seawall/election/replicated_map.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using namespace seawall;
using node = raft_cluster::node;

TEST_CASE("raft_elector: nobody leads without most of the others; who led finds out by his clock") {
  raft_cluster c(3);
  c.start_all();
  const node l = c.leader();
  REQUIRE(c[l].put("k", "v", in_time()).ok());
  REQUIRE(eventually([&] { return (*c[l].get("k", in_time(), map_consistency::local)).has_value(); }));
  const leadership led = c.lead(l);
  for (node n = 1; n <= 3; ++n) {
    if (n != l) c.stop(n);
  }
  CHECK(eventually([&] { return !led.valid(); }));
  CHECK(eventually([&] { return led.stop().stop_requested(); }));
  const instant soon = steady_clock::now() + 200ms;
  CHECK(c[l].put("k", "w", soon).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(c[l].get("k", soon, map_consistency::lease).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK((*c[l].get("k", soon, map_consistency::local))->value == "v");
  // A write that nobody was ever asked for was certainly not done.
  CHECK(eventually([&] { return !c[l].snapshot().leader; }));
  CHECK(seawall::classify(c[l].put("k", "w", steady_clock::now() + 50ms).status()).again == again::always);
}

TEST_CASE("raft_elector: all start again from their disks, and know everything") {
  raft_cluster c(3);
  c.start_all();
  std::uint64_t token = 0;
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t newer = c.grant().token();
    CHECK(newer > token);
    token = newer;
    for (int i = 0; i < 20; ++i)
      REQUIRE(c[i % 3 + 1U].put("k" + std::to_string(i), std::to_string(round), in_time()).ok());
    for (node n = 1; n <= 3; ++n) c.stop(n);
    c.start_all();
    const auto all = c[c.follower()].list("k", in_time());
    REQUIRE(all.ok());
    CHECK(all->entries.size() == 20);
    for (const auto& [key, e] : all->entries) CHECK(e.value == std::to_string(round));
  }
}

TEST_CASE("raft_elector: the log is compacted, and who has missed it all is sent a snapshot") {
  raft_cluster c(3, [](raft_elector_options& o) { o.snapshot_entries = 50; });
  c.start_all();
  const node f = c.follower();
  c.stop(f);
  const node l = c.leader();
  for (int i = 0; i < 200; ++i)
    REQUIRE(c[l].put("k" + std::to_string(i % 10), std::to_string(i), in_time()).ok());
  CHECK(eventually([&] { return c[l].snapshot().snapshots >= 3; }));
  CHECK(eventually([&] {
    const auto s = c[l].snapshot();
    return s.last - s.base <= 60;
  }));
  c.start(f);
  CHECK(eventually([&] { return c[f].snapshot().restores >= 1; }));
  CHECK(eventually(
      [&] { return (*c[f].list("", in_time(), {}, map_consistency::local)).entries.size() == 10; }));
  // And from its own disk, once it has acknowledged it: without the third, nothing is committed before.
  const node third = 6 - l - f;
  c.stop(third);
  REQUIRE(c[l].put("k9", "199", in_time()).ok());
  c.stop(f);
  c.start(f);
  c.start(third);
  CHECK((*c[f].list("", in_time(), {}, map_consistency::local)).entries.size() == 10);
  const auto got = c[f].get("k9", in_time());
  REQUIRE(got.ok());
  CHECK((*got)->value == "199");
}

TEST_CASE("raft_elector: a member is added as a learner, becomes a voter, and another one leaves") {
  raft_cluster c(4, [](raft_elector_options& o) { o.founders = {1, 2, 3}; });
  c.start_all();
  REQUIRE(c[c.leader()].put("k", "v", in_time()).ok());
  CHECK(eventually([&] { return c[4].snapshot().part == raft::role::learner; }));
  // A change is refused while the leader is new or changes already, and by whoever does not lead.
  const auto change = [&](raft::membership to) {
    return eventually([&] {
      const auto l = c.leading();
      return l && c[*l].change_members(to, in_time()).ok();
    });
  };
  CHECK(eventually([&] {
    return c[c.follower()]
               .change_members({.voters = {1, 2, 3}, .learners = {4}}, in_time())
               .status()
               .code() == absl::StatusCode::kFailedPrecondition;
  }));
  CHECK(change({.voters = {1, 2, 3}, .learners = {4}}));
  CHECK(eventually([&] { return (*c[4].get("k", in_time(), map_consistency::local)).has_value(); }));
  CHECK(change({.voters = {1, 2, 3, 4}, .learners = {}}));
  CHECK(eventually([&] {
    const node l = c.leader();
    return c[l].change_members({.voters = {l}, .learners = {}}, in_time()).status().code() ==
           absl::StatusCode::kInvalidArgument;
  }));
  const node l = c.leader();
  CHECK(c[l].change_members({.voters = {1, 2, 3, 4, 9}, .learners = {}}, in_time()).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const node leaves = l == 1 ? 2 : 1;
  raft::membership without{.voters = {}, .learners = {}};
  for (node n = 1; n <= 4; ++n) {
    if (n != leaves) without.voters.push_back(n);
  }
  CHECK(change(without));
  c.stop(leaves);
  c.lead(4);
  CHECK(c[4].put("k", "w", in_time()).ok());
}

TEST_CASE("raft_elector: a disk that stalls costs the lease, and another one leads") {
  moody_files files;
  raft_cluster c(3, [&](raft_elector_options& o) {
    o.raft.disk_limit = 300ms;
    if (o.self == 1) o.log.files = &files;
  });
  c.start_all();
  const leadership led = c.lead(1);
  files.stall();
  CHECK(eventually([&] { return !led.valid(); }));
  CHECK(eventually([&] { return c.leading() && c.leading() != 1; }));
  CHECK(c[c.leader()].put("k", "v", in_time()).ok());
  files.go_on();
  const auto got = c[1].get("k", in_time());
  REQUIRE(got.ok());
  CHECK((*got)->value == "v");
}

TEST_CASE("raft_elector: a disk that fails ends a replica for good, and the others go on") {
  moody_files files;
  raft_cluster c(3, [&](raft_elector_options& o) {
    if (o.self == 1) o.log.files = &files;
  });
  c.start_all();
  c.lead(1);
  files.fail();
  const auto a = c[1].put("k", "v", in_time());
  // The others, if it leads no longer by then.
  CHECK_MESSAGE((a.ok() || a.status().code() == absl::StatusCode::kUnavailable), a.status().ToString());
  CHECK(eventually([&] { return c[1].snapshot().halted; }));
  CHECK(c[1].snapshot().halted_by.find("the disk is gone") != std::string::npos);
  CHECK(c[1].put("k", "v", in_time()).status().code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(c[1].current());
  CHECK(eventually([&] { return c.leading() && c.leading() != 1; }));
  CHECK(c[c.leader()].put("k", "w", in_time()).ok());
}

}  // namespace
