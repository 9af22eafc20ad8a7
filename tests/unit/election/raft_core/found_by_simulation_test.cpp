// SPDX-License-Identifier: Apache-2.0
// What the simulation has found wrong in the core.
#include <string>
#include <vector>

#include "driven.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall::raft;
using namespace seawall::raft::test;
namespace input = seawall::raft::input;

TEST_CASE("the first entry of all tells the membership, each later leader's first nothing") {
  driven d;
  d.lead();
  REQUIRE(d.core->last_index() == 1);
  CHECK(d.core->log().at(1).kind == entry_kind::members);
  CHECK(d.core->log().at(1).members == membership{{1, 2, 3}, {}});
  d.crash();
  d.start();
  d.lead();
  REQUIRE(d.core->last_index() == 2);
  CHECK(d.core->log().at(2).kind == entry_kind::nothing);
}

TEST_CASE("a replica that was taken in late compacts to a snapshot with voters, and starts from it") {
  driven leader;
  leader.lead();
  cluster c(std::vector<node_id>{1, 2});
  c.add(4);  // with no membership at all
  const std::vector<entry> log = {leader.core->log().at(1), command(2, leader.core->term())};
  c.step(4, input::received{{.kind = message_kind::append,
                             .from = 1,
                             .to = 4,
                             .term = leader.core->term(),
                             .commit = 2,
                             .round = 1,
                             .entries = log}});
  REQUIRE(c[4]->applied_index() == 2);
  c.step(4, input::compacted{2, "state"});
  CHECK(c[4].d.holds.base.members == membership{{1, 2, 3}, {}});
  CHECK(contradiction(c[4].d.holds) == "");
  c.crash(4);
  CHECK_NOTHROW(c.start(4));
}

// 1 led {1, 2, 3}, appended its own removal and fell before anybody else had that entry. The others cannot win against its log.
TEST_CASE("a replica that was removed campaigns until that has committed, and its own vote does not count") {
  stored_state s;
  s.hard = {.term = 1, .vote = 1};
  s.base.members = {{1, 2, 3}, {}};
  s.entries = {{.index = 1, .term = 1, .kind = entry_kind::members, .members = {{1, 2, 3}, {}}},
               {.index = 2, .term = 1, .kind = entry_kind::members, .members = {{2, 3}, {}}}};
  driven d(s);
  CHECK(d.core->current_role() == role::follower);
  d.tick(ms(1000));
  d.now = d.wake_at;
  d.tick();
  REQUIRE(d.core->current_role() == role::pre_candidate);
  d.receive(2, 2, {.kind = message_kind::pre_vote_reply, .granted = true});
  CHECK(d.core->current_role() == role::pre_candidate);  // 1 of 2 and 3
  d.receive(3, 2, {.kind = message_kind::pre_vote_reply, .granted = true});
  REQUIRE(d.core->current_role() == role::candidate);
  d.receive(2, 2, {.kind = message_kind::vote_reply, .granted = true});
  CHECK(d.core->current_role() == role::candidate);
  d.receive(3, 2, {.kind = message_kind::vote_reply, .granted = true});
  REQUIRE(d.core->current_role() == role::leader);
  d.acknowledge(2, 3);
  CHECK(d.core->commit_index() == 0);
  d.acknowledge(3, 3);
  CHECK(d.core->commit_index() == 3);
  CHECK(d.core->current_role() == role::learner);  // lets go, and never campaigns again
}

}  // namespace
