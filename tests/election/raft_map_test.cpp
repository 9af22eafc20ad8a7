// SPDX-License-Identifier: Apache-2.0
// The replicated map of a cluster, as its users see it.
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "election/raft_cluster.hpp"
#include "seawall/election/raft_elector.hpp"
#include "seawall/election/replicated_map.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using namespace seawall;
using node = raft_cluster::node;

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
  // Who does not lead asks who does; who does, by his lease, asks nobody.
  CHECK(eventually([&] {
    std::uint64_t forwarded = 0, lease_reads = 0;
    for (node n = 1; n <= 3; ++n) {
      REQUIRE(c[n].get("a", in_time(), map_consistency::lease).ok());
      forwarded += c[n].snapshot().forwarded;
      lease_reads += c[n].snapshot().lease_reads;
    }
    return forwarded > 0 && lease_reads > 0;
  }));
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
        // Nobody else writes it: a conflict is a write of ours that was done twice, or was said not to be
        // done.
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
  CHECK(from > (*c[1].get("k", in_time()))->revision);
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

}  // namespace
