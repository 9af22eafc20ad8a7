// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "election/raft_cluster.hpp"
#include "election_conformance/observer.hpp"
#include <doctest/doctest.h>

namespace {

using namespace election_test;
using namespace seawall;
using node = raft_cluster::node;

TEST_CASE("raft_elector: a cluster of one leads itself, and keeps what it was told") {
  raft_cluster c(1);
  c.start(1);
  CHECK(c.leader() == 1);
  const std::uint64_t token = c[1].current()->token();
  const auto put = c[1].put("k", "v", in_time());
  REQUIRE_MESSAGE(put.ok(), put.status().ToString());
  CHECK(put->how == map_outcome::done);
  c.stop(1);
  c.start(1);
  CHECK(c.leader() == 1);
  CHECK(c[1].current()->token() > token);
  const auto got = c[1].get("k", in_time());
  REQUIRE_MESSAGE(got.ok(), got.status().ToString());
  CHECK((*got)->value == "v");
  CHECK((*got)->revision == put->revision);
}

TEST_CASE("raft_elector: three elect one, and all hear of it") {
  raft_cluster c(3);
  c.start_all();
  const node leader = c.leader();
  for (node n = 1; n <= 3; ++n) {
    CHECK(eventually([&] { return c[n].snapshot().leader == raft_cluster::name(leader); }));
    CHECK(c[n].current().has_value() == (n == leader));
  }
  CHECK(c[leader].current()->token() == c[leader].snapshot().term);
}

}  // namespace
