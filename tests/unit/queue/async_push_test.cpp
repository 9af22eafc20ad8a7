// SPDX-License-Identifier: Apache-2.0
#include "seawall/queue/async_push.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/exec/pool.hpp"
#include "seawall/queue/async_pop.hpp"
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
  duration at;
  bool kept = false;  // the item is still the producer's
};

using item = std::unique_ptr<int>;

struct fragile {
  fragile() = default;
  fragile(fragile&&) noexcept(false) {
    if (throws) throw std::runtime_error("move");
  }
  static inline bool throws = false;
};

backpressure_queue_options room_for_one() {
  auto o = plain();
  o.max_items = 1;
  return o;
}

coroutine producer(backpressure_queue<item>& q, virtual_scheduler& on, int value, heard& h,
                   queue_wait wait = {}) {
  item mine = std::make_unique<int>(value);
  const push_result r = co_await async_push(q, on, std::move(mine), {}, wait.deadline, wait.stop);
  h = {r.why(), on.elapsed(), mine != nullptr};
}

}  // namespace

TEST_CASE("async_push: what has room goes in without waiting") {
  virtual_scheduler loop;
  backpressure_queue<item> q(room_for_one());
  heard h;
  const coroutine c = producer(q, loop, 7, h);
  CHECK(h.why == queue_answer::done);
  CHECK_FALSE(h.kept);
  CHECK(**q.try_pop() == 7);
}

TEST_CASE("async_push: waits for room, and goes on on its scheduler, in the order in which they came") {
  virtual_scheduler loop;
  backpressure_queue<item> q(room_for_one());
  CHECK(q.try_push(std::make_unique<int>(0)));
  heard first, second;
  const coroutine a = producer(q, loop, 1, first), b = producer(q, loop, 2, second);
  CHECK(q.snapshot().producers_waiting == 2);
  CHECK(**q.try_pop() == 0);
  CHECK_FALSE(first.why);
  loop.run();
  CHECK(first.why == queue_answer::done);
  CHECK_FALSE(second.why);
  CHECK(**q.try_pop() == 1);
  loop.run();
  CHECK(second.why == queue_answer::done);
  CHECK(**q.try_pop() == 2);
}

TEST_CASE("async_push: who may not wait hears that it is full, and keeps his item") {
  virtual_scheduler loop;
  auto o = room_for_one();
  o.when_full = queue_full::reject;
  backpressure_queue<item> q(o);
  CHECK(q.try_push(std::make_unique<int>(0)));
  heard h;
  const coroutine c = producer(q, loop, 1, h);
  CHECK(h.why == queue_answer::full);
  CHECK(h.kept);
  CHECK(q.snapshot().refused == 1);
}

TEST_CASE("async_push: the deadline, stop and close end the wait, and the item stays the producer's") {
  virtual_scheduler loop;
  backpressure_queue<item> q(room_for_one());
  CHECK(q.try_push(std::make_unique<int>(0)));
  heard late, stopped, closed;
  std::stop_source stop;
  const coroutine a = producer(q, loop, 1, late, {.deadline = at(5ms)});
  const coroutine b = producer(q, loop, 2, stopped, {.stop = stop.get_token()});
  const coroutine c = producer(q, loop, 3, closed);
  loop.run();
  CHECK(late.why == queue_answer::timed_out);
  CHECK(late.at == 5ms);
  CHECK(late.kept);
  stop.request_stop();
  loop.run();
  CHECK(stopped.why == queue_answer::stopped);
  CHECK(stopped.kept);
  q.close();
  loop.run();
  CHECK(closed.why == queue_answer::closed);
  CHECK(closed.kept);
  CHECK(q.snapshot().producers_waiting == 0);
}

TEST_CASE("async_push: a scheduler that is gone takes no room with it: another producer is told") {
  virtual_scheduler loop;
  backpressure_queue<item> q(room_for_one());
  CHECK(q.try_push(std::make_unique<int>(0)));
  heard second;
  std::optional<coroutine> a;
  heard first;
  auto gone = std::make_unique<virtual_scheduler>();
  a.emplace(producer(q, *gone, 1, first));
  const coroutine b = producer(q, loop, 2, second);
  CHECK(**q.try_pop() == 0);
  gone.reset();
  loop.run();
  CHECK_FALSE(first.why);
  CHECK(second.why == queue_answer::done);
}

TEST_CASE("async_push: those who look in vain, for room or at new options, keep their order") {
  virtual_scheduler loop;
  auto o = room_for_one();
  backpressure_queue<item> q(o);
  CHECK(q.try_push(std::make_unique<int>(0)));
  heard h[4];
  std::vector<coroutine> all;
  for (int i = 0; i < 3; ++i) all.push_back(producer(q, loop, i + 1, h[i]));
  SUBCASE("new options") { CHECK_FALSE(q.reconfigure(o)); }
  SUBCASE("room that somebody else takes") {
    CHECK(**q.try_pop() == 0);
    q.tick();
    q.tick();  // all three are on their way
    CHECK(q.snapshot().producers_waiting == 0);
    CHECK(q.try_push(std::make_unique<int>(0)));
  }
  all.push_back(producer(q, loop, 4, h[3]));
  loop.run();
  CHECK(q.snapshot().producers_waiting == 4);
  for (int i = 0; i <= 4; ++i) {
    CHECK(**q.try_pop() == i);
    loop.run();
  }
}

TEST_CASE("async_push: who waits for room hears when his item has expired, where that matters") {
  for (const bool expire : {true, false}) {
    CAPTURE(expire);
    virtual_scheduler loop;
    auto o = room_for_one();
    o.expire = expire;
    o.service_time = 1ms;
    recorded<item> log;
    backpressure_queue<item> q(o, log.hooks());
    CHECK(q.try_push(std::make_unique<int>(0)));
    std::optional<queue_answer> why;
    const auto push = [&]() -> coroutine {
      item mine = std::make_unique<int>(1);
      why = (co_await async_push(q, loop, std::move(mine), {.deadline = at(5ms)}, at(1h))).why();
    };
    const coroutine c = push();
    loop.run();
    CHECK(why == (expire ? queue_answer::expired : queue_answer::timed_out));
    CHECK(loop.elapsed() == (expire ? duration(4ms) : duration(1h)));
  }
}

TEST_CASE(
    "async_push: what the move of an item throws is heard by its producer, also by one that has waited") {
  virtual_scheduler loop;
  backpressure_queue<fragile> q(room_for_one());
  std::string heard;
  const auto push = [&]() -> coroutine {
    fragile mine;
    try {
      (void)co_await async_push(q, loop, std::move(mine), {}, at(1h));
    } catch (const std::runtime_error& e) {
      heard = e.what();
    }
  };
  SUBCASE("not waiting") {
    fragile::throws = true;
    const coroutine a = push();
    CHECK(heard == "move");
    fragile::throws = false;
  }
  SUBCASE("waiting") {
    CHECK(q.try_push(fragile()));
    const coroutine a = push(), b = push();
    CHECK(q.try_pop());
    fragile::throws = true;
    CHECK(loop.run_one());
    fragile::throws = false;
    CHECK(heard == "move");
    CHECK(a.done());
    loop.run();  // the room is not lost with it
    CHECK(b.done());
    CHECK(loop.elapsed() == 0ms);
  }
}

TEST_CASE("async_push: on threads, against async_pop: every item once") {
  constexpr int each = 2000;
  backpressure_queue<int> q(room_for_one());
  std::vector<coroutine> all;  // outlives the pool: a coroutine is destroyed when no thread is in it any more
  pool_scheduler pool({.threads = 2});
  std::atomic<int> sum{0}, popped{0}, finished{0};
  const auto produce = [&]() -> coroutine {
    for (int i = 1; i <= each; ++i) {
      int mine = i;
      CHECK(co_await async_push(q, pool, std::move(mine)));
    }
    ++finished;
  };
  const auto consume = [&]() -> coroutine {
    while (popped.fetch_add(1) < 2 * each) {
      auto r = co_await async_pop(q, pool);
      sum += *r;
    }
    ++finished;
  };
  for (int i = 0; i < 2; ++i) {
    all.push_back(produce());
    all.push_back(consume());
  }
  while (finished < 4) std::this_thread::yield();
  CHECK(sum == each * (each + 1));
}
