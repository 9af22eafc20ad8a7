// SPDX-License-Identifier: Apache-2.0
// The parts of the core alone: lease law, options, rounds, books on the disk, messages kept back, the log, a follower's progress.
#include <memory>
#include <string>
#include <vector>

#include "cluster.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall::raft;
using namespace seawall::raft::test;

namespace {

entry command(log_index i, term_number t) {
  return {.index = i, .term = t, .kind = entry_kind::command, .command = "x"};
}
core_options valid() {
  core_options o;
  o.self = 1;
  return o;
}

}  // namespace

TEST_CASE("defect lease_without_drift: a lease on a slow clock ends before the refusal on a fast one") {
  for (const double drift : {0.0, 0.0001, 0.01, 0.1, 0.2}) {
    for (const duration f : {ms(1), ms(200), ms(1000), ms(3'600'000)}) {
      const duration l = lease_length(f, drift);
      const double longest = static_cast<double>(l.ns()) / (1 - drift);
      const double shortest = static_cast<double>(f.ns()) / (1 + drift);
      CHECK(longest < shortest);
      CHECK(longest > shortest * 0.9999 - 10);
    }
  }
  CHECK(lease_length(ms(1000), 0.01) < ms(981));
}

TEST_CASE("options that contradict each other are refused by name") {
  struct row {
    void (*spoil)(core_options&);
    std::string field;
  };
  const row rows[] = {
      {[](core_options& o) { o.self = nobody; }, "self"},
      {[](core_options& o) { o.heartbeat = {}; }, "heartbeat"},
      {[](core_options& o) { o.election_timeout = ms(399); }, "election_timeout"},
      {[](core_options& o) { o.election_jitter = ms(99); }, "election_jitter"},
      {[](core_options& o) { o.max_clock_drift = -0.1; }, "max_clock_drift"},
      {[](core_options& o) { o.max_clock_drift = 0.21; }, "max_clock_drift"},
      {[](core_options& o) { o.disk_limit = ms(399); }, "disk_limit"},
      {[](core_options& o) { o.max_entry_bytes = 0; }, "max_entry_bytes"},
      {[](core_options& o) { o.max_batch_entries = 0; }, "max_batch_entries"},
      {[](core_options& o) { o.max_inflight = 0; }, "max_inflight"},
      {[](core_options& o) { o.max_uncommitted = 0; }, "max_uncommitted"},
      {[](core_options& o) { o.max_log_bytes = 1; }, "max_log_bytes"},
      {[](core_options& o) { o.max_persists = 0; }, "max_persists"},
      {[](core_options& o) { o.max_persists = 65; }, "max_persists"},
      {[](core_options& o) { o.max_apply = 0; }, "max_apply"},
      {[](core_options& o) { o.max_reads = 0; }, "max_reads"},
      {[](core_options& o) { o.max_chunk_bytes = 0; }, "max_chunk_bytes"},
  };
  CHECK_FALSE(validate(valid()));
  for (const row& r : rows) {
    core_options o = valid();
    r.spoil(o);
    const auto error = validate(o);
    REQUIRE_MESSAGE(error, r.field);
    CHECK(error->field == r.field);
  }
}

TEST_CASE("a stored state that contradicts itself is refused") {
  const membership three{{1, 2, 3}, {}};
  const stored_state fine{{3, 1}, {2, 1, three, "s"}, {command(3, 2), command(4, 3)}};
  CHECK(contradiction(fine).empty());
  struct row {
    void (*spoil)(stored_state&);
    std::string why;
  };
  const row rows[] = {
      {[](stored_state& s) { s.entries[1].index = 5; }, "the log has a gap at index 4"},
      {[](stored_state& s) { s.entries[1].term = 1; }, "the log's terms descend at index 4"},
      {[](stored_state& s) { s.hard.term = 2; }, "the log is ahead of the term at index 4"},
      {[](stored_state& s) { s.base.term = 0; }, "the snapshot has an index or a term, but not both"},
      {[](stored_state& s) {
         s.base.members.voters = {2, 1};
       },
       "the snapshot's membership contradicts itself"},
      {[](stored_state& s) { s.base.members.voters = {}; }, "the snapshot has no voters"},
      {[](stored_state& s) { s.entries[0].kind = entry_kind::nothing; },
       "an entry contradicts itself at index 3"},
  };
  for (const row& r : rows) {
    stored_state s = fine;
    r.spoil(s);
    CHECK(contradiction(s) == r.why);
    CHECK_THROWS_WITH(raft_core(valid(), s, {}, 1), ("raft_core: stored state: " + r.why).c_str());
  }
}

TEST_CASE("rounds: the answer to one says when it began, and those before are forgotten") {
  round_book b;
  CHECK(b.open(at_ms(10)) == 1);
  CHECK(b.open(at_ms(20)) == 2);
  CHECK(b.open(at_ms(30)) == 3);
  CHECK(b.answered(2) == at_ms(20));
  CHECK_FALSE(b.answered(1));
  CHECK(b.answered(3) == at_ms(30));
  for (std::size_t i = 0; i < 2 * round_book::max_open; ++i) b.open(at_ms(40));
  CHECK_FALSE(b.answered(4));
  CHECK(b.answered(b.current()) == at_ms(40));
}

TEST_CASE("disk: an entry that was cut and written anew is not durable with the write of the old one") {
  log_view log({}, {});
  disk_book d(0, {});
  for (log_index i = 1; i <= 3; ++i) log.append(command(i, 1));
  CHECK(d.issue({1, 0}, log, {}).append.size() == 3);
  log.cut(2);
  d.log_cut(2);
  log.append(command(2, 2));
  CHECK(d.number_for(1) == 1);
  CHECK(d.number_for(2) == 2);
  const persist p = d.issue({2, 0}, log, {});
  CHECK(p.cut_from == 2);
  CHECK(p.append == std::vector<entry>{command(2, 2)});
  CHECK(d.done(1));
  CHECK(d.stable() == 1);
  CHECK_FALSE(d.done(3));
  CHECK(d.done(2));
  CHECK(d.stable() == 2);
}

TEST_CASE("disk: what is compacted before it was written is written as a snapshot only") {
  log_view log({}, {});
  disk_book d(0, {});
  for (log_index i = 1; i <= 3; ++i) log.append(command(i, 1));
  log.compact(2, "state");
  d.compacted(2);
  const persist p = d.issue({1, 0}, log, {});
  REQUIRE(p.base);
  CHECK(p.base->index == 2);
  CHECK(p.keep_entries);
  CHECK(p.append == std::vector<entry>{command(3, 1)});
  CHECK_FALSE(d.dirty(3));
}

TEST_CASE(
    "kept back: of the same kind for the same write only the last, and what it says covers the others") {
  outbox o;
  message m{.kind = message_kind::append_reply,
            .from = 1,
            .to = 2,
            .term = 1,
            .index = 5,
            .granted = true,
            .round = 3};
  o.keep(m, 1);
  m.index = 4;
  m.round = 4;
  o.keep(m, 1);
  o.keep(m, 2);
  CHECK(o.size() == 2);
  std::vector<message> out;
  o.release(1, out);
  REQUIRE(out.size() == 1);
  CHECK(out[0].index == 5);
  CHECK(out[0].round == 4);
  for (std::uint64_t n = 3; n < 5000; ++n) o.keep(m, n);
  CHECK(o.size() == outbox::max_kept);
}

TEST_CASE("log: memberships go with the entries that brought them") {
  log_view log({.members = {{1}, {}}}, {});
  log.append(command(1, 1));
  log.append({.index = 2, .term = 1, .kind = entry_kind::members, .members = {{1, 2}, {}}});
  log.append({.index = 3, .term = 1, .kind = entry_kind::members, .members = {{1, 2, 3}, {}}});
  CHECK(log.members_index() == 3);
  log.cut(3);
  CHECK(log.members() == membership{{1, 2}, {}});
  log.append(command(3, 2));
  log.compact(2, "s");
  CHECK(log.members() == membership{{1, 2}, {}});
  CHECK(log.base()->members == membership{{1, 2}, {}});
  CHECK(log.bytes() == cost_of(command(3, 2)));
  CHECK(log.may_agree(3, 1) == 2);
  CHECK(log.term_at(1) == std::nullopt);
  CHECK(log.accepts(3, 2));
  CHECK_FALSE(log.accepts(9, 1));
  CHECK(log.accepts(1, 3));
}

TEST_CASE("progress: refusals that are older than what is known change nothing") {
  const core_options o = valid();
  progress p(2, 6, {});
  CHECK(p.may_append(o));
  p.appended(6, 1);
  CHECK_FALSE(p.may_append(o));
  CHECK_FALSE(p.refused(9, 0));
  CHECK(p.refused(5, 3));
  CHECK(p.next() == 4);
  p.appended(6, 1);
  p.acknowledged(6);
  CHECK(p.how() == way::replicating);
  CHECK(p.next() == 7);
  CHECK_FALSE(p.refused(5, 0));
  p.appended(8, 100);
  p.appended(9, 100);
  CHECK(p.refused(9, 7));
  CHECK(p.how() == way::probing);
  CHECK(p.next() == 8);
  CHECK(p.match() == 6);
}

TEST_CASE("progress: no more under way than the bounds allow") {
  core_options o = valid();
  o.max_inflight = 2;
  o.max_inflight_bytes = 100;
  progress p(2, 1, {});
  p.acknowledged(0);
  REQUIRE(p.how() == way::replicating);
  p.appended(1, 10);
  CHECK(p.may_append(o));
  p.appended(2, 10);
  CHECK_FALSE(p.may_append(o));
  p.acknowledged(2);
  p.appended(3, 200);
  CHECK_FALSE(p.may_append(o));
}

TEST_CASE("progress: a part that may still be on its way is not sent again, one that was lost is") {
  progress p(2, 1, {});
  p.install(std::make_shared<const snapshot>(snapshot{5, 1, {{1}, {}}, "0123456789"}));
  p.part_sent(1);
  CHECK_FALSE(p.part_answered(0, 1));
  CHECK_FALSE(p.part_answered(11, 2));
  CHECK(p.part_answered(4, 1));
  p.part_sent(1);
  CHECK_FALSE(p.part_answered(4, 1));
  CHECK(p.part_answered(4, 2));
  p.acknowledged(4);
  CHECK(p.how() == way::installing);
  p.acknowledged(5);
  CHECK(p.how() == way::replicating);
  CHECK(p.next() == 6);
}

TEST_CASE("messages that contradict themselves are dropped") {
  using k = message_kind;
  const message append{.kind = k::append,
                       .from = 2,
                       .to = 1,
                       .term = 3,
                       .index = 4,
                       .log_term = 2,
                       .entries = {command(5, 2), command(6, 3)}};
  CHECK(well_formed(append));
  struct row {
    void (*spoil)(message&);
  };
  const row rows[] = {
      {[](message& m) { m.from = nobody; }},
      {[](message& m) { m.from = 1; }},
      {[](message& m) { m.term = 0; }},
      {[](message& m) { m.term = last_number + 1; }},
      {[](message& m) { m.round = last_number + 1; }},
      {[](message& m) { m.log_term = 4; }},
      {[](message& m) { m.log_term = 0; }},
      {[](message& m) { m.entries[1].index = 7; }},
      {[](message& m) { m.entries[0].term = 1; }},
      {[](message& m) { m.entries[1].term = 4; }},
      {[](message& m) { m.entries[0].kind = entry_kind::nothing; }},
      {[](message& m) { m.entries[0].kind = entry_kind::members; }},
      {[](message& m) { m.kind = static_cast<message_kind>(99); }},
      {[](message& m) {
        m.kind = k::vote;
        m.log_term = 3;
      }},
      {[](message& m) { m.kind = k::install; }},
  };
  for (const row& r : rows) {
    message m = append;
    r.spoil(m);
    CHECK_FALSE(well_formed(m));
  }
}
