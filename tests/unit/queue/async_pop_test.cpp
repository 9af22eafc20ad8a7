// SPDX-License-Identifier: Apache-2.0
#include "seawall/queue/async_pop.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/exec/pool.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include "unit/queue/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace queue_test;
using seawall::testing::virtual_scheduler;
using seawall_test::coroutine;

namespace {

struct heard {
  std::optional<queue_answer> why;
  int item = 0;
  duration at;
};

coroutine consumer(backpressure_queue<int>& q, virtual_scheduler& on, heard& h, queue_wait wait = {}) {
  auto p = co_await async_pop(q, on, wait.deadline, wait.stop);
  h = {p.why(), p ? *p : 0, on.elapsed()};
}

}  // namespace

TEST_CASE("async_pop: takes what is there without waiting") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  CHECK(q.try_push(7));
  heard h;
  const coroutine c = consumer(q, loop, h);
  CHECK(h.why == queue_answer::done);
  CHECK(h.item == 7);
}

TEST_CASE("async_pop: goes on on its scheduler, not inside the push") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard first, second;
  const coroutine a = consumer(q, loop, first), b = consumer(q, loop, second);
  CHECK(q.snapshot().consumers_waiting == 2);
  CHECK(q.try_push(1));
  CHECK_FALSE(first.why);
  loop.run();
  CHECK(first.item == 1);
  CHECK_FALSE(second.why);
  CHECK(q.try_push(2));
  loop.run();
  CHECK(second.item == 2);
}

TEST_CASE("async_pop: one whose item was taken by another waits on, in the first place") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard first, second;
  const coroutine a = consumer(q, loop, first), b = consumer(q, loop, second);
  CHECK(q.try_push(1));
  CHECK(*q.try_pop() == 1);
  loop.run();
  CHECK_FALSE(first.why);
  CHECK(q.snapshot().consumers_waiting == 2);
  CHECK(q.try_push(2));
  loop.run();
  CHECK(first.item == 2);
  CHECK_FALSE(second.why);
}

TEST_CASE("async_pop: the deadline ends the wait on time, and leaves no timer behind otherwise") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard late, served;
  const coroutine b = consumer(q, loop, served, {.deadline = at(1h)});
  const coroutine a = consumer(q, loop, late, {.deadline = at(10ms)});
  CHECK(q.try_push(1));
  loop.run();
  CHECK(served.item == 1);
  CHECK(served.at == 0ms);
  CHECK(late.why == queue_answer::timed_out);
  CHECK(late.at == 10ms);
  CHECK(loop.elapsed() == 10ms);
  CHECK(q.snapshot().consumers_waiting == 0);
}

TEST_CASE("async_pop: stop ends the wait, before it begins and after") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  std::stop_source stop;
  heard after, before;
  const coroutine a = consumer(q, loop, after, {.deadline = at(1h), .stop = stop.get_token()});
  stop.request_stop();
  CHECK_FALSE(after.why);
  loop.run();
  CHECK(after.why == queue_answer::stopped);
  const coroutine b = consumer(q, loop, before, {.deadline = at(1h), .stop = stop.get_token()});
  CHECK(before.why == queue_answer::stopped);
  loop.run();
  CHECK(loop.elapsed() == 0ms);
}

TEST_CASE("async_pop: close is heard") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard h;
  const coroutine c = consumer(q, loop, h);
  q.close();
  loop.run();
  CHECK(h.why == queue_answer::closed);
}

TEST_CASE("async_pop: woken and stopped at once: the item is not left for nobody") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  std::stop_source stop;
  heard first, second;
  const coroutine a = consumer(q, loop, first, {.stop = stop.get_token()});
  const coroutine b = consumer(q, loop, second);
  CHECK(q.try_push(1));
  stop.request_stop();
  loop.run();
  CHECK((first.item == 1) != (second.item == 1));
}

TEST_CASE("async_pop: a scheduler that is gone takes no item with it: another consumer is told") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard lost, other;
  {
    auto gone = std::make_unique<virtual_scheduler>();
    const coroutine a = consumer(q, *gone, lost);
    const coroutine b = consumer(q, loop, other);
    CHECK(q.try_push(1));
    gone.reset();
    loop.run();
    CHECK_FALSE(lost.why);
    CHECK(other.item == 1);
  }
}

TEST_CASE("async_pop: a coroutine that is destroyed while it waits leaves the queue and its timer") {
  virtual_scheduler loop;
  backpressure_queue<int> q(plain());
  heard h;
  {
    const coroutine a = consumer(q, loop, h, {.deadline = at(10ms)});
    CHECK(q.snapshot().consumers_waiting == 1);
  }
  CHECK(q.snapshot().consumers_waiting == 0);
  CHECK(q.try_push(1));
  loop.run();
  CHECK(loop.elapsed() == 0ms);
}

TEST_CASE("async_pop: on threads: every item once, with deadlines, stops and producers that race") {
  constexpr int producers = 2, each = 3000, consumers = 6;
  auto o = plain();
  o.max_items = 4;
  backpressure_queue<int> q(o);
  std::vector<std::atomic<int>> seen(producers * each);
  std::atomic<int> running{consumers}, stopped{0};
  std::vector<coroutine> all;  // outlives the pool: a coroutine is destroyed when no thread is in it any more
  std::mutex mutex;
  std::vector<std::stop_source> stops(consumers);
  pool_scheduler pool({.threads = 3});
  const auto token = [&](std::size_t n) {
    const std::lock_guard lock(mutex);
    if (stops[n].stop_requested()) stops[n] = std::stop_source();
    return stops[n].get_token();
  };
  const auto consume = [&](std::size_t n) -> coroutine {
    for (std::size_t round = n;; ++round) {
      const instant deadline = round % 3 == 0 ? pool.now() + 50us : instant::never();
      auto p = co_await async_pop(q, pool, deadline, token(n));
      if (p) ++seen[static_cast<std::size_t>(*p)];
      if (p.why() == queue_answer::stopped) ++stopped;
      if (p.why() == queue_answer::closed) break;
    }
    --running;
  };
  for (std::size_t n = 0; n < consumers; ++n) all.push_back(consume(n));
  std::vector<std::thread> threads;
  for (int t = 0; t < producers; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) CHECK(q.push(t * each + i));
    });
  }
  threads.emplace_back([&] {
    for (std::size_t i = 0; i < 2000; ++i) {
      std::stop_source one(std::nostopstate);
      {
        const std::lock_guard lock(mutex);
        one = stops[i % consumers];
      }
      one.request_stop();
      std::this_thread::yield();
    }
  });
  for (auto& t : threads) t.join();
  q.close();
  while (running != 0) std::this_thread::yield();
  int once = 0;
  for (const auto& s : seen) once += s == 1;
  CHECK(once == producers * each);
  CHECK(q.snapshot().consumers_waiting == 0);
}
