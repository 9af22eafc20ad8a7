// SPDX-License-Identifier: Apache-2.0
// Shares that are guaranteed, lent, and called back.
#include <string>
#include <string_view>
#include <vector>

#include "seawall/bulkhead.hpp"
#include "support/hand_driven_bulkhead.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

// Four permits, two of them "web"'s, one "batch"'s.
bulkhead_options four(std::uint32_t max_waiting = 0) {
  return {.name = "subject",
          .max_concurrent = 4,
          .max_waiting = max_waiting,
          .max_wait = 10s,
          .partitions = {{"web", 2}, {"batch", 1}},
          .partition_of = [](const call& c) noexcept { return c.key(); },
          .recall_for = 1s};
}

struct partitioned : hand_driven_bulkhead {
  using hand_driven_bulkhead::hand_driven_bulkhead;
  permit acquire(std::string_view who, std::uint32_t weight = 1) {
    return bulkhead.try_acquire(now, {.weight = weight, .partition = who});
  }
  std::vector<permit> acquire_all(std::string_view who) {
    std::vector<permit> all;
    while (auto p = acquire(who)) all.push_back(std::move(p));
    return all;
  }
};

}  // namespace

TEST_CASE("bulkhead: what a partition does not use is lent, all of it") {
  partitioned b(four());
  CHECK(b.acquire_all("batch").size() == 4);
  CHECK(b.acquire_all("web").size() == 4);
  CHECK(b.acquire_all("nobody knows").size() == 4);
  CHECK(b.acquire_all("").size() == 4);
  CHECK(b.seen().in_use == 0);
}

TEST_CASE(
    "bulkhead: a partition that was refused its share gets the next permits that come back, and others do not") {
  partitioned b(four());
  auto lent = b.acquire_all("batch");
  CHECK_FALSE(b.acquire("web"));
  CHECK(b.seen().partitions[0].recalled);
  lent.pop_back();
  CHECK_FALSE(b.acquire("batch"));  // kept for web
  CHECK_FALSE(b.acquire(""));
  auto one = b.acquire("web");
  CHECK(one);
  lent.pop_back();
  CHECK_FALSE(b.acquire("batch"));
  CHECK(b.acquire("web"));
  lent.pop_back();
  // Web has two to expect, one of which is in use: the second one that came back is free, and the first is not.
  CHECK(b.acquire("batch"));
}

TEST_CASE("bulkhead: a share that was called back and is not asked for any more is lent again") {
  partitioned b(four());
  auto lent = b.acquire_all("batch");
  CHECK_FALSE(b.acquire("web"));
  lent.pop_back();
  b.pass(1s - 1ns);
  CHECK_FALSE(b.acquire("batch"));
  b.pass(1ns);
  CHECK_FALSE(b.seen().partitions[0].recalled);
  CHECK(b.acquire("batch"));
}

TEST_CASE("bulkhead: who asks for more than his share calls nothing back") {
  partitioned b(four());
  auto own = b.acquire_all("batch");
  CHECK_FALSE(b.acquire("batch"));
  CHECK_FALSE(b.seen().partitions[1].recalled);
  own.pop_back();
  CHECK(b.acquire("web"));
}

TEST_CASE(
    "bulkhead: a partition is never kept waiting for longer than one borrowed call, however many others wait") {
  partitioned b(four(10));
  auto lent = b.acquire_all("batch");
  std::vector<hand_driven_bulkhead::caller*> greedy;
  for (int i = 0; i < 5; ++i) greedy.push_back(&b.comes({.key = "batch"}));
  auto& web = b.comes({.key = "web"});
  CHECK(web.waits());
  lent.pop_back();
  b.let_all_look();
  CHECK(web.runs());
  for (auto* g : greedy) CHECK(g->waits());
}

TEST_CASE("bulkhead: those who wait for more than their share do not fill the list of others") {
  partitioned b(four(2));
  auto lent = b.acquire_all("batch");
  b.comes({.key = "batch"});
  b.comes({.key = "batch"});
  CHECK(b.comes({.key = "batch"}).why() == reason::queue_full);
  CHECK(b.comes({.key = "web"}).waits());
}

TEST_CASE(
    "bulkhead: a share that is kept for somebody who does not come back leaves nobody waiting for ever") {
  partitioned b(four(10));
  auto lent = b.acquire_all("batch");
  auto& waits = b.comes({.key = "batch"});
  CHECK(waits.frame->wake_at() == b.now + 10s);
  CHECK_FALSE(b.acquire("web"));
  CHECK(waits.poked());  // to hear when to look
  waits.look();
  CHECK(waits.frame->wake_at() == b.now + 1s);
  lent.pop_back();
  CHECK_FALSE(waits.poked());
  b.pass(1s);
  waits.look();
  CHECK(waits.runs());
}

TEST_CASE("bulkhead: among those within their shares, and among those beyond, the order decides") {
  partitioned b(four(10));
  auto lent = b.acquire_all("");
  auto& beyond = b.comes({.key = ""});
  auto& batch = b.comes({.key = "batch"});
  auto& web = b.comes({.key = "web"});
  lent.pop_back();
  b.let_all_look();
  CHECK(batch.runs());
  lent.pop_back();
  b.let_all_look();
  CHECK(web.runs());
  CHECK(beyond.waits());
}

TEST_CASE("bulkhead: weights count against a share") {
  partitioned b(four());
  auto lent = b.acquire("batch", 3);
  CHECK(lent);
  CHECK_FALSE(b.acquire("web", 2));
  CHECK_FALSE(b.acquire("batch", 1));
  lent.release();
  CHECK(b.acquire("web", 2));
  CHECK(b.acquire("web", 4));
  CHECK_FALSE(b.acquire("web", 5));
}

TEST_CASE("bulkhead: the snapshot tells each partition apart") {
  partitioned b(four(10));
  auto lent = b.acquire_all("batch");
  b.comes({.key = "web"});
  const auto seen = b.seen();
  REQUIRE(seen.partitions.size() == 3);
  CHECK(seen.partitions[0].name == "web");
  CHECK(seen.partitions[0].waiting == 1);
  CHECK(seen.partitions[0].recalled);
  CHECK(seen.partitions[1].name == "batch");
  CHECK(seen.partitions[1].in_use == 4);
  CHECK(seen.partitions[1].guaranteed == 1);
  CHECK(seen.partitions[2].name.empty());
  CHECK(seen.in_use == 4);
  CHECK(seen.waiting == 1);
}
