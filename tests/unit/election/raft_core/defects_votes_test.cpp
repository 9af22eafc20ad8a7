// SPDX-License-Identifier: Apache-2.0
// Votes, commit and snapshots: each defect of defects.hpp by its name. Built with SEAWALL_ELECTION_MUTANTS, the test that is named
// after SEAWALL_ELECTION_MUTANT=<name> must fail.
#include <string_view>

#include "driven.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall::raft;
using namespace seawall::raft::test;
using k = message_kind;

#ifdef SEAWALL_ELECTION_MUTANTS
#include <cstdlib>
namespace {
[[maybe_unused]] const bool put_back = [] {
  const char* const name = std::getenv("SEAWALL_ELECTION_MUTANT");
  for (std::size_t i = 0; name != nullptr && i < mutant_names.size(); ++i) {
    if (mutant_names[i] == name) active_mutant = static_cast<mutant>(i);
  }
  return true;
}();
}  // namespace
#endif

TEST_CASE("defect vote_cleared_on_step_down: a candidate that follows the leader of its term has voted") {
  driven d;
  d.lead({});
  d.receive(2, 1, {.kind = k::pre_vote_reply, .granted = true});
  REQUIRE(d.core->current_role() == role::candidate);
  d.receive(2, 1, append(0, 0));
  REQUIRE(d.core->leader() == 2);
  d.now = d.now + ms(1001);
  d.receive(3, 1, vote());
  REQUIRE(d.last(3, k::vote_reply));
  CHECK_FALSE(d.last(3, k::vote_reply)->granted);
}

TEST_CASE("defect votes_lost_on_restart: no second vote in a term") {
  driven d;
  d.receive(2, 5, vote());
  REQUIRE(d.last(2, k::vote_reply)->granted);
  d.crash();
  d.start();
  d.now = d.now + ms(1001);
  d.receive(3, 5, vote());
  REQUIRE(d.last(3, k::vote_reply));
  CHECK_FALSE(d.last(3, k::vote_reply)->granted);
}

TEST_CASE("defect term_and_vote_apart: when a vote leaves, term and vote are on the disk") {
  driven d;
  d.holds.slow = true;
  d.receive(2, 5, vote());
  CHECK(d.sent.empty());
  d.durable_one();
  REQUIRE(d.last(2, k::vote_reply));
  CHECK(d.holds.holds.hard == hard_state{5, 2});
}

TEST_CASE("defect failed_write_ignored: a vote that could not be written is never said") {
  driven d;
  d.holds.slow = true;
  d.receive(2, 5, vote());
  d.step(input::persist_failed{});
  CHECK(d.core->halted());
  CHECK(d.sent.empty());
  CHECK(d.step(input::persisted{1}).send.empty());
  d.receive(3, 6, vote());
  CHECK(d.sent.empty());
  CHECK(d.wake_at == instant::never());
  d.step(input::proposed{1, "x"});
  CHECK(d.answers.at(0).refused == refusal::halted);
}

TEST_CASE(
    "defect kept_back_across_terms: what was to be acknowledged to a leader is not, once the term has moved on") {
  driven d;
  d.holds.slow = true;
  d.receive(2, 1, append(0, 0, {command(1, 1)}));
  d.now = d.now + ms(1001);
  d.receive(3, 2, vote(1, 1));
  d.durable();
  CHECK_FALSE(d.last(2, k::append_reply));
  CHECK(d.last(3, k::vote_reply)->granted);
}

TEST_CASE("defect earlier_term_committed: entries of an earlier term do not commit by counting replicas") {
  driven d({{2, 0}, {}, {command(1, 1), command(2, 2)}});
  d.lead();
  REQUIRE(d.core->term() == 3);
  d.acknowledge(2, 2);
  d.acknowledge(3, 2);
  CHECK(d.core->commit_index() == 0);
  d.acknowledge(2, 3);
  CHECK(d.core->commit_index() == 3);
}

TEST_CASE("defect acknowledged_before_fsync: a cluster of one answers when its disk has the entry") {
  driven d({{}, {.members = {{1}, {}}}, {}});
  d.lead({});
  while (d.core->current_role() != role::leader) d.tick();
  d.holds.slow = true;
  const effects e = d.step(input::proposed{1, "x"});
  CHECK(e.apply.empty());
  CHECK(d.answers.empty());
  d.durable();
  REQUIRE(d.answers.size() == 1);
  CHECK_FALSE(d.answers[0].refused);
}

TEST_CASE("defect append_cuts_agreeing: an append that comes late takes nothing away") {
  driven d;
  d.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1), command(3, 1)}));
  d.receive(2, 1, append(0, 0, {command(1, 1)}));
  CHECK(d.core->last_index() == 3);
  // But what conflicts goes, with all behind it.
  d.now = d.now + ms(1001);
  d.receive(3, 2, append(1, 1, {command(2, 2)}));
  CHECK(d.core->last_index() == 2);
  CHECK(d.holds.holds.entries.back() == command(2, 2));
}

TEST_CASE("defect commit_beyond_match: what an append does not reach does not commit with it") {
  driven d({{1, 0}, {}, {command(1, 1), command(2, 1)}});
  d.receive(2, 2, append(1, 1, {}, 2));
  CHECK(d.core->commit_index() == 1);
}

TEST_CASE(
    "defect append_from_zero_after_compaction: an append from the very start does not touch what follows a snapshot") {
  driven d;
  d.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1)}, 2));
  d.step(input::compacted{2, "state"});
  d.receive(2, 1, append(2, 1, {command(3, 1), command(4, 1)}, 2));
  d.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1)}, 1));
  CHECK(d.core->last_index() == 4);
  CHECK(d.core->base_index() == 2);
  CHECK(d.last(2, k::append_reply)->granted);
}

TEST_CASE(
    "defect conflict_kept_at_snapshot: an entry of another term at its index says that the log is another one") {
  driven d;
  d.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1), command(3, 1)}));
  const message part{.kind = k::install,
                     .index = 2,
                     .log_term = 2,
                     .round = 1,
                     .members = {{1, 2, 3}, {}},
                     .last = true,
                     .bytes = "state"};
  const effects e = d.receive(3, 3, part);
  REQUIRE(e.restore);
  CHECK(e.restore->state == "state");
  CHECK(d.core->last_index() == 2);
  CHECK(d.holds.holds.entries.empty());
  // Of the same term, what follows is kept, and nothing is installed.
  driven f;
  f.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1), command(3, 1)}));
  message same = part;
  same.log_term = 1;
  CHECK_FALSE(f.receive(2, 1, same).restore);
  CHECK(f.core->last_index() == 3);
  CHECK(f.core->commit_index() == 2);
}

TEST_CASE(
    "defect snapshot_during_append: a snapshot is acknowledged when it is durable, not when a longer append is") {
  driven d;
  d.holds.slow = true;
  d.receive(2, 1, append(0, 0, {command(1, 1), command(2, 1), command(3, 1), command(4, 1)}));
  d.receive(3, 2,
            {.kind = k::install,
             .index = 3,
             .log_term = 2,
             .round = 1,
             .members = {{1, 2, 3}, {}},
             .last = true,
             .bytes = "state"});
  REQUIRE(d.holds.writes.size() == 2);
  d.durable_one();
  CHECK_FALSE(d.last(3, k::install_reply));
  d.durable_one();
  CHECK(d.last(3, k::install_reply));
  CHECK(d.holds.holds.base.index == 3);
  CHECK(d.holds.holds.entries.empty());
}
