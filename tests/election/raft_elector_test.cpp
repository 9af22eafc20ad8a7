// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "election/moody_files.hpp"
#include "election/raft_cluster.hpp"
#include "election_conformance/observer.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using election_test::election_log;
using election_test::logged;
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

TEST_CASE(
    "raft_elector: a term is granted to one, and tokens ascend over resignations, transfers and restarts") {
  raft_cluster c(3);
  election_log log;
  for (node n = 1; n <= 3; ++n) c.start(n, logged(log, raft_cluster::name(n)));
  REQUIRE(log.wait(election_log::what::elected, 1));
  for (std::size_t round = 1; round <= 6; ++round) {
    const node l = c.leader();
    if (round % 3 == 0) {
      c.stop(l);
      c.start(l, logged(log, raft_cluster::name(l)));
    } else if (round % 3 == 1) {
      c[l].resign();
      CHECK_FALSE(c[l].current());
    } else {
      const node to = l % 3 + 1;
      c[l].transfer_to(raft_cluster::name(to));
      CHECK_FALSE(c[l].current());
    }
    const auto next = log.wait(election_log::what::elected, round + 1);
    REQUIRE(next);
    if (round % 3 == 2) CHECK(next->node == raft_cluster::name(l % 3 + 1));
  }
  for (node n = 1; n <= 3; ++n) c.stop(n);
  CHECK(log.contradiction() == "");
}

TEST_CASE("raft_elector: resigning and handing over is nothing to who does not lead, or to a stranger") {
  raft_cluster c(3);
  c.start_all();
  const node l = c.leader();
  const std::uint64_t token = c[l].current()->token();
  c[c.follower()].resign();
  c[c.follower()].transfer_to(raft_cluster::name(l));
  c[l].transfer_to("nobody");
  c[l].transfer_to(raft_cluster::name(l));
  REQUIRE(c[l].current());
  CHECK(c[l].current()->token() == token);
}

TEST_CASE("raft_elector: the map, by the leader and by a follower") {
  raft_cluster c(3);
  c.start_all();
  const node l = c.leader(), f = c.follower();
  for (const node n : {l, f}) {
    CAPTURE((n == l));
    raft_elector& e = c[n];
    const std::string key = raft_cluster::name(n);
    const auto put = e.put(key, "1", in_time());
    REQUIRE_MESSAGE(put.ok(), put.status().ToString());
    CHECK(put->how == map_outcome::done);
    // Seen by everybody, at once.
    for (const node m : {l, f}) {
      for (const auto how : {map_consistency::linearisable, map_consistency::lease}) {
        const auto got = c[m].get(key, in_time(), how);
        REQUIRE_MESSAGE(got.ok(), got.status().ToString());
        REQUIRE(got->has_value());
        CHECK((*got)->value == "1");
        CHECK((*got)->revision == put->revision);
      }
    }
    CHECK(eventually([&] { return (*e.get(key, in_time(), map_consistency::local)).has_value(); }));

    const auto refused = e.compare_and_set(key, map_condition::absent(), "2", in_time());
    REQUIRE(refused.ok());
    CHECK(refused->how == map_outcome::conflict);
    CHECK(refused->revision == put->revision);
    const auto set = e.compare_and_set(key, map_condition::at(put->revision), "2", in_time());
    REQUIRE(set.ok());
    CHECK(set->how == map_outcome::done);
    const auto listed = e.list("", in_time());
    REQUIRE(listed.ok());
    CHECK(listed->entries.size() == 1);
    CHECK(listed->entries.front().second.value == "2");
    const auto erased = e.erase(key, in_time(), map_condition::equals("2"));
    REQUIRE(erased.ok());
    CHECK(erased->how == map_outcome::done);
    CHECK(!(*e.get(key, in_time())).has_value());
  }
  CHECK(c[l].snapshot().forwarded > 0);
  CHECK(c[l].snapshot().lease_reads > 0);
}

TEST_CASE("raft_elector: bounds are told as such, and nothing is sent") {
  raft_cluster c(1, [](raft_elector_options& o) {
    o.map = {.max_key_bytes = 4, .max_value_bytes = 4, .max_entries = 1};
  });
  c.start(1);
  c.leader();
  using code = absl::StatusCode;
  CHECK(c[1].put("", "v", in_time()).status().code() == code::kInvalidArgument);
  CHECK(c[1].put("12345", "v", in_time()).status().code() == code::kInvalidArgument);
  CHECK(c[1].put("k", "12345", in_time()).status().code() == code::kInvalidArgument);
  CHECK(c[1].compare_and_set("k", map_condition::equals("12345"), "v", in_time()).status().code() ==
        code::kInvalidArgument);
  CHECK(c[1].put("k", "1234", in_time()).ok());
  CHECK(c[1].put("l", "", in_time()).status().code() == code::kResourceExhausted);
  CHECK(seawall::classify(c[1].put("", "v", in_time()).status()).again == again::always);
}

TEST_CASE(
    "raft_elector: too many requests at once are refused before they return, and the others are answered") {
  raft_cluster c(3, [](raft_elector_options& o) { o.max_requests = 10; });
  c.start_all();
  const node l = c.leader();
  for (node n = 1; n <= 3; ++n) {
    if (n != l) c.network().cut_off(n);
  }
  std::atomic<int> done{0}, refused{0};
  for (int i = 0; i < 30; ++i) {
    c[l].async_put("k", std::to_string(i), in_time(), [&](absl::StatusOr<map_answer> a) {
      a.ok() ? ++done : ++refused;
      if (!a.ok()) CHECK(a.status().code() == absl::StatusCode::kResourceExhausted);
    });
  }
  CHECK(refused == 20);
  for (node n = 1; n <= 3; ++n) c.network().mend(n);
  CHECK(eventually([&] { return done == 10; }));
}

TEST_CASE("raft_elector: nobody leads without most of the others; who led finds out by his clock") {
  raft_cluster c(3);
  c.start_all();
  const node l = c.leader();
  REQUIRE(c[l].put("k", "v", in_time()).ok());
  const leadership led = *c[l].current();
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
    const node l = c.leader();
    CHECK(c[l].current()->token() > token);
    token = c[l].current()->token();
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

TEST_CASE("raft_elector: a write that is sent again is done once, whoever leads meanwhile") {
  raft_cluster c(3);
  c.start_all();
  c.leader();
  constexpr int threads = 3, each = 40;
  std::atomic<int> done{0}, unknown{0};
  std::vector<std::thread> counting;
  for (int t = 0; t < threads; ++t) {
    counting.emplace_back([&, t] {
      raft_elector& e = c[static_cast<node>(t) + 1];
      const std::string key = "count" + std::to_string(t);  // a counter of his own
      std::uint64_t revision = 0;
      for (int i = 0; i < each; ++i) {
        // Nobody else writes it: a conflict is a write of ours that was done twice, or was said not to be done.
        const auto a = e.compare_and_set(key, map_condition::at(revision), std::to_string(i), in_time());
        if (!a.ok()) {
          ++unknown;
          return;
        }
        CHECK(a->how == map_outcome::done);
        revision = a->revision;
        ++done;
      }
    });
  }
  for (int i = 0; i < 8; ++i) {
    const node l = c.leader();
    const int before = done;
    if (i % 2 == 0) {
      c[l].resign();
    } else {
      c.network().cut_off(l);
      CHECK(eventually([&] { return c.leading() != l && c.leading(); }));
      c.network().mend(l);
    }
    CHECK(eventually([&] { return done > before || done + unknown >= threads * each; }));
  }
  for (std::thread& t : counting) t.join();
  CHECK(unknown == 0);
  CHECK(done == threads * each);
  std::uint64_t repeats = 0;
  for (node n = 1; n <= 3; ++n) repeats += c[n].snapshot().repeats;
  MESSAGE(repeats, " of ", threads * each, " were sent again");
}

TEST_CASE("raft_elector: who watches sees every change once, in order, wherever it was made") {
  raft_cluster c(3);
  c.start_all();
  const node l = c.leader(), f = c.follower();
  std::mutex mutex;
  std::vector<std::string> seen;
  auto watch = c[f].watch("w/", 1, [&](const map_changes& some) {
    const std::lock_guard<std::mutex> lock(mutex);
    CHECK_FALSE(some.too_far_behind);
    for (const map_change& x : some.changes) seen.push_back(x.key + "=" + x.value.value_or("-"));
  });
  REQUIRE(watch.ok());
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "w/" + std::to_string(i % 7), value = std::to_string(i);
    REQUIRE(c[i % 2 == 0 ? l : f].put(key, value, in_time()).ok());
    REQUIRE(c[l].put("other", value, in_time()).ok());
    expected.push_back(key + "=" + value);
  }
  REQUIRE(c[l].erase("w/3", in_time()).ok());
  expected.push_back("w/3=-");
  CHECK(eventually([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return seen.size() >= expected.size();
  }));
  watch->end();
  REQUIRE(c[l].put("w/0", "unseen", in_time()).ok());
  const std::lock_guard<std::mutex> lock(mutex);
  CHECK(seen == expected);
}

TEST_CASE("raft_elector: a watch that fell behind is told so, and goes on") {
  raft_cluster c(1, [](raft_elector_options& o) {
    o.history.max_changes = 5;
    o.max_watches = 1;
  });
  c.start(1);
  c.leader();
  for (int i = 0; i < 20; ++i) REQUIRE(c[1].put("k", std::to_string(i), in_time()).ok());
  std::atomic<int> behind{0}, changes{0};
  std::atomic<std::uint64_t> from{0};
  auto watch = c[1].watch("", 1, [&](const map_changes& some) {
    if (some.too_far_behind) {
      ++behind;
      from = some.next;
    }
    changes += static_cast<int>(some.changes.size());
  });
  REQUIRE(watch.ok());
  CHECK(c[1].watch("", 1, [](const map_changes&) {}).status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(eventually([&] { return behind == 1; }));
  CHECK(from == (*c[1].get("k", in_time()))->revision + 1);
  REQUIRE(c[1].put("k", "new", in_time()).ok());
  CHECK(eventually([&] { return changes == 1; }));
  CHECK(behind == 1);
}

TEST_CASE("raft_elector: who is destroyed answers all that is under way") {
  for (const bool alone : {false, true}) {
    CAPTURE(alone);
    raft_cluster c(3);
    c.start_all();
    const node l = c.leader();
    std::atomic<int> told{0};
    for (node n = 1; alone && n <= 3; ++n) {
      if (n != l) c.network().cut_off(n);
    }
    std::vector<std::thread> waiting;
    for (int i = 0; i < 4; ++i) {
      waiting.emplace_back([&] {
        (void)c[l].put("k", "v", in_time());
        ++told;
      });
    }
    for (int i = 0; i < 50; ++i) {
      c[l].async_put("k", std::to_string(i), in_time(), [&](absl::StatusOr<map_answer>) { ++told; });
      c[l].async_get("k", in_time(), map_consistency::linearisable,
                     [&](absl::StatusOr<std::optional<map_entry>>) { ++told; });
    }
    CHECK(eventually([&] { return alone ? c[l].snapshot().requests >= 104 : told >= 10; }));
    if (!alone) {
      for (std::thread& t : waiting) t.join();
      waiting.clear();
    }
    c.stop(l);
    for (std::thread& t : waiting) t.join();
    CHECK(told == 104);
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
  CHECK(c[l].snapshot().snapshots >= 3);
  CHECK(c[l].snapshot().last - c[l].snapshot().base <= 60);
  c.start(f);
  CHECK(eventually([&] { return c[f].snapshot().restores >= 1; }));
  CHECK(eventually(
      [&] { return (*c[f].list("", in_time(), {}, map_consistency::local)).entries.size() == 10; }));
  // And from its own disk.
  c.stop(f);
  c.start(f);
  CHECK((*c[f].list("", in_time(), {}, map_consistency::local)).entries.size() == 10);
  const auto got = c[f].get("k9", in_time());
  REQUIRE(got.ok());
  CHECK((*got)->value == "199");
}

TEST_CASE("raft_elector: a member is added as a learner, becomes a voter, and another one leaves") {
  raft_cluster c(4, [](raft_elector_options& o) { o.founders = {1, 2, 3}; });
  c.start_all();
  REQUIRE(c[c.leader()].put("k", "v", in_time()).ok());
  CHECK(c[4].snapshot().part == raft::role::learner);
  // A change is refused while the leader is new or changes already, and by whoever does not lead.
  const auto change = [&](raft::membership to) {
    return eventually([&] {
      const auto l = c.leading();
      return l && c[*l].change_members(to, in_time()).ok();
    });
  };
  CHECK(c[c.follower()].change_members({.voters = {1, 2, 3}, .learners = {4}}, in_time()).status().code() ==
        absl::StatusCode::kFailedPrecondition);
  CHECK(change({.voters = {1, 2, 3}, .learners = {4}}));
  CHECK(eventually([&] { return (*c[4].get("k", in_time(), map_consistency::local)).has_value(); }));
  CHECK(change({.voters = {1, 2, 3, 4}, .learners = {}}));
  const node l = c.leader();
  CHECK(c[l].change_members({.voters = {l}, .learners = {}}, in_time()).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(c[l].change_members({.voters = {1, 2, 3, 4, 9}, .learners = {}}, in_time()).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const node leaves = l == 1 ? 2 : 1;
  raft::membership without{.voters = {}, .learners = {}};
  for (node n = 1; n <= 4; ++n) {
    if (n != leaves) without.voters.push_back(n);
  }
  CHECK(change(without));
  c.stop(leaves);
  c[c.leader()].transfer_to("d");
  CHECK(eventually([&] { return c.leading() == 4; }));
  CHECK(c[4].put("k", "w", in_time()).ok());
}

TEST_CASE("raft_elector: a disk that stalls costs the lease, and another one leads") {
  moody_files files;
  raft_cluster c(3, [&](raft_elector_options& o) {
    o.raft.disk_limit = 300ms;
    if (o.self == 1) o.log.files = &files;
  });
  c.start_all();
  c.leader();
  if (c.leader() != 1) c[c.leader()].transfer_to("a");
  REQUIRE(eventually([&] { return c.leading() == 1; }));
  const leadership led = *c[1].current();
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
  c.leader();
  if (c.leader() != 1) c[c.leader()].transfer_to("a");
  REQUIRE(eventually([&] { return c.leading() == 1; }));
  files.fail();
  const auto a = c[1].put("k", "v", in_time());
  CHECK(a.status().code() == absl::StatusCode::kUnavailable);
  CHECK(eventually([&] { return c[1].snapshot().halted; }));
  CHECK(c[1].snapshot().halted_by.find("the disk is gone") != std::string::npos);
  CHECK(c[1].put("k", "v", in_time()).status().code() == absl::StatusCode::kUnavailable);
  CHECK_FALSE(c[1].current());
  CHECK(eventually([&] { return c.leading() && c.leading() != 1; }));
  CHECK(c[c.leader()].put("k", "w", in_time()).ok());
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
