// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector.hpp"

#include <cstdint>
#include <string>

#include "election/raft_cluster.hpp"
#include "election_conformance/observer.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using namespace seawall;
using election_test::election_log;
using election_test::logged;
using node = raft_cluster::node;

TEST_CASE("raft_elector: a cluster of one leads itself, and keeps what it was told") {
  raft_cluster c(1);
  c.start(1);
  CHECK(c.leader() == 1);
  const std::uint64_t token = c.grant().token();
  const auto put = c[1].put("k", "v", in_time());
  REQUIRE_MESSAGE(put.ok(), put.status().ToString());
  CHECK(put->how == map_outcome::done);
  c.stop(1);
  c.start(1);
  CHECK(c.leader() == 1);
  CHECK(c.grant().token() > token);
  const auto got = c[1].get("k", in_time());
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK((*got)->value == "v");
  CHECK((*got)->revision == put->revision);
}

TEST_CASE("raft_elector: three elect one, and all hear of it") {
  raft_cluster c(3);
  c.start_all();
  // Whoever it is at the moment.
  CHECK(eventually([&] {
    const node leader = c.leader();
    const auto led = c[leader].current();
    bool agree = led && led->token() == c[leader].snapshot().term;
    for (node n = 1; n <= 3; ++n) {
      agree = agree && c[n].snapshot().leader == raft_cluster::name(leader) &&
              c[n].current().has_value() == (n == leader);
    }
    return agree;
  }));
}

TEST_CASE(
    "raft_elector: a term is granted to one, and tokens ascend over resignations, transfers and restarts") {
  election_log log;
  raft_cluster c(3);
  for (node n = 1; n <= 3; ++n) c.start(n, logged(log, raft_cluster::name(n)));
  REQUIRE(log.wait(election_log::what::elected, 1));
  for (int round = 1; round <= 6; ++round) {
    const node l = c.leader();
    if (round % 3 == 0) {
      c.stop(l);
      c.start(l, logged(log, raft_cluster::name(l)));
    } else if (round % 3 == 1) {
      const leadership led = c.lead(l);
      c[l].resign();
      CHECK_FALSE(led.valid());
      CHECK(c.grant().token() > led.token());
    } else {
      const leadership led = c.lead(l);
      CHECK(c.lead(l % 3 + 1).token() > led.token());
      CHECK_FALSE(led.valid());
    }
  }
  for (node n = 1; n <= 3; ++n) c.stop(n);
  CHECK(log.contradiction() == "");
}

TEST_CASE("raft_elector: resigning and handing over is nothing to who does not lead, or to a stranger") {
  raft_cluster c(3);
  c.start_all();
  // Undisturbed, once: a lease may end by itself.
  CHECK(eventually([&] {
    const node l = c.leader(), f = c.follower();
    const auto led = c[l].current();
    c[f].resign();
    c[f].transfer_to(raft_cluster::name(l));
    c[l].transfer_to("nobody");
    c[l].transfer_to(raft_cluster::name(l));
    return led && led->valid();
  }));
}

TEST_CASE("raft_elector: before it was started it serves nothing but what is on its disk") {
  raft_cluster c(1);
  c.start(1);
  c.leader();
  REQUIRE(c[1].put("k", "v", in_time()).ok());
  c.stop(1);
  const auto e = c.make(1);
  CHECK_FALSE(e->current());
  e->resign();
  CHECK(e->put("k", "w", in_time()).status().code() == absl::StatusCode::kUnavailable);
  CHECK(e->change_members({.voters = {1}, .learners = {}}, in_time()).status().code() ==
        absl::StatusCode::kUnavailable);
}

TEST_CASE("raft_elector: two on one directory, and options that make no sense, are refused") {
  raft_cluster c(3);
  const auto e = c.make(1);
  CHECK(raft_elector::open(c.options(1)).status().code() == absl::StatusCode::kFailedPrecondition);
  const auto refused = [&](auto change, const char* field) {
    raft_elector_options o = c.options(2);
    change(o);
    const auto error = validate(o);
    REQUIRE(error);
    CHECK(error->field == field);
    CHECK(raft_elector::open(o).status().code() == absl::StatusCode::kInvalidArgument);
  };
  using options = raft_elector_options;
  refused([](options& o) { o.nodes.clear(); }, "nodes.size");
  refused([](options& o) { o.self = 9; }, "self");
  refused([](options& o) { o.nodes[0].id = 3; }, "nodes.id");
  refused([](options& o) { o.nodes[0].id = 0; }, "nodes.id");
  refused([](options& o) { o.nodes[0].name = "b"; }, "nodes.name");
  refused([](options& o) { o.nodes[0].name = ""; }, "nodes.name");
  refused([](options& o) { o.nodes[0].port = 0; }, "transport.peers[0].port");
  refused([](options& o) { o.founders = {1, 9}; }, "founders");
  refused([](options& o) { o.founders = {1, 1}; }, "founders");
  refused([](options& o) { o.cluster = ""; }, "log.cluster");
  refused([](options& o) { o.directory = ""; }, "directory");
  refused([](options& o) { o.raft.heartbeat = {}; }, "raft.heartbeat");
  refused([](options& o) { o.map.max_value_bytes = 1U << 20U; }, "raft.max_entry_bytes");
  refused([](options& o) { o.raft.max_snapshot_bytes = 1; }, "raft.max_snapshot_bytes");
  refused([](options& o) { o.log.max_snapshot_bytes = 4096; }, "log.max_snapshot_bytes");
  refused([](options& o) { o.snapshot_entries = 0; }, "snapshot_entries");
  refused([](options& o) { o.snapshot_bytes = o.raft.max_log_bytes; }, "snapshot_bytes");
  refused([](options& o) { o.max_requests = 0; }, "max_requests");
  refused([](options& o) { o.max_forwarded = 0; }, "max_forwarded");
  refused([](options& o) { o.max_watches = 0; }, "max_watches");
  refused([](options& o) { o.history.max_changes = 0; }, "history.max_changes");
  refused([](options& o) { o.backoff.multiplier = 0; }, "backoff.multiplier");
}

}  // namespace
