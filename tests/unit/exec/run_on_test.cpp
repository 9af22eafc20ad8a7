// SPDX-License-Identifier: Apache-2.0
// The caller waits while attempts block on a pool's threads. Attempts that hang wait for their stop token, so that no time has to
// pass but that of the policies.
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

#include "seawall/seawall.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::pool_scheduler;
using seawall_test::result;
using seawall_test::token;

const auto bare = seawall::compose();

result hangs(const attempt& a) {
  while (!a.stop_requested()) std::this_thread::yield();
  return 1;
}

/// Keeps the only thread of a pool busy, and holds a place in its queue.
class blocked {
 public:
  explicit blocked(pool_scheduler& pool) : pool_(pool) {
    pool.post(busy_);
    while (!arrived_) std::this_thread::yield();
  }
  ~blocked() {
    pool_.withdraw(queued_);
    go_ = true;
    while (arrived_) std::this_thread::yield();
  }
  void fill_queue() { REQUIRE(pool_.try_post(queued_) == seawall::reason::none); }

 private:
  struct busy final : seawall::task {
    explicit busy(blocked& w)
        : task([](task& t, outcome) { static_cast<busy&>(t).whole.wait(); }), whole(w) {}
    blocked& whole;
  };
  struct queued final : seawall::pool_task {
    queued() : pool_task([](task&, outcome) {}) {}
  };
  void wait() {
    arrived_ = true;
    while (!go_) std::this_thread::yield();
    arrived_ = false;
  }
  pool_scheduler& pool_;
  std::atomic<bool> arrived_{false}, go_{false};
  busy busy_{*this};
  queued queued_;
};

seawall::reason why(const result& r) {
  const auto rejected = seawall::rejection_of(r.status());
  return rejected ? rejected->why : seawall::reason::none;
}

TEST_CASE("run_on: the operation runs on the pool, and its answer is returned, or thrown") {
  pool_scheduler pool({.threads = 1});
  std::thread::id ran_on;
  CHECK(bare.run_on(pool,
                    [&]() -> result {
                      ran_on = std::this_thread::get_id();
                      return 7;
                    })
            .value() == 7);
  CHECK(ran_on != std::this_thread::get_id());
  CHECK(bare.run_on(pool, [] { return 8; }) == 8);
  CHECK(bare.run_on(pool, [] { return token(9); }).value == 9);
  CHECK(token::alive == 0);
  bool ran = false;
  bare.run_on(pool, [&] { ran = true; });
  CHECK(ran);
  CHECK_THROWS_WITH_AS(bare.run_on(pool, []() -> int { throw std::runtime_error("boom"); }), "boom",
                       std::runtime_error);
  const result threw = bare.run_on(pool, []() -> result { throw std::runtime_error("boom"); });
  CHECK(why(threw) == seawall::reason::threw);
}

TEST_CASE(
    "run_on: the caller goes on while its attempt does; the late answer is dropped, the state lives as long") {
  pool_scheduler pool({.threads = 1});
  auto op_holds = std::make_shared<int>(0);
  std::stop_source caller;
  std::atomic<bool> started{false}, go{false}, ended{false};
  std::thread stops([&] {
    while (!started) std::this_thread::yield();
    caller.request_stop();
  });
  const result r = bare.run_on({.stop = caller.get_token()}, pool,
                               [op_holds, &started, &go, &ended](const attempt& a) -> result {
                                 started = true;
                                 while (!go) std::this_thread::yield();
                                 CHECK(a.stop_requested());
                                 CHECK(a.number() == 1);
                                 ended = true;
                                 return 7;
                               });
  stops.join();
  CHECK(why(r) == seawall::reason::cancelled);
  CHECK_FALSE(ended);
  CHECK(op_holds.use_count() == 2);
  go = true;
  pool.shut_down();
  CHECK(ended);
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("run_on: a deadline ends the call on time, though its attempt hangs") {
  pool_scheduler pool({.threads = 1});
  const auto p = seawall::compose(seawall::deadline({.after = 1ms}));
  CHECK(why(p.run_on(pool, hangs)) == seawall::reason::deadline_exceeded);
}

TEST_CASE("run_on: an attempt that hangs leaves time for another, on another thread") {
  pool_scheduler pool({.threads = 2});
  const auto p = seawall::compose(seawall::retry({.max_attempts = 10'000, .backoff = {.initial = 1us}}),
                                  seawall::attempt_timeout({.after = 1ms}));
  const result r = p.run_on(pool, seawall::idempotent([](const attempt& a) -> result {
                              return a.number() == 1 ? hangs(a) : result(static_cast<int>(a.number()));
                            }));
  CHECK(r.value() >= 2);
}

TEST_CASE(
    "run_on: an attempt that waits for a thread is taken out of the queue when its time is over, and never runs") {
  pool_scheduler pool({.threads = 1});
  auto op_holds = std::make_shared<int>(0);
  std::atomic<int> runs{0};
  {
    const blocked b(pool);
    const auto p = seawall::compose(seawall::deadline({.after = 1ms}));
    const result r = p.run_on(pool, [op_holds, &runs]() -> result { return ++runs; });
    CHECK(why(r) == seawall::reason::deadline_exceeded);
    CHECK(pool.snapshot().queued == 0);
    CHECK(op_holds.use_count() == 1);  // nothing of it is late
  }
  pool.shut_down();
  CHECK(runs == 0);
}

TEST_CASE(
    "run_on: a full queue refuses, and was provably not executed: a retry tries again even what is not idempotent") {
  pool_scheduler pool({.name = "files", .threads = 1, .queue_max = 1});
  std::optional<blocked> b(std::in_place, pool);
  b->fill_queue();
  seawall::call_report report;
  const auto p = seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 1us}}));
  const result r = p.run_on({.report = &report}, pool, seawall::non_idempotent([]() -> result { return 1; }));
  CHECK(why(r) == seawall::reason::queue_full);
  CHECK(report.attempts == 3);
  const auto rejected = seawall::rejection_of(r.status());
  CHECK(rejected->name == "files");
  b.reset();
  CHECK(p.run_on(pool, seawall::non_idempotent([]() -> result { return 1; })).ok());
}

TEST_CASE("run_on: a pool that is down says so, and no retry insists") {
  pool_scheduler pool({.threads = 1});
  pool.shut_down();
  seawall::call_report report;
  const auto p = seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 1us}}));
  const result r = p.run_on({.report = &report}, pool, seawall::idempotent([]() -> result { return 1; }));
  CHECK(why(r) == seawall::reason::shut_down);
  CHECK(report.attempts == 1);
}

TEST_CASE(
    "run_on: an attempt that waits for a thread when the pool shuts down is handed back, and the call ends") {
  pool_scheduler pool({.threads = 1});
  std::optional<blocked> b(std::in_place, pool);
  std::thread shuts_down([&] {
    while (pool.snapshot().queued == 0) std::this_thread::yield();
    std::thread lets_go([&] { b.reset(); });
    pool.shut_down();
    lets_go.join();
  });
  std::atomic<int> runs{0};
  const result r = bare.run_on(pool, [&]() -> result { return ++runs; });
  shuts_down.join();
  // It ran if its thread was free before the pool heard of it.
  CHECK((runs == 1 ? r.ok() : why(r) == seawall::reason::shut_down));
}

TEST_CASE("run_on: the caller's stop token ends the wait, in an attempt and in a pause") {
  pool_scheduler pool({.threads = 1});
  std::stop_source caller;
  std::atomic<bool> started{false};
  std::thread stops([&] {
    while (!started) std::this_thread::yield();
    caller.request_stop();
  });
  CHECK(why(bare.run_on({.stop = caller.get_token()}, pool, [&](const attempt& a) {
          started = true;
          return hangs(a);
        })) == seawall::reason::cancelled);
  stops.join();

  std::stop_source again;
  const auto p = seawall::compose(
      seawall::retry({.backoff = {.initial = 1h, .max = 1h, .jitter = seawall::jitter::none}}));
  struct stops_at_the_pause final : seawall::listener {
    void on(const seawall::event::retry_scheduled&) noexcept override { source->request_stop(); }
    std::stop_source* source = nullptr;
  } events;
  events.source = &again;
  CHECK(why(p.run_on({.stop = again.get_token(), .events = &events}, pool,
                     seawall::idempotent([]() -> result { return absl::UnavailableError("busy"); }))) ==
        seawall::reason::cancelled);
}

TEST_CASE("run_on inside an attempt: deadline, priority and retries are those of the call outside") {
  pool_scheduler pool({.threads = 2});
  const auto outer = seawall::compose(seawall::deadline({.after = 1h}),
                                      seawall::retry({.max_attempts = 2, .backoff = {.initial = 1us}}));
  const auto inner = seawall::compose(seawall::retry({.max_attempts = 5, .backoff = {.initial = 1us}}));
  std::atomic<int> calls{0};
  const result r =
      outer.run_on({.priority = 3}, pool, seawall::idempotent([&](const attempt& a) {
                     return inner.run_on(a, pool, seawall::idempotent([&](const attempt& b) -> result {
                                           ++calls;
                                           CHECK(b.priority() == 3);
                                           CHECK(b.deadline() == a.deadline());
                                           return absl::UnavailableError("busy");
                                         }));
                   }));
  CHECK_FALSE(r.ok());
  CHECK(calls == 2);
}

TEST_CASE("run_on: many callers on a small pool, each gets its own answer") {
  pool_scheduler pool({.threads = 2});
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        if (bare.run_on(pool, [=]() -> result { return t * 1000 + i; }).value() != t * 1000 + i) ++wrong;
      }
    });
  }
  for (std::thread& t : callers) t.join();
  CHECK(wrong == 0);
}

}  // namespace
