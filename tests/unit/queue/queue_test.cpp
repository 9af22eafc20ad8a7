// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "seawall/queue/backpressure_queue.hpp"
#include "unit/queue/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace queue_test;

TEST_CASE("queue: a refused item was not moved from, whatever the reason") {
  using item = std::unique_ptr<int>;
  queue_hooks<item> hooks;
  hooks.bytes = [](const item& i) { return static_cast<std::uint64_t>(*i); };
  hooks.dropped = [](item&&, queue_drop) { FAIL("nothing was accepted"); };
  backpressure_queue<item> q({.max_items = 2, .max_bytes = 100, .when_full = queue_full::reject}, hooks);
  auto large = std::make_unique<int>(101);
  CHECK(q.try_push(std::move(large)).why() == queue_answer::too_large);
  CHECK(*large == 101);

  auto late = std::make_unique<int>(1);
  CHECK(q.try_push(std::move(late), {.deadline = at(5ms)}, at(5ms)).why() == queue_answer::expired);
  CHECK(*late == 1);

  CHECK(q.try_push(std::make_unique<int>(60)));
  auto second = std::make_unique<int>(41);
  CHECK(q.try_push(std::move(second)).why() == queue_answer::full);
  CHECK(*second == 41);
  *second = 40;
  CHECK(q.try_push(std::move(second)));
  CHECK(second == nullptr);
  CHECK(q.snapshot().bytes == 100);

  q.close();
  auto after = std::make_unique<int>(7);
  CHECK(q.try_push(std::move(after)).why() == queue_answer::closed);
  CHECK(*after == 7);
  CHECK(q.snapshot().refused == 4);
  CHECK(**q.pop() == 60);
  CHECK(**q.pop() == 40);
}

TEST_CASE("queue: when full: oldest, newest and lowest make room, and the handler gets them") {
  struct row {
    queue_full when_full;
    int priority;       // of the one that comes last
    queue_answer said;  // to it
    std::string left, dropped;
  };
  const std::vector<row> rows = {
      {queue_full::reject, 9, queue_answer::full, "abc", ""},
      {queue_full::wait, 9, queue_answer::full, "abc", ""},
      {queue_full::drop_oldest, -9, queue_answer::done, "bcd", "a"},
      {queue_full::drop_newest, -9, queue_answer::done, "abd", "c"},
      {queue_full::drop_lowest, 1, queue_answer::full, "abc", ""},
      {queue_full::drop_lowest, 2, queue_answer::done, "abd", "c"},  // b and c have priority 1; c is newer
  };
  for (const row& r : rows) {
    CAPTURE(static_cast<int>(r.when_full));
    recorded<char> log;
    backpressure_queue<char> q({.max_items = 3, .when_full = r.when_full, .order = queue_order::fifo},
                               log.hooks());
    CHECK(q.try_push('a', {.priority = 2}));
    CHECK(q.try_push('b', {.priority = 1}));
    CHECK(q.try_push('c', {.priority = 1}));
    CHECK(q.try_push('d', {.priority = r.priority}).why() == r.said);
    CHECK(all(q) == r.left);
    CHECK(log.items() == r.dropped);
    CHECK(q.snapshot().evicted == r.dropped.size());
  }
}

TEST_CASE("queue: a large item that even all the weaker ones cannot make room for drops none of them") {
  recorded<std::string> log;
  auto hooks = log.hooks();
  hooks.bytes = [](const std::string& s) { return std::uint64_t{s.size()}; };
  backpressure_queue<std::string> q(
      {.max_bytes = 10, .when_full = queue_full::drop_lowest, .order = queue_order::fifo}, hooks);
  CHECK(q.try_push("aaaa", {.priority = 5}));
  CHECK(q.try_push("bbb", {.priority = 1}));
  CHECK(q.try_push("cc", {.priority = 1}));
  CHECK(q.try_push("ddddddd", {.priority = 3}).why() == queue_answer::full);  // 7 and 4 are more than 10
  CHECK(log.what.empty());
  CHECK(q.try_push("eeeeee", {.priority = 3}));
  REQUIRE(log.what.size() == 2);
  CHECK(log.what[0].first == "cc");
  CHECK(log.what[1].first == "bbb");
  CHECK(*q.try_pop() == "aaaa");
  CHECK(*q.try_pop() == "eeeeee");
}

TEST_CASE("queue: orders") {
  struct row {
    queue_order order;
    std::string out;
  };
  const std::vector<row> rows = {
      {queue_order::fifo, "abcde"},
      {queue_order::lifo, "edcba"},
      {queue_order::adaptive_lifo, "abcde"},
      {queue_order::priority, "bdace"},           // aging is far away
      {queue_order::earliest_deadline, "ecdab"},  // a and b have none: in the order of arrival
      {queue_order::fair, "acbde"},               // keys x, x, y, x, x
  };
  for (const row& r : rows) {
    CAPTURE(static_cast<int>(r.order));
    recorded<char> log;
    backpressure_queue<char> q({.order = r.order, .aging = 1h}, log.hooks());
    CHECK(q.try_push('a', {.priority = 1, .key = "x"}, at(0ms)));
    CHECK(q.try_push('b', {.priority = 2, .key = "x"}, at(1ms)));
    CHECK(q.try_push('c', {.priority = 1, .deadline = at(20s), .key = "y"}, at(2ms)));
    CHECK(q.try_push('d', {.priority = 2, .deadline = at(30s), .key = "x"}, at(3ms)));
    CHECK(q.try_push('e', {.priority = 0, .deadline = at(10s), .key = "x"}, at(4ms)));
    CHECK(all(q, at(5ms)) == r.out);
  }
}

TEST_CASE("queue: aging: what has waited long enough goes before what is more important") {
  recorded<char> log;
  backpressure_queue<char> q({.order = queue_order::priority, .aging = 10ms}, log.hooks());
  CHECK(q.try_push('a', {.priority = 0}, at(0ms)));
  CHECK(q.try_push('b', {.priority = 3}, at(29ms)));
  CHECK(q.try_push('c', {.priority = 3}, at(30ms)));  // three steps are 30 ms: level with a, which came first
  CHECK(q.try_push('d', {.priority = 3}, at(31ms)));
  CHECK(all(q, at(31ms)) == "bacd");
}

TEST_CASE("queue: adaptive lifo: newest first while the oldest has used up its patience, and no longer") {
  recorded<char> log;
  backpressure_queue<char> q({.patience_share = 0.5}, log.hooks());
  const auto push = [&](char c, instant now) { CHECK(q.try_push(char(c), {.deadline = now + 100ms}, now)); };
  push('a', at(0ms));
  push('b', at(10ms));
  push('c', at(20ms));
  push('d', at(40ms));
  CHECK(*q.try_pop(at(49ms)) == 'a');
  CHECK(*q.try_pop(at(60ms)) == 'd');  // b has waited for 50 of its 100 ms
  CHECK(*q.try_pop(at(60ms)) == 'c');
  push('e', at(61ms));
  CHECK(*q.try_pop(at(110ms)) == 'e');  // b is gone; e has used 49
  CHECK(log.items() == "b");
  CHECK(log.what[0].second == queue_drop::expired);
}

TEST_CASE("queue: expiry: not before the deadline less the service time, and not after it") {
  recorded<char> log;
  backpressure_queue<char> q({.order = queue_order::fifo, .service_time = 5ms}, log.hooks());
  CHECK(q.try_push('a', {.deadline = at(100ms)}, at(0ms)));
  CHECK(q.try_push('b', {}, at(0ms)));
  CHECK(q.try_push('c', {.deadline = at(50ms)}, at(0ms)));
  CHECK(q.try_push('d', {.deadline = at(54ms)}, at(50ms)).why() == queue_answer::expired);
  CHECK(log.items() == "c");
  q.tick(at(95ms) - 1ns);
  CHECK(log.items() == "c");
  q.tick(at(95ms));
  CHECK(log.items() == "ca");
  CHECK(*q.try_pop(at(200ms)) == 'b');
  CHECK(q.snapshot().expired == 2);
}

TEST_CASE("queue: expired items make room before others have to") {
  recorded<char> log;
  backpressure_queue<char> q(
      {.max_items = 2, .when_full = queue_full::drop_oldest, .order = queue_order::fifo}, log.hooks());
  CHECK(q.try_push('a', {}, at(0ms)));
  CHECK(q.try_push('b', {.deadline = at(10ms)}, at(0ms)));
  CHECK(q.try_push('c', {}, at(10ms)));
  CHECK(log.items() == "b");
  CHECK(all(q, at(10ms)) == "ac");
}

TEST_CASE("queue: CoDel gives what it drops to the handler") {
  recorded<int> log;
  backpressure_queue<int> q({.order = queue_order::fifo, .codel = {.on = true}}, log.hooks());
  int next = 0, taken = 0;
  // Four come each millisecond, one is taken.
  for (auto t = 0ms; t < 300ms; t += 1ms) {
    for (int i = 0; i < 4; ++i) CHECK(q.try_push(next++, {}, at(t)));
    if (q.try_pop(at(t))) ++taken;
  }
  const auto s = q.snapshot(at(300ms));
  CHECK(s.overloaded);
  CHECK(s.dropped_by_codel == log.what.size());
  CHECK(s.dropped_by_codel > 0);
  CHECK(s.pushed == s.popped + s.dropped_by_codel + s.items);
  CHECK(s.popped == static_cast<unsigned>(taken));
}

TEST_CASE("queue: who would have made room for a newcomer that was refused has not lost his turn") {
  recorded<char> log;
  auto hooks = log.hooks();
  hooks.bytes = [](const char& item) { return std::uint64_t{item == 'd' ? 60U : 50U}; };
  backpressure_queue<char> q(
      {.max_bytes = 100, .when_full = queue_full::drop_lowest, .order = queue_order::fair, .expire = false},
      hooks);
  CHECK(q.try_push('a', {.priority = 0, .key = "alice"}));
  CHECK(q.try_push('b', {.priority = 5, .key = "bob"}));
  // Alice alone would not be enough, and Bob is more than he.
  CHECK(q.try_push('d', {.priority = 1, .key = "dan"}).why() == queue_answer::full);
  CHECK(log.what.empty());
  CHECK(all(q) == "ab");
}

TEST_CASE("queue: fair: a key that floods the queue gets its turn and no more") {
  backpressure_queue<char> q({.order = queue_order::fair, .expire = false});
  for (int i = 0; i < 6; ++i) CHECK(q.try_push('f', {.key = "flood"}));
  CHECK(q.try_push('a', {.key = "alice"}));
  CHECK(q.try_push('b', {.key = "bob"}));
  CHECK(q.try_push('a', {.key = "alice"}));
  CHECK(all(q) == "fabfaffff");
}

TEST_CASE("queue: fair with a quantum: turns are of bytes, and the debt of a large item is paid") {
  queue_hooks<std::string> hooks;
  hooks.bytes = [](const std::string& s) { return std::uint64_t{s.size()}; };
  backpressure_queue<std::string> q({.order = queue_order::fair, .expire = false, .quantum = 1024}, hooks);
  for (int i = 0; i < 3; ++i) CHECK(q.try_push(std::string(3072, 'L'), {.key = "large"}));
  for (int i = 0; i < 9; ++i) CHECK(q.try_push(std::string(1024, 's'), {.key = "small"}));
  std::string out;
  while (auto p = q.try_pop()) out += (*p)[0];
  CHECK(out == "LsssLsssLsss");
}

TEST_CASE("queue: fair with a quantum: an item of any size is paid for in no time") {
  queue_hooks<int> hooks;
  hooks.bytes = [](const int& i) { return i == 0 ? UINT64_MAX / 4 : std::uint64_t{1024}; };
  backpressure_queue<int> q({.order = queue_order::fair, .expire = false, .quantum = 1024}, hooks);
  CHECK(q.try_push(0, {.key = "a"}));
  CHECK(q.try_push(0, {.key = "b"}));
  for (int i = 1; i <= 2; ++i) {
    CHECK(q.try_push(int(i), {.key = "a"}));
    CHECK(q.try_push(int(i), {.key = "b"}));
  }
  std::vector<int> out;
  CHECK(q.try_pop_batch(out, 10).items == 6);
  CHECK(out == std::vector{0, 0, 1, 1, 2, 2});
}

TEST_CASE("queue: close: nothing more is accepted, what is left is taken, then consumers hear it") {
  backpressure_queue<int> q(plain());
  CHECK(q.try_pop().why() == queue_answer::empty);
  CHECK(q.try_push(1));
  CHECK(q.try_push(2));
  q.close();
  q.close();
  CHECK(q.try_push(3).why() == queue_answer::closed);
  CHECK(*q.try_pop() == 1);
  std::vector<int> rest;
  CHECK(q.pop_batch(rest, 10).items == 1);
  CHECK(rest == std::vector{2});
  CHECK(q.pop().why() == queue_answer::closed);
  CHECK(q.pop_batch(rest, 10).why == queue_answer::closed);
  CHECK(q.drain() == 0);
  CHECK(q.snapshot().closed);
}

TEST_CASE("queue: what is left when it is destroyed goes to the handler") {
  recorded<char> log;
  {
    backpressure_queue<char> q({.order = queue_order::fifo}, log.hooks());
    CHECK(q.try_push('a'));
    CHECK(q.try_push('b'));
  }
  CHECK(log.items() == "ab");
  CHECK(log.what[1].second == queue_drop::abandoned);
}

TEST_CASE("queue: batch: at most as many as asked for, in order; the rest stays") {
  backpressure_queue<int> q(plain());
  for (int i = 0; i < 5; ++i) CHECK(q.try_push(int(i)));
  std::vector<int> out;
  CHECK(q.try_pop_batch(out, 0).items == 0);
  CHECK(q.pop_batch(out, 0).items == 0);
  CHECK(q.try_pop_batch(out, 3).items == 3);
  CHECK(q.try_pop_batch(out, 3).items == 2);
  CHECK(out == std::vector{0, 1, 2, 3, 4});
  CHECK(q.try_pop_batch(out, 3).why == queue_answer::empty);
}

TEST_CASE("queue: watermarks are told when they are passed, and not again before the other was") {
  std::vector<queue_level> told;
  std::vector<std::string> events;
  listening listener([&](const event::state_changed& e) {
    events.push_back(std::string(e.policy) + " " + std::string(e.name) + ": " + std::string(e.to));
  });
  queue_hooks<int> hooks;
  backpressure_queue<int>* self = nullptr;
  hooks.level = [&](queue_level l) {
    CHECK(self->snapshot().level == l);  // may call back
    told.push_back(l);
  };
  auto o = plain();
  o.name = "jobs";
  o.max_items = 10;
  o.high_watermark = 0.8;
  o.low_watermark = 0.3;
  o.events = &listener;
  backpressure_queue<int> q(o, hooks);
  self = &q;
  const auto push = [&](int n) {
    while (n-- > 0) CHECK(q.try_push(1));
  };
  const auto pop = [&](int n) {
    while (n-- > 0) CHECK(q.try_pop());
  };
  push(7);
  CHECK(told.empty());
  push(1);
  CHECK(told == std::vector{queue_level::high});
  push(2);
  pop(6);
  CHECK(told.size() == 1);
  pop(1);
  CHECK(told == std::vector{queue_level::high, queue_level::low});
  push(5);
  CHECK(told.size() == 3);
  CHECK(events == std::vector<std::string>{"backpressure_queue jobs: high", "backpressure_queue jobs: low",
                                           "backpressure_queue jobs: high"});
}

TEST_CASE("queue: a level callback that empties the queue: the last level told is the one that holds") {
  std::vector<queue_level> told;
  queue_hooks<int> hooks;
  backpressure_queue<int>* self = nullptr;
  hooks.level = [&](queue_level l) {
    told.push_back(l);
    if (l == queue_level::high) {
      while (self->try_pop()) {
      }
      CHECK(told.size() == 1);  // not from inside: one at a time
    }
  };
  auto o = plain();
  o.max_items = 4;
  o.high_watermark = 1;
  backpressure_queue<int> q(o, hooks);
  self = &q;
  for (int i = 0; i < 4; ++i) CHECK(q.try_push(1));
  CHECK(told == std::vector{queue_level::high, queue_level::low});
}

TEST_CASE(
    "queue: watermarks: a callback that looks into the queue is not called for ever, whatever the bound") {
  int told = 0;
  queue_hooks<int> hooks;
  backpressure_queue<int>* self = nullptr;
  hooks.level = [&](queue_level) {
    if (++told < 10) self->tick(at(0ms));
  };
  auto o = plain();
  o.max_items = 1;
  o.high_watermark = 1;
  o.low_watermark = 0.5;
  backpressure_queue<int> q(o, hooks);
  self = &q;
  CHECK(q.try_push(1));
  CHECK(told == 1);
}

TEST_CASE("queue: reconfigure keeps what is queued, also where it is more than the new bound") {
  recorded<char> log;
  auto o = plain();
  o.order = queue_order::priority;
  backpressure_queue<char> q(o, log.hooks());
  CHECK(q.try_push('a', {.priority = 1}, at(0ms)));
  CHECK(q.try_push('b', {.priority = 2, .deadline = at(90ms)}, at(0ms)));
  CHECK(q.try_push('c', {.priority = 3}, at(0ms)));
  o.max_items = 2;
  o.expire = true;
  o.when_full = queue_full::drop_lowest;
  CHECK_FALSE(q.reconfigure(o, at(1ms)));
  CHECK(log.what.empty());
  CHECK(q.snapshot().items == 3);
  q.tick(at(90ms));  // expiry holds for those that were there before it
  CHECK(log.items() == "b");
  CHECK(q.try_push('d', {.priority = 2}, at(90ms)));
  CHECK(log.items() == "ba");
  CHECK(all(q, at(91ms)) == "cd");
}

TEST_CASE("queue: reconfigure: items that came while nobody read the clock are not taken for old ones") {
  recorded<char> log;
  auto o = plain();
  backpressure_queue<char> q(o, log.hooks());
  CHECK(q.try_push('a'));
  o.codel.on = true;
  CHECK_FALSE(q.reconfigure(o, at(1h)));
  CHECK(q.snapshot(at(1h) + 3ms).oldest == 3ms);
}

TEST_CASE("queue: reconfigure: nor where others have had it read since") {
  recorded<char> log;
  backpressure_queue_options o{.order = queue_order::fifo};
  backpressure_queue<char> q(o, log.hooks());
  q.tick(at(0ms));
  CHECK(q.try_push('a'));
  CHECK(q.try_push('b', {.deadline = at(2h)}, at(1h)));
  o.codel.on = true;
  CHECK_FALSE(q.reconfigure(o, at(1h)));
  CHECK(q.snapshot(at(1h) + 3ms).oldest == 3ms);
}

TEST_CASE("queue: reconfigure: expiry holds at the next pop for what was there before it") {
  recorded<char> log;
  auto o = plain();
  backpressure_queue<char> q(o, log.hooks());
  CHECK(q.try_push('a', {.deadline = at(10ms)}, at(0ms)));
  CHECK(q.try_push('b'));
  o.expire = true;
  CHECK_FALSE(q.reconfigure(o, at(1ms)));
  CHECK(all(q, at(10ms)) == "b");
  CHECK(log.items() == "a");
}

namespace {

/// Takes so many, and throws at the next.
template <class T>
struct narrow {
  void push_back(T&& item) {
    if (taken.size() == room) throw std::length_error("full");
    taken.push_back(std::move(item));
  }
  std::size_t room;
  std::vector<T> taken = {};
};

std::vector<int> all_of(backpressure_queue<int>& q) {
  std::vector<int> out;
  while (auto p = q.try_pop()) out.push_back(*p);
  return out;
}
std::vector<int> counted(int from, int to) {
  std::vector<int> out;
  for (int i = from; i < to; ++i) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("queue: batches of a plain queue: in order, whole chunks and parts of them") {
  for (const std::size_t max : {1U, 2U, 63U, 64U, 65U, 100U, 1000U}) {
    CAPTURE(max);
    backpressure_queue<int> q(plain());
    std::vector<int> out;
    for (int i = 0; i < 300; ++i) {
      CHECK(q.try_push(int{i}));
      if (i % 7 == 0) out.push_back(*q.try_pop());
    }
    while (const auto r = q.try_pop_batch(out, max)) CHECK(r.items <= max);
    CHECK(out == counted(0, 300));
    CHECK(q.snapshot().popped == 300);
    CHECK(q.snapshot().items == 0);
  }
}

TEST_CASE(
    "queue: what a batch's container has no room for is where it was, also if others have taken since") {
  backpressure_queue<int> q(plain());
  for (int i = 0; i < 200; ++i) CHECK(q.try_push(int{i}));
  narrow<int> first{.room = 10};
  CHECK_THROWS_AS(q.try_pop_batch(first, 150), std::length_error);
  CHECK(q.snapshot().items == 190);
  CHECK(q.snapshot().popped == 10);
  // One that throws while another one, that came later, has what is behind.
  struct nested {
    void push_back(int&&) {
      if (++calls < 3) return;
      CHECK_THROWS_AS(of.try_pop_batch(inner, 100), std::length_error);
      throw std::length_error("full");
    }
    backpressure_queue<int>& of;
    narrow<int> inner{.room = 1};
    int calls = 0;
  } second{.of = q};
  CHECK_THROWS_AS(q.try_pop_batch(second, 20), std::length_error);
  CHECK(second.inner.taken == std::vector<int>{30});
  std::vector<int> left = counted(12, 30), rest = counted(31, 200);
  left.insert(left.end(), rest.begin(), rest.end());
  // The third was being moved when its container threw.
  CHECK(all_of(q) == left);
}

TEST_CASE("queue: reconfigure: plain or not, and back: order, sizes and deadlines stay") {
  recorded<int> log;
  auto hooks = log.hooks();
  hooks.bytes = [](const int&) { return std::uint64_t{2}; };
  auto o = plain();
  backpressure_queue<int> q(o, hooks);
  for (int i = 0; i < 100; ++i) CHECK(q.try_push(int{i}, {.deadline = at(i == 50 ? 5ms : 1h)}, at(0ms)));
  CHECK(*q.try_pop() == 0);
  auto timed = o;
  timed.expire = true;
  CHECK_FALSE(q.reconfigure(timed, at(1ms)));
  CHECK(q.snapshot().items == 99);
  CHECK(q.snapshot().bytes == 198);
  CHECK(q.try_push(100, {}, at(2ms)));
  CHECK_FALSE(q.reconfigure(o, at(3ms)));
  CHECK(q.snapshot().bytes == 200);
  CHECK(q.try_push(101));
  CHECK(*q.try_pop() == 1);
  CHECK_FALSE(q.reconfigure(timed, at(4ms)));
  q.tick(at(5ms));
  REQUIRE(log.what.size() == 1);
  CHECK(log.what[0].first == 50);
  CHECK_FALSE(q.reconfigure(o, at(6ms)));
  std::vector<int> left = counted(2, 50), rest = counted(51, 102);
  left.insert(left.end(), rest.begin(), rest.end());
  CHECK(all_of(q) == left);
  CHECK(q.snapshot().bytes == 0);
}

TEST_CASE("queue: reconfigured while a batch is on its way: what comes back obeys the new options") {
  recorded<int> log;
  auto o = plain();
  backpressure_queue<int> q(o, log.hooks());
  for (int i = 0; i < 6; ++i) CHECK(q.try_push(int{i}, {.deadline = at(i == 4 ? 5ms : 1h)}, at(0ms)));
  struct meddling {
    void push_back(int&&) {
      if (++calls < 2) return;
      auto timed = plain();
      timed.expire = true;
      CHECK_FALSE(of.reconfigure(timed, at(1ms)));
      throw std::length_error("full");
    }
    backpressure_queue<int>& of;
    int calls = 0;
  } out{.of = q};
  CHECK_THROWS_AS(q.try_pop_batch(out, 6), std::length_error);
  CHECK(q.snapshot().items == 5);
  CHECK(*q.try_pop(at(5ms)) == 1);
  REQUIRE(log.what.size() == 1);
  CHECK(log.what[0].first == 4);
  CHECK(*q.try_pop(at(5ms)) == 2);
}

TEST_CASE("queue: a plain one that is destroyed hands over what is left") {
  recorded<int> log;
  {
    backpressure_queue<int> q(plain(), log.hooks());
    for (int i = 0; i < 130; ++i) CHECK(q.try_push(int{i}));
    CHECK(*q.try_pop() == 0);
  }
  REQUIRE(log.what.size() == 129);
  CHECK(log.what.front() == std::pair(1, queue_drop::abandoned));
  CHECK(log.what.back() == std::pair(129, queue_drop::abandoned));
}

TEST_CASE("queue: reconfigure refuses what cannot be changed, and changes nothing") {
  backpressure_queue<char> q(plain());
  auto o = plain();
  o.order = queue_order::lifo;
  CHECK(q.reconfigure(o)->text("backpressure_queue") ==
        "backpressure_queue: order is 1; cannot be changed: 0");
  o = plain();
  o.turns = 5;
  CHECK(q.reconfigure(o)->field == "turns");
  o = plain();
  o.expire = true;
  o.max_items = 1;
  CHECK(q.reconfigure(o)->field == "dropped");
  CHECK(q.try_push('a'));
  CHECK(q.try_push('b'));
}
