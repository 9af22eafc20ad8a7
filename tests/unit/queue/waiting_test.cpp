// SPDX-License-Identifier: Apache-2.0
// Threads that wait. Nothing here depends on how fast they are: a thread is known to wait when the snapshot says so.

#include <atomic>
#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/queue/backpressure_queue.hpp"
#include "unit/queue/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace queue_test;

namespace {

template <class T>
void until_consumers_wait(const backpressure_queue<T>& q, std::size_t n) {
  while (q.snapshot().consumers_waiting != n) std::this_thread::yield();
}
template <class T>
void until_producers_wait(const backpressure_queue<T>& q, std::size_t n) {
  while (q.snapshot().producers_waiting != n) std::this_thread::yield();
}

}  // namespace

TEST_CASE("queue: a consumer that waits is woken by an item") {
  backpressure_queue<int> q(plain());
  std::optional<int> got;
  std::thread consumer([&] {
    if (auto p = q.pop()) got = *p;
  });
  until_consumers_wait(q, 1);
  CHECK(q.try_push(7));
  consumer.join();
  CHECK(got == 7);
}

TEST_CASE("queue: close wakes every consumer and every producer that waits, who keeps his item") {
  auto o = plain();
  o.max_items = 1;
  backpressure_queue<std::string> full(o), empty(o);
  CHECK(full.try_push("x"));
  std::atomic<int> closed{0}, kept{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 3; ++i) {
    all.emplace_back([&] {
      std::string mine = "mine";
      if (full.push(std::move(mine)).why() == queue_answer::closed) ++closed;
      if (mine == "mine") ++kept;
    });
    all.emplace_back([&] {
      if (empty.pop().why() == queue_answer::closed) ++closed;
    });
  }
  until_producers_wait(full, 3);
  until_consumers_wait(empty, 3);
  full.close();
  empty.close();
  for (auto& t : all) t.join();
  CHECK(closed == 6);
  CHECK(kept == 3);
  CHECK(*full.pop() == "x");
}

TEST_CASE("queue: a batch that makes room for several wakes several producers") {
  auto o = plain();
  o.max_items = 3;
  backpressure_queue<int> q(o);
  for (int i = 0; i < 3; ++i) CHECK(q.try_push(int(i)));
  std::vector<std::thread> producers;
  for (int i = 0; i < 3; ++i) producers.emplace_back([&, i] { CHECK(q.push(10 + i)); });
  until_producers_wait(q, 3);
  std::vector<int> out;
  CHECK(q.try_pop_batch(out, 3).items == 3);
  for (auto& t : producers) t.join();
  CHECK(q.snapshot().items == 3);
}

TEST_CASE("queue: items dropped make room for a producer that waits") {
  recorded<int> log;
  backpressure_queue<int> q({.max_items = 1, .order = queue_order::fifo}, log.hooks());
  const instant now = steady_clock::now();
  CHECK(q.try_push(1, {.deadline = now + 1h}, now));
  std::thread producer([&] { CHECK(q.push(2)); });
  until_producers_wait(q, 1);
  q.tick(now + 2h);
  producer.join();
  CHECK(*q.try_pop() == 2);
  CHECK(log.what.size() == 1);
}

TEST_CASE("queue: a deadline that has passed and a stop ends a wait, and the producer keeps his item") {
  auto o = plain();
  o.max_items = 1;
  backpressure_queue<std::string> q(o);
  const queue_wait past{.deadline = steady_clock::now()};
  std::stop_source stop;
  stop.request_stop();
  CHECK(q.pop(past).why() == queue_answer::timed_out);
  CHECK(q.pop({.stop = stop.get_token()}).why() == queue_answer::stopped);
  CHECK(q.try_push("x"));
  std::string mine = "mine";
  CHECK(q.push(std::move(mine), {}, past).why() == queue_answer::timed_out);
  CHECK(q.push(std::move(mine), {}, {.stop = stop.get_token()}).why() == queue_answer::stopped);
  CHECK(mine == "mine");
  CHECK(q.snapshot().producers_waiting == 0);
  CHECK(q.drain(past) == 1);
}

TEST_CASE("queue: a stop wakes one that waits already") {
  backpressure_queue<int> q(plain());
  std::stop_source stop;
  queue_answer said{};
  std::thread consumer([&] { said = q.pop({.stop = stop.get_token()}).why(); });
  until_consumers_wait(q, 1);
  stop.request_stop();
  consumer.join();
  CHECK(said == queue_answer::stopped);
  CHECK(q.snapshot().consumers_waiting == 0);
}

TEST_CASE("queue: no wake-up is lost with a consumer that leaves when it is woken") {
  // The first consumer is stopped at the moment at which it is woken for the item; the second one must get it.
  for (int round = 0; round < 300; ++round) {
    backpressure_queue<int> q(plain());
    std::stop_source stop;
    std::atomic<int> got{0};
    std::thread first([&] {
      if (q.pop({.stop = stop.get_token()})) ++got;
    });
    until_consumers_wait(q, 1);
    std::thread second([&] {
      if (q.pop()) ++got;
    });
    until_consumers_wait(q, 2);
    std::thread stopper([&] { stop.request_stop(); });
    CHECK(q.try_push(1));
    stopper.join();
    first.join();
    q.close();
    second.join();
    CHECK(got == 1);
  }
}

TEST_CASE("queue: drain waits until consumers have taken everything") {
  auto o = plain();
  backpressure_queue<int> q(o);
  for (int i = 0; i < 100; ++i) CHECK(q.try_push(int(i)));
  std::atomic<bool> drained{false};
  std::thread drainer([&] {
    CHECK(q.drain() == 0);
    drained = true;
  });
  while (!q.snapshot().closed) std::this_thread::yield();
  for (int i = 0; i < 99; ++i) CHECK(q.try_pop());
  CHECK_FALSE(drained);
  CHECK(q.try_pop());
  drainer.join();
  CHECK(drained);
}

TEST_CASE(
    "queue: a producer whose item is large is not passed over for ever by small ones that wait behind it") {
  auto o = plain();
  o.max_bytes = 10;
  queue_hooks<std::string> hooks;
  hooks.bytes = [](const std::string& s) { return std::uint64_t{s.size()}; };
  backpressure_queue<std::string> q(o, hooks);
  CHECK(q.try_push("aaaaa"));
  CHECK(q.try_push("bbbbb"));
  std::thread large([&] { CHECK(q.push("LLLLLLLL")); });
  until_producers_wait(q, 1);
  std::thread small([&] { CHECK(q.push("sss")); });
  until_producers_wait(q, 2);
  CHECK(*q.try_pop() == "aaaaa");
  CHECK(q.snapshot().producers_waiting == 2);  // five bytes free: the small one waits behind the large one
  CHECK(*q.try_pop() == "bbbbb");
  large.join();
  CHECK(*q.try_pop() == "LLLLLLLL");
  small.join();
  CHECK(*q.try_pop() == "sss");
}
