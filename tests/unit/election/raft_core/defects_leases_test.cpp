// SPDX-License-Identifier: Apache-2.0
// Liveness, leases, reads and membership: each defect of defects.hpp by its name, as in defects_votes_test.cpp.
#include "driven.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall::raft;
using namespace seawall::raft::test;
using k = message_kind;

namespace {

/// Leads in a term whose first entry has committed.
void lead_and_commit(driven& d) {
  d.lead();
  d.acknowledge(2, d.core->last_index());
  REQUIRE(d.core->lease_until());
}
duration lease_of(const driven& d) {
  return lease_length(d.options.election_timeout, d.options.max_clock_drift);
}

}  // namespace

// Liveness.

TEST_CASE(
    "defect pre_vote_deadlock: a refused pre-vote tells the higher term, and the longer log wins in the next one") {
  driven ahead({{8, 0}, {}, {}});
  ahead.now = ahead.now + ms(1001);
  ahead.receive(2, 6, pre_vote(3, 5));
  REQUIRE(ahead.last(2, k::pre_vote_reply));
  CHECK_FALSE(ahead.last(2, k::pre_vote_reply)->granted);
  CHECK(ahead.last(2, k::pre_vote_reply)->term == 8);

  driven longer({{5, 0}, {}, {command(1, 5)}});
  longer.now = longer.wake_at = at_ms(2000);
  longer.tick();
  REQUIRE(longer.core->current_role() == role::pre_candidate);
  longer.receive(2, 8, {.kind = k::pre_vote_reply});
  CHECK(longer.core->term() == 8);
  longer.tick(ms(2000));
  CHECK(longer.last(2, k::pre_vote)->term == 9);
  ahead.receive(2, 9, pre_vote(1, 5));
  CHECK(ahead.last(2, k::pre_vote_reply)->granted);
}

TEST_CASE("defect pre_vote_is_contact: being asked is not hearing a leader") {
  driven d;
  d.receive(2, 1, pre_vote());
  d.receive(3, 1, pre_vote());
  CHECK(d.last(3, k::pre_vote_reply)->granted);
  d.receive(3, 1, vote());
  CHECK(d.last(3, k::vote_reply));
}

TEST_CASE("defect former_leader_refused: one who led and was not heard since may lead again") {
  driven d;
  d.receive(2, 1, append(0, 0));
  d.now = std::max(d.now + ms(1001), d.wake_at);
  d.tick();
  CHECK(d.core->leader() == nobody);
  d.receive(2, 2, pre_vote());
  CHECK(d.last(2, k::pre_vote_reply)->granted);
  // And one who led itself votes for others at once.
  driven l;
  l.lead();
  l.tick(ms(1001));
  REQUIRE(l.core->current_role() == role::follower);
  l.receive(2, 2, pre_vote(9, 1));
  CHECK(l.last(2, k::pre_vote_reply)->granted);
}

TEST_CASE("defect equal_time_outs: time-outs differ, between replicas and from one to the next") {
  driven a;
  core_options other = options_of(2);
  raft_core b(other, {{}, {.members = {{1, 2, 3}, {}}}, {}}, at_ms(0), 2);
  const instant first = a.step(input::tick{}).wake_at;
  CHECK(first != b.step(at_ms(0), input::tick{}).wake_at);
  CHECK(first >= at_ms(1000));
  CHECK(first <= at_ms(1500));
  a.now = first;
  const instant second = a.tick().wake_at;
  a.now = second;
  const instant third = a.tick().wake_at;
  CHECK(third - second != second - first);
}

TEST_CASE("defect stalled_disk_leads: a leader whose disk stalls loses lease and leadership, heard or not") {
  driven d;
  lead_and_commit(d);
  const instant since = d.now;
  d.holds.slow = true;
  const instant end = since + d.options.disk_limit;
  while (d.now < end + ms(1000) && d.core->current_role() == role::leader) {
    d.tick(ms(100));
    if (d.core->current_role() == role::leader) d.acknowledge(2, 1);
    if (d.core->lease_until()) CHECK(*d.core->lease_until() <= end);
  }
  CHECK(d.core->current_role() != role::leader);
  CHECK(d.now <= end);
}

TEST_CASE("an idle leader keeps its lease while its disk answers") {
  driven d;
  lead_and_commit(d);
  for (int i = 0; i < 100; ++i) {
    d.tick(ms(100));
    d.acknowledge(2, 1);
    REQUIRE(d.core->lease_until());
    REQUIRE(*d.core->lease_until() > d.now + ms(500));
  }
}

// Leases.

TEST_CASE("defect lease_checked_by_timer: the end of the lease is a point in time, known before it comes") {
  driven d;
  lead_and_commit(d);
  CHECK(*d.core->lease_until() <= d.now + lease_of(d));
}

TEST_CASE("defect lease_from_receipt: a lease counts from when the round began that was answered") {
  driven d;
  lead_and_commit(d);
  d.tick(ms(100));
  const std::uint64_t first = d.round();
  const instant began = d.now;
  d.tick(ms(100));
  d.now = d.now + ms(50);
  d.acknowledge(2, 1, first);
  CHECK(*d.core->lease_until() == began + lease_of(d));
  // An older answer that comes late takes nothing back, and one to a round never opened gives nothing.
  d.acknowledge(3, 1, first - 1);
  d.acknowledge(3, 1, first + 1000);
  CHECK(*d.core->lease_until() == began + lease_of(d));
}

TEST_CASE("defect lease_kept_across_transfer: the lease has ended when the other one is told to campaign") {
  driven d;
  lead_and_commit(d);
  const effects e = d.step(input::transfer{2});
  REQUIRE(d.last(2, k::time_out_now));
  CHECK(e.send.back().kind == k::time_out_now);
  CHECK_FALSE(d.core->lease_until());
  CHECK(d.core->current_role() == role::follower);
}

TEST_CASE("defect delayed_time_out_now: one that comes when another leads is not honoured") {
  driven d;
  d.receive(2, 1, append(0, 0));
  d.receive(3, 2, append(0, 0));
  d.receive(2, 1, {.kind = k::time_out_now});
  CHECK(d.core->current_role() == role::follower);
  CHECK(d.core->term() == 2);
  // Nor is it from somebody who does not lead, or by one whose log is behind.
  d.receive(2, 2, {.kind = k::time_out_now});
  d.receive(3, 2, {.kind = k::time_out_now, .index = 1});
  CHECK(d.core->term() == 2);
  d.receive(3, 2, {.kind = k::time_out_now});
  CHECK(d.core->current_role() == role::candidate);
  CHECK(d.last(2, k::vote)->by_transfer);
}

TEST_CASE(
    "defect votes_at_once_after_restart: what was promised before a restart may be in force for as long as F") {
  driven d;
  d.receive(2, 1, append(0, 0));
  d.crash();
  d.now = d.now + ms(10);
  d.start();
  d.now = d.now + ms(999);
  d.receive(3, 2, vote());
  d.receive(3, 2, pre_vote());
  CHECK_FALSE(d.last(3, k::vote_reply));
  CHECK_FALSE(d.last(3, k::pre_vote_reply)->granted);
  CHECK(d.core->term() == 1);
  d.now = d.now + ms(1);
  d.receive(3, 2, vote());
  CHECK(d.last(3, k::vote_reply)->granted);
}

TEST_CASE("whoever heard a leader refuses votes for higher terms, but not those that this leader asked for") {
  driven d;
  d.receive(2, 1, append(0, 0));
  d.now = d.now + ms(999);
  d.receive(3, 7, vote());
  CHECK_FALSE(d.last(3, k::vote_reply));
  CHECK(d.core->term() == 1);
  message asked = vote();
  asked.by_transfer = true;
  d.receive(3, 2, asked);
  CHECK(d.last(3, k::vote_reply)->granted);
}

TEST_CASE("there is no lease before the first entry of the term has committed") {
  driven d;
  d.lead();
  d.acknowledge(2, 0);
  CHECK(d.core->current_role() == role::leader);
  CHECK_FALSE(d.core->lease_until());
  d.acknowledge(2, 1);
  CHECK(d.core->lease_until());
}

TEST_CASE("a leader that was paused is none when it comes back, whatever has piled up for it") {
  driven d;
  lead_and_commit(d);
  d.step(input::proposed{1, "x"});
  d.now = d.now + ms(5000);
  d.acknowledge(2, 2);
  CHECK(d.core->current_role() == role::follower);
  REQUIRE(d.answers.size() == 1);
  CHECK(d.answers[0].refused == refusal::unknown);
}

TEST_CASE("whoever resigns has no lease any more, even if nobody can take over") {
  driven d;
  lead_and_commit(d);
  d.step(input::proposed{1, "x"});
  d.step(input::resign{});
  CHECK_FALSE(d.core->lease_until());
  CHECK(d.core->current_role() == role::leader);
  d.step(input::proposed{2, "y"});
  CHECK(d.answers.back().refused == refusal::transferring);
  d.tick(ms(999));
  d.acknowledge(3, 1);
  d.tick(ms(1));
  CHECK(d.core->current_role() == role::follower);
}

// Reads.

TEST_CASE(
    "defect read_before_own_commit: before its first entry has committed a leader does not know what has") {
  driven d({{1, 0}, {}, {command(1, 1)}});
  d.lead();
  d.step(input::read{1});
  d.tick(ms(100));
  d.acknowledge(2, 1);
  REQUIRE(d.answers.size() == 1);
  CHECK(d.answers[0].refused == refusal::not_ready);
}

TEST_CASE("defect read_round_reused: an answer to what was sent before the read does not confirm it") {
  driven d;
  lead_and_commit(d);
  d.tick(ms(100));
  const std::uint64_t before = d.round();
  d.step(input::read{1});
  const std::uint64_t after = d.round();
  d.acknowledge(2, 1, before);
  CHECK(d.answers.empty());
  // Those that come while that round is under way wait for the next one.
  d.step(input::read{2});
  d.acknowledge(2, 1, after);
  REQUIRE(d.answers.size() == 1);
  CHECK(d.answers[0].request == 1);
  CHECK(d.answers[0].index == 1);
  d.acknowledge(3, 1);
  CHECK(d.answers.size() == 2);
}

// Membership.

TEST_CASE("defect change_before_own_commit: no change before the first entry of the term has committed") {
  driven d;
  d.lead();
  d.step(input::change{1, {{1, 2, 3, 4}, {}}});
  CHECK(d.answers.at(0).refused == refusal::not_ready);
  d.acknowledge(2, 1);
  d.step(input::change{2, {{1, 2, 3, 4}, {}}});
  CHECK(d.answers.size() == 1);
  CHECK(d.core->members().voters.size() == 4);
}

TEST_CASE("defect change_while_changing: no change before the last one has committed") {
  driven d;
  lead_and_commit(d);
  d.step(input::change{1, {{1, 2, 3, 4}, {}}});
  d.step(input::change{2, {{1, 2, 3, 4, 5}, {}}});
  REQUIRE(d.answers.size() == 1);
  CHECK(d.answers[0].refused == refusal::not_ready);
  d.acknowledge(2, 2);
  CHECK(d.answers.size() == 1);  // two of four are no quorum
  d.acknowledge(3, 2);
  CHECK(d.answers.size() == 2);
  d.step(input::change{3, {{1, 2, 3}, {4}}});
  CHECK(d.answers.size() == 2);
}

TEST_CASE("defect removed_servers_disrupt: one that was removed and not told so unseats nobody") {
  cluster c({1, 2, 3});
  c.elect(2);
  c.cut(3);
  c.step(2, input::change{1, {{1, 2}, {}}});
  c.live(ms(200));
  c.heal();
  for (int i = 0; i < 100; ++i) {
    c.live(ms(100));
    REQUIRE(c[2]->term() == 1);
  }
  CHECK(c.leader() == 2);
}

TEST_CASE("a membership that is cut from the log is no longer in force") {
  driven d({{1, 0},
            {.members = {{1, 2, 3}, {}}},
            {{.index = 1, .term = 1, .kind = entry_kind::members, .members = {{2, 3}, {}}}}});
  CHECK(d.core->members().voters.size() == 2);
  d.receive(2, 2, append(0, 0, {command(1, 2)}));
  CHECK(d.core->current_role() == role::follower);
  CHECK(d.core->members().voters.size() == 3);
}
