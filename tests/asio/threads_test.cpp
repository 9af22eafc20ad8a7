// SPDX-License-Identifier: Apache-2.0
// One context that several threads run, calls from several threads. TSan is the other half of these tests.
#include "support/threads.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/retry.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall_test::answer;
using seawall_test::on_threads;

constexpr int threads = 3;
constexpr int calls = 300;

void run_on_threads(net::io_context& io) {
  on_threads(threads, [&io](int) { io.run(); });
}

net::awaitable<void> wait(std::chrono::nanoseconds time) {
  net::steady_timer timer(co_await net::this_coro::executor, time);
  co_await timer.async_wait(net::use_awaitable);
}

TEST_CASE("threads: callback operations without a strand; every call completes once") {
  net::io_context io;
  seawall::circuit_breaker breaker({.name = "b", .over_time = {.failure_rate = 0}});
  const auto pipeline =
      seawall::compose(seawall::deadline({.after = 10s}),
                       seawall::retry({.max_attempts = 3, .backoff = {.initial = 10us, .max = 100us}}),
                       seawall::breaker(breaker), seawall::attempt_timeout({.after = 5s}));
  std::atomic<int> completed = 0, ok = 0;
  const auto op = seawall::idempotent([&io](seawall::attempt a, seawall::completion<answer> done) {
    net::post(io, [done = std::move(done), last = a.number() == 3]() mutable {
      last ? done(7) : done(absl::UnavailableError("not yet"));
    });
  });
  // Calls may have completed before other threads have started theirs.
  auto until_all_started = net::make_work_guard(io);
  std::atomic<int> starting = threads;
  on_threads(threads, [&](int) {
    for (int i = 0; i < calls; ++i) {
      seawall::async_run(pipeline, io, op, [&](const answer& a) {
        completed += 1;
        ok += a.ok() ? 1 : 0;
      });
    }
    if (--starting == 0) until_all_started.reset();
    io.run();
  });
  CHECK(completed == threads * calls);
  CHECK(ok == threads * calls);
}

TEST_CASE("threads: time-outs against results that come at the same time, and callers that leave") {
  net::io_context io;
  const auto pipeline =
      seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 10us, .max = 100us}}),
                       seawall::attempt_timeout({.after = 200us}));
  std::atomic<int> completed = 0;
  std::stop_source leaving;
  for (int i = 0; i < calls; ++i) {
    auto timer = std::make_shared<net::steady_timer>(io);
    const auto op = seawall::idempotent([timer](seawall::attempt a, seawall::completion<answer> done) {
      // Around the time-out.
      auto own = std::make_shared<net::steady_timer>(timer->get_executor(),
                                                     std::chrono::microseconds(150 + 40 * a.number()));
      own->async_wait([own, done = std::move(done)](const auto&) mutable { done(7); });
    });
    seawall::async_run(pipeline, {.stop = leaving.get_token()}, io, op, [&](const answer&) {
      if (++completed == calls / 2) leaving.request_stop();
    });
  }
  run_on_threads(io);
  CHECK(completed == calls);
}

TEST_CASE("threads: awaitables on strands, given up and completed; callers cancelled through their slots") {
  net::io_context io;
  const auto pipeline =
      seawall::compose(seawall::retry({.max_attempts = 2, .backoff = {.initial = 10us, .max = 100us}}),
                       seawall::attempt_timeout({.after = 300us}));
  std::atomic<int> completed = 0;
  const auto op = seawall::idempotent([](seawall::attempt a) -> net::awaitable<answer> {
    co_await wait(a.number() == 1 ? 250us : 350us);
    co_return 7;
  });
  std::vector<net::cancellation_signal> signals(calls);
  for (int i = 0; i < calls; ++i) {
    const auto strand = net::make_strand(io);
    const auto client = [&, strand]() -> net::awaitable<void> {
      co_await net::this_coro::throw_if_cancelled(false);
      [[maybe_unused]] const answer a = co_await seawall::async_run(pipeline, strand, op, net::use_awaitable);
    };
    net::co_spawn(
        strand, client,
        net::bind_cancellation_slot(signals[i].slot(), [&](const std::exception_ptr&) { ++completed; }));
    if (i % 4 == 0) {
      net::post(strand, [&signal = signals[i]] { signal.emit(net::cancellation_type::terminal); });
    }
  }
  run_on_threads(io);
  CHECK(completed == calls);
}

TEST_CASE("threads: a handler's executor that is another than the call's") {
  net::io_context io, other;
  const auto pipeline = seawall::compose(seawall::retry(), seawall::attempt_timeout({.after = 10s}));
  const auto strand = net::make_strand(other);
  int completed = 0;  // on the strand only
  for (int i = 0; i < calls; ++i) {
    const auto op = seawall::idempotent([]() -> answer { return 7; });
    seawall::async_run(pipeline, io, op, net::bind_executor(strand, [&](const answer&) { ++completed; }));
  }
  on_threads(4, [&](int t) { t % 2 == 0 ? io.run() : other.run(); });
  CHECK(completed == calls);
}

TEST_CASE("threads: a thread pool with strands") {
  net::thread_pool pool(threads);
  const auto pipeline =
      seawall::compose(seawall::retry({.max_attempts = 2, .backoff = {.initial = 10us, .max = 100us}}),
                       seawall::attempt_timeout({.after = 200us}));
  std::atomic<int> completed = 0;
  const auto op = seawall::idempotent([](seawall::attempt a) -> net::awaitable<answer> {
    co_await wait(a.number() == 1 ? 1h : 1us);
    co_return 7;
  });
  for (int i = 0; i < calls; ++i) {
    seawall::async_run(pipeline, net::make_strand(pool), op,
                       [&](const answer& a) { completed += a.ok() ? 1 : 0; });
  }
  pool.join();
  CHECK(completed > 0);
}

}  // namespace
