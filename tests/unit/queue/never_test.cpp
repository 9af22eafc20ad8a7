// SPDX-License-Identifier: Apache-2.0
// What a queue must never do, by the name of what goes wrong.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/queue/backpressure_queue.hpp"
#include "unit/queue/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace queue_test;

namespace {

/// Looks into the queue when it is moved: with the lock held that would never end. And throws when told to.
struct nosy {
  explicit nosy(int v, backpressure_queue<nosy>** q = nullptr) : value(v), queue(q) { ++alive; }
  nosy(nosy&& o) noexcept(false) : value(o.value), queue(o.queue) {
    if (queue != nullptr && *queue != nullptr) (void)(*queue)->snapshot();
    if (on_move) std::exchange(on_move, {})();
    if (throw_in > 0 && --throw_in == 0) throw std::runtime_error("move");
    o.value = -1;
    ++alive;
  }
  nosy& operator=(nosy&&) = delete;
  ~nosy() {
    if (queue != nullptr && *queue != nullptr) (void)(*queue)->snapshot();
    --alive;
  }

  int value;
  backpressure_queue<nosy>** queue;
  static inline int alive = 0;
  static inline int throw_in = 0;
  static inline std::function<void()> on_move = {};
};

/// Small, and moved without throwing.
struct counted {
  explicit counted(int) { ++alive; }
  counted(counted&&) noexcept { ++alive; }
  counted& operator=(counted&&) = delete;
  ~counted() { --alive; }
  static inline int alive = 0;
};

std::vector<int> rest(backpressure_queue<nosy>& q) {
  std::vector<int> out;
  while (auto p = q.try_pop()) out.push_back(p->value);
  return out;
}

}  // namespace

TEST_CASE("never: a move constructor that may throw, a destructor or a hook is called with the lock held") {
  backpressure_queue<nosy>* self = nullptr;
  queue_hooks<nosy> hooks;
  int dropped = 0;
  hooks.bytes = [&](const nosy&) { return (void)self->snapshot(), std::uint64_t{1}; };
  hooks.dropped = [&](nosy&&, queue_drop) { (void)self->snapshot(), ++dropped; };
  hooks.level = [&](queue_level) { (void)self->snapshot(); };
  {
    backpressure_queue<nosy> q({.max_items = 2,
                                .max_bytes = 2,
                                .when_full = queue_full::drop_oldest,
                                .order = queue_order::fifo,
                                .high_watermark = 0.5},
                               hooks);
    self = &q;
    CHECK(q.try_push(nosy(1, &self)));
    CHECK(q.try_push(nosy(2, &self)));
    CHECK(q.try_push(nosy(3, &self)));
    CHECK(dropped == 1);
    CHECK(q.try_pop()->value == 2);
    std::vector<nosy> batch;
    CHECK(q.try_pop_batch(batch, 5).items == 1);
    self = nullptr;
  }
  CHECK(nosy::alive == 0);
}

TEST_CASE("never: an item is lost or doubled because its move constructor throws on the way in") {
  backpressure_queue<nosy> q(plain());
  nosy item(1);
  nosy::throw_in = 1;
  CHECK_THROWS_WITH(q.try_push(std::move(item)), "move");
  CHECK(item.value == 1);
  CHECK(q.snapshot().items == 0);
  CHECK(q.try_push(std::move(item)));
  CHECK(rest(q) == std::vector{1});
}

TEST_CASE("never: the place of an item whose move has thrown stays taken") {
  auto o = plain();
  o.max_items = 1;
  backpressure_queue<nosy> q(o);
  for (int i = 0; i < 3; ++i) {
    nosy item(i);
    nosy::throw_in = 1;
    CHECK_THROWS(q.try_push(std::move(item)));
  }
  CHECK(q.try_push(nosy(7)));
  q.close();
  CHECK(rest(q) == std::vector{7});
  CHECK(q.pop().why() == queue_answer::closed);
}

TEST_CASE(
    "never: an item is lost, doubled or out of order because its move constructor throws on the way out") {
  for (const auto order : {queue_order::fifo, queue_order::lifo, queue_order::priority,
                           queue_order::earliest_deadline, queue_order::fair}) {
    CAPTURE(static_cast<int>(order));
    auto o = plain();
    o.order = order;
    backpressure_queue<nosy> q(o), same(o);
    for (int i = 0; i < 5; ++i) {
      CHECK(q.try_push(nosy(i)));
      CHECK(same.try_push(nosy(i)));
    }
    nosy::throw_in = 1;
    CHECK_THROWS(q.try_pop());
    CHECK(q.snapshot().items == 5);
    CHECK(q.snapshot().popped == 0);
    std::vector<nosy> batch;
    batch.reserve(10);
    nosy::throw_in = 3;
    std::size_t taken = 0;
    CHECK_THROWS(taken = q.try_pop_batch(batch, 5).items);
    CHECK(batch.size() == 2);
    CHECK(q.snapshot().items == 3);
    std::vector<int> got, expected = rest(same);
    for (const nosy& n : batch) got.push_back(n.value);
    for (const int v : rest(q)) got.push_back(v);
    CHECK(got == expected);
  }
  nosy::throw_in = 0;
  CHECK(nosy::alive == 0);
}

TEST_CASE("never: a consumer that waits sleeps on beside an item that came back because its move threw") {
  backpressure_queue<nosy> q(plain());
  CHECK(q.try_push(nosy(1)));
  std::atomic<int> got{0};
  std::thread consumer;
  nosy::on_move = [&] {
    consumer = std::thread([&] { got = q.pop()->value; });
    while (q.snapshot().consumers_waiting == 0) std::this_thread::yield();
    throw std::runtime_error("move");
  };
  CHECK_THROWS(q.try_pop());
  consumer.join();
  CHECK(got == 1);
}

TEST_CASE("never: all is said to have been taken while an item may still come back because its move throws") {
  backpressure_queue<nosy> q(plain());
  CHECK(q.try_push(nosy(1)));
  q.close();
  queue_answer said{};
  std::size_t left = 0;
  nosy::on_move = [&] {
    said = q.try_pop().why();
    left = q.drain({.deadline = steady_clock::now()});
    throw std::runtime_error("move");
  };
  CHECK_THROWS(q.try_pop());
  CHECK(said == queue_answer::empty);
  CHECK(left == 1);
  CHECK(rest(q) == std::vector{1});
  CHECK(q.try_pop().why() == queue_answer::closed);
  CHECK(q.drain() == 0);
}

TEST_CASE(
    "never: an item is lost that comes back from a consumer into a queue with other options, or closed is said before") {
  struct throwing {
    void push_back(int) {
      then();
      throw std::runtime_error("push_back");
    }
    std::function<void()> then;
  };
  recorded<int> log;
  for (const bool plain_before : {true, false}) {
    for (const bool plain_after : {true, false}) {
      CAPTURE(plain_before);
      CAPTURE(plain_after);
      auto before = plain(), after = plain();
      before.expire = !plain_before;
      after.expire = !plain_after;
      backpressure_queue<int> q(before, log.hooks());
      for (int i = 0; i < 3; ++i) CHECK(q.try_push(int(i)));
      queue_answer said{};
      throwing out{[&] {
        CHECK_FALSE(q.reconfigure(after));
        q.close();
        said = q.try_pop().why();
      }};
      CHECK_THROWS_WITH((void)q.try_pop_batch(out, 5), "push_back");
      CHECK(said == queue_answer::empty);
      CHECK(q.snapshot().items == 3);
      CHECK(q.snapshot().popped == 0);
      std::vector<int> got;
      CHECK(q.try_pop_batch(got, 5).items == 3);
      CHECK(got == std::vector{0, 1, 2});
      CHECK(q.try_pop().why() == queue_answer::closed);
    }
  }
}

TEST_CASE_TEMPLATE(
    "never: an item is lost in a queue that goes, as the handler of what is dropped pushes it again", T, nosy,
    counted) {
  int back = 0;
  {
    backpressure_queue<T>* self = nullptr;
    queue_hooks<T> hooks;
    hooks.dropped = [&](T&& item, queue_drop) {
      if (self->try_push(std::move(item)).why() == queue_answer::closed) ++back;
    };
    backpressure_queue<T> q(plain(), hooks);
    self = &q;
    CHECK(q.try_push(T(1)));
    CHECK(q.try_push(T(2)));
  }
  CHECK(back == 2);
  CHECK(T::alive == 0);
}

TEST_CASE("never: a queue that may drop has nobody to give it to") {
  using queue = backpressure_queue<int>;
  constexpr auto said =
      "backpressure_queue: dropped is 0; must be set where items may be dropped: expire, codel, or when_full "
      "that drops";
  CHECK_THROWS_WITH(queue(backpressure_queue_options{}), said);
  auto o = plain();
  CHECK_NOTHROW(queue{o});
  o.codel.on = true;
  CHECK_THROWS_WITH(queue{o}, said);
  for (const auto full : {queue_full::drop_oldest, queue_full::drop_newest, queue_full::drop_lowest}) {
    o = plain();
    o.when_full = full;
    CHECK_THROWS_WITH(queue{o}, said);
  }
}
