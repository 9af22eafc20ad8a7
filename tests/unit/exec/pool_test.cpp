// SPDX-License-Identifier: Apache-2.0
#include "seawall/exec/pool.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/seawall.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::pool_scheduler;
using seawall_test::result;

/// Work that runs a function, and remembers what else it was called for.
template <class Base, class F>
struct work : Base {
  explicit work(F g)
      : Base([](seawall::task& t, seawall::task::outcome how) { static_cast<work&>(t).act(how); }), f(g) {}
  void act(seawall::task::outcome how) {
    if (how == seawall::task::outcome::run) f();
    if (how == seawall::task::outcome::stop) ++stopped;
    if (how == seawall::task::outcome::drop) ++dropped;
  }
  F f;
  std::atomic<int> stopped{0}, dropped{0};
};
template <class F>
struct short_work : work<seawall::task, F> {
  using work<seawall::task, F>::work;
};
template <class F>
short_work(F) -> short_work<F>;
template <class F>
struct blocking_work : work<seawall::pool_task, F> {
  using work<seawall::pool_task, F>::work;
};
template <class F>
blocking_work(F) -> blocking_work<F>;

/// Keeps every thread of a pool busy until it is let go.
class occupied {
 public:
  occupied(pool_scheduler& pool, int threads) {
    for (int i = 0; i < threads; ++i) pool.post(pieces_.emplace_back(*this));
    while (busy_ < threads) std::this_thread::yield();
  }
  ~occupied() { let_go(); }
  void let_go() {
    go_ = true;
    while (busy_ > 0) std::this_thread::yield();
  }

 private:
  struct piece final : seawall::task {
    explicit piece(occupied& w)
        : task([](task& t, outcome) { static_cast<piece&>(t).whole.wait(); }), whole(w) {}
    occupied& whole;
  };
  void wait() {
    ++busy_;
    while (!go_) std::this_thread::yield();
    --busy_;
  }

  std::atomic<int> busy_{0};
  std::atomic<bool> go_{false};
  std::deque<piece> pieces_;
};

void nothing() {}

/// Two come, and each waits for the other; then all go.
class meeting {
 public:
  auto guest() {
    return [this] {
      const int all = (here_.fetch_add(1) / 2 + 1) * 2;
      while (here_ < all) std::this_thread::yield();
      ++gone_;
    };
  }
  void over(int times) const {
    while (gone_ < 2 * times) std::this_thread::yield();
  }

 private:
  std::atomic<int> here_{0}, gone_{0};
};

TEST_CASE("pool: two pieces of work that come together run on two threads") {
  pool_scheduler pool({.threads = 2});
  meeting together;
  for (int round = 1; round <= 400; ++round) {
    short_work a(together.guest());
    short_work b(together.guest());
    blocking_work c(together.guest());
    pool.post(a);
    if (round % 2 == 0) {
      pool.post(b);
    } else {
      CHECK(pool.try_post(c) == seawall::reason::none);
    }
    together.over(round);
  }
}

TEST_CASE(
    "pool: a timer and work that come together run on two threads, whichever of them waits for timers") {
  pool_scheduler pool({.threads = 2});
  meeting together;
  for (int round = 1; round <= 200; ++round) {
    short_work timed(together.guest());
    short_work posted(together.guest());
    pool_scheduler::timer t;
    pool.schedule_at(pool.now() + std::chrono::microseconds(round), t, timed);
    pool.post(posted);
    together.over(round);
  }
}

TEST_CASE("pool: a timer that is due while the one who waited for it works is served by another") {
  pool_scheduler pool({.threads = 2});
  meeting together;
  for (int round = 1; round <= 100; ++round) {
    short_work first(together.guest());
    short_work second(together.guest());
    pool_scheduler::timer t1, t2;
    pool.schedule_at(pool.now() + 100us, t1, first);
    pool.schedule_at(pool.now() + 200us, t2, second);
    together.over(round);
  }
}

TEST_CASE("pool: an earlier timer is not kept waiting by a later one") {
  pool_scheduler pool({.threads = 1});
  short_work far(nothing);
  pool_scheduler::timer t1, t2;
  pool.schedule_at(pool.now() + 1h, t1, far);
  std::atomic<bool> due{false};
  short_work near([&] { due = true; });
  pool.schedule_at(pool.now() + 100us, t2, near);
  while (!due) std::this_thread::yield();
  CHECK(pool.cancel(t1));
  CHECK_FALSE(pool.cancel(t1));
}

TEST_CASE("pool: timers of the same instant, and work that was posted, keep their order on one thread") {
  pool_scheduler pool({.threads = 1});
  std::string log;
  std::atomic<int> all{0};
  const auto note = [&](char c) {
    return [&log, &all, c] {
      log += c;
      ++all;
    };
  };
  short_work a(note('a'));
  short_work b(note('b'));
  short_work c(note('c'));
  short_work d(note('d'));
  pool_scheduler::timer ta, tb;
  {
    occupied busy(pool, 1);
    const seawall::instant at = pool.now();
    pool.post(c);
    pool.post(d);
    pool.schedule_at(at, ta, a);
    pool.schedule_at(at, tb, b);
    busy.let_go();
    while (all < 4) std::this_thread::yield();
  }
  CHECK(log == "abcd");
}

TEST_CASE("pool: blocking work beyond queue_max is refused; what is withdrawn makes room, and is not run") {
  pool_scheduler pool({.name = "files", .threads = 1, .queue_max = 2});
  std::atomic<int> runs{0};
  const auto count = [&] { ++runs; };
  blocking_work a(count);
  blocking_work b(count);
  blocking_work c(count);
  {
    occupied busy(pool, 1);
    CHECK(pool.try_post(a) == seawall::reason::none);
    CHECK(pool.try_post(b) == seawall::reason::none);
    CHECK(pool.try_post(c) == seawall::reason::queue_full);
    const seawall::pool_snapshot s = pool.snapshot();
    CHECK(s.name == "files");
    CHECK(s.threads == 1);
    CHECK(s.busy == 1);
    CHECK(s.queued == 2);
    CHECK(s.calls == 0);
    CHECK(pool.withdraw(a));
    CHECK_FALSE(pool.withdraw(a));
    CHECK_FALSE(pool.withdraw(c));
    CHECK(pool.try_post(c) == seawall::reason::none);
    CHECK(pool.withdraw(c));
    CHECK(pool.try_post(c) == seawall::reason::none);
    CHECK(pool.try_post(a) == seawall::reason::queue_full);
  }
  pool.shut_down();
  CHECK(runs + b.stopped + c.stopped == 2);
  CHECK(pool.try_post(a) == seawall::reason::shut_down);
}

TEST_CASE("pool: shut down, it hands back what is queued, and stops timers without waiting for them") {
  pool_scheduler pool({.threads = 1});
  blocking_work queued(nothing);
  short_work sleeping(nothing);
  pool_scheduler::timer t;
  pool.schedule_at(pool.now() + 1h, t, sleeping);
  std::thread shuts_down;
  {
    occupied busy(pool, 1);
    CHECK(pool.try_post(queued) == seawall::reason::none);
    shuts_down = std::thread([&] { pool.shut_down(); });
    blocking_work probe(nothing);
    while (pool.try_post(probe) == seawall::reason::none) pool.withdraw(probe);
  }
  shuts_down.join();
  CHECK(queued.stopped == 1);
  CHECK(sleeping.stopped == 1);
}

TEST_CASE("pool: two shut_downs at once both return only when it is down") {
  for (int round = 0; round < 50; ++round) {
    pool_scheduler pool({.threads = 1});
    std::atomic<bool> ran{false};
    short_work slow([&] {
      std::this_thread::yield();
      ran = true;
    });
    std::optional<occupied> busy(std::in_place, pool, 1);
    pool.post(slow);
    std::atomic<int> early{0};
    const auto shut_down = [&] {
      pool.shut_down();
      if (!ran) ++early;
    };
    std::thread first(shut_down), second(shut_down);
    busy->let_go();
    first.join();
    second.join();
    CHECK(early == 0);
  }
}

TEST_CASE("pool: calls that sleep, run, and wait for an answer when it shuts down are completed once each") {
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> told{0}, by_shut_down{0};
    std::optional<completion<result>> unanswered;
    std::thread answers;
    const auto sleeps = seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}}));
    const auto runs = seawall::compose(seawall::deadline({.after = 1h}));
    const auto waits = seawall::compose();
    {
      pool_scheduler pool({.threads = 2});
      const auto done = [&](const result& r) {
        ++told;
        const auto why = seawall::rejection_of(r.status());
        if (why && why->why == seawall::reason::shut_down) ++by_shut_down;
      };
      for (int i = 0; i < 10; ++i) {
        sleeps.start(
            pool, seawall::idempotent([](completion<result> d) { d(absl::UnavailableError("busy")); }), done);
        runs.start(
            pool, [](completion<result> d) { d(1); }, done);
      }
      runs.start(
          pool, [&](completion<result> d) { unanswered.emplace(std::move(d)); }, done);
      // Without a timer: the pool waits for its answer.
      waits.start(
          pool, [&](completion<result> d) { answers = std::thread([x = std::move(d)]() mutable { x(1); }); },
          done);
      pool.shut_down();
      CHECK(told == 22);
      CHECK(pool.snapshot().calls == 0);
    }
    CHECK(by_shut_down >= 11);
    answers.join();
    (*unanswered)(1);
  }
}

TEST_CASE("pool: a call that is started when it is down is dropped with it, and not told") {
  int told = 0;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  {
    pool_scheduler pool({.threads = 1});
    pool.shut_down();
    p.start(
        pool, [](completion<result> d) { d(1); }, [&](const result&) { ++told; });
  }
  CHECK(told == 0);
}

TEST_CASE("pool: work that a free thread is about to take is not refused, even where none may wait") {
  for (const std::uint32_t queue_max : {0U, 1U}) {
    pool_scheduler pool({.threads = 3, .queue_max = queue_max});
    std::atomic<bool> go{false};
    const auto hold = [&] {
      while (!go) std::this_thread::yield();
    };
    blocking_work a(hold), b(hold), c(hold), d(hold), e(hold);
    // At once, before any thread can have taken one.
    CHECK(pool.try_post(a) == seawall::reason::none);
    CHECK(pool.try_post(b) == seawall::reason::none);
    CHECK(pool.try_post(c) == seawall::reason::none);
    CHECK(pool.try_post(d) == (queue_max == 0 ? seawall::reason::queue_full : seawall::reason::none));
    CHECK(pool.try_post(e) == seawall::reason::queue_full);
    while (pool.snapshot().busy != 3) std::this_thread::yield();
    CHECK(pool.try_post(e) == seawall::reason::queue_full);
    go = true;
    pool.shut_down();
  }
}

TEST_CASE("pool: options are validated") {
  CHECK_THROWS_WITH_AS(pool_scheduler({.threads = 1025}), "pool: threads is 1025; must be at most 1024",
                       std::invalid_argument);
  CHECK_FALSE(seawall::validate(seawall::pool_options{.threads = 1024, .queue_max = 0}));
  const pool_scheduler one_for_each_processor;
  CHECK(one_for_each_processor.snapshot().threads >= 1);
}

}  // namespace
