// SPDX-License-Identifier: Apache-2.0
// The membership before the first change of it: an option, and yet not to be changed.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "election/raft_cluster.hpp"
#include "seawall/election/raft_elector.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using seawall::raft_elector;
using seawall::raft_elector_options;

TEST_CASE(
    "raft_elector: other founders than those of the first start are refused, and not taken for the members") {
  std::vector<seawall::raft::node_id> founders = {1, 2, 3};
  raft_cluster c(4, [&](raft_elector_options& o) { o.founders = founders; });
  // Also where nothing has come into the log yet.
  CHECK(c.make(4)->snapshot().name == "election");
  for (const std::uint64_t n : {1, 2, 3}) c.start(n);
  REQUIRE(c[c.leader()].put("k", "v", in_time()).ok());
  for (const std::uint64_t n : {1, 2, 3}) c.stop(n);

  // As it is when somebody adds a node to `nodes`, and leaves the founders to follow from them.
  founders = {};
  for (const std::uint64_t n : {1, 4}) {
    const auto e = raft_elector::open(c.options(n));
    CHECK(e.status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(e.status().message())
              .find("founders are 1, 2, 3, 4, but the cluster was founded by 1, 2, 3") != std::string::npos);
  }
  founders = {3, 1, 2};
  for (const std::uint64_t n : {1, 2}) c.start(n);
  const auto got = c[1].get("k", in_time());
  REQUIRE(got.ok());
  CHECK((*got)->value == "v");
  CHECK(c[1].snapshot().members.voters == std::vector<seawall::raft::node_id>{1, 2, 3});
}

}  // namespace
