// SPDX-License-Identifier: Apache-2.0
// A context is destroyed while calls on it are in every state they can be in: nothing leaks, nobody is called. The sanitizers
// are the other half of these tests.
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "seawall/fallback.hpp"
#include "seawall/retry.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using net::use_awaitable;
using seawall_test::answer;
using seawall_test::held_attempts;

const auto retries = seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}}));
const auto untimed = seawall::compose(seawall::retry({.backoff = {.initial = 1us, .max = 1us}}));
const auto timed = seawall::compose(seawall::deadline({.after = 1h}), seawall::retry(),
                                    seawall::attempt_timeout({.after = 1h}));
const auto fails = seawall::idempotent([]() -> answer { return absl::UnavailableError("down"); });
const auto fine = seawall::idempotent([]() -> answer { return 7; });

/// A handler that must not be called, and says when it has gone.
struct never_called {
  std::shared_ptr<int> alive;
  void operator()(const answer&) const { FAIL("called"); }
};

/// A context with a call in it, destroyed after `prepare` has run it for a while.
template <class Prepare>
void destroy_with(Prepare prepare) {
  const auto alive = std::make_shared<int>(0);
  std::optional<net::io_context> io(std::in_place);
  prepare(*io, never_called{alive});
  CHECK(alive.use_count() > 1);
  io.reset();
  CHECK(alive.use_count() == 1);
}

net::awaitable<answer> hang() {
  net::steady_timer timer(co_await net::this_coro::executor, 1h);
  co_await timer.async_wait(use_awaitable);
  co_return 0;
}

TEST_CASE("destroyed: a call that sleeps between attempts") {
  destroy_with([](net::io_context& io, never_called handler) {
    seawall::async_run(retries, io, fails, handler);
    io.poll();
  });
}

TEST_CASE("destroyed: a call that was started and not run, one that is about to complete") {
  destroy_with(
      [](net::io_context& io, never_called handler) { seawall::async_run(retries, io, fails, handler); });
  destroy_with(
      [](net::io_context& io, never_called handler) { seawall::async_run(retries, io, fine, handler); });
  destroy_with([](net::io_context& io, never_called handler) {
    seawall::async_run(retries, net::make_strand(io), fine, handler);
  });
  destroy_with([](net::io_context& io, never_called handler) {
    seawall::async_run(retries, net::any_io_executor(net::make_strand(io)), fine, handler);
  });
}

TEST_CASE("destroyed: a call whose timer has been handed over") {
  // Not so soon that it is over within the step that begins it.
  const auto soon = seawall::compose(
      seawall::retry({.backoff = {.initial = 20ms, .max = 20ms, .jitter = seawall::jitter::none}}));
  destroy_with([&](net::io_context& io, never_called handler) {
    seawall::async_run(soon, net::make_strand(io), fails, handler);
    io.run_one();  // the first attempt's mail
    io.run_one();  // the native timer's handler
  });
}

TEST_CASE("destroyed: an attempt that another thread or context holds; it ends afterwards, or is let go of") {
  for (const bool ends : {true, false}) {
    held_attempts held;
    destroy_with([&](net::io_context& io, never_called handler) {
      // Nothing tells the first of these calls but their place among the timers.
      seawall::async_run(untimed, io, seawall::idempotent(held.operation()), handler);
      seawall::async_run(timed, io, seawall::idempotent(held.operation()), handler);
      seawall::async_run(timed, net::make_strand(io), seawall::idempotent(held.operation()), handler);
      seawall::async_run(untimed, net::any_io_executor(net::make_strand(io)),
                         seawall::idempotent(held.operation()), handler);
      io.poll();
    });
    REQUIRE(held.size() == 4);
    for (std::size_t i = 0; ends && i < held.size(); ++i) held.end(i, 7);
    held.let_go();
  }
}

TEST_CASE("destroyed: an attempt that is an awaitable in the middle of its operation, or not begun") {
  for (const bool begun : {true, false}) {
    destroy_with([&](net::io_context& io, never_called handler) {
      seawall::async_run(timed, io, seawall::idempotent([] { return hang(); }), handler);
      seawall::async_run(untimed, net::make_strand(io), seawall::idempotent([] { return hang(); }), handler);
      if (begun) io.poll();
    });
  }
}

TEST_CASE("destroyed: an awaitable that was given up and runs on, after its call has completed") {
  const auto impatient = seawall::compose(seawall::attempt_timeout({.after = 1ms}));
  const auto stubborn = []() -> net::awaitable<answer> {
    co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
    co_return co_await hang();
  };
  bool completed = false;
  {
    net::io_context io;
    seawall::async_run(impatient, io, stubborn, [&](const answer&) { completed = true; });
    while (!completed) io.run_one();
  }
  CHECK(completed);
}

TEST_CASE("destroyed: a coroutine that awaits a call") {
  const auto alive = std::make_shared<int>(0);
  {
    net::io_context io;
    const auto client = [](auto& pipeline, auto op, std::shared_ptr<int>) -> net::awaitable<void> {
      const auto here = co_await net::this_coro::executor;
      const answer a = co_await seawall::async_run(pipeline, here, op, use_awaitable);
      FAIL("went on: ", a.ok());
    };
    net::co_spawn(io, client(retries, fails, alive), net::detached);
    net::co_spawn(io, client(timed, seawall::idempotent([] { return hang(); }), alive), net::detached);
    io.poll();
    CHECK(alive.use_count() == 3);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("destroyed: a nested call in a fallback, in an attempt") {
  destroy_with([](net::io_context& io, never_called handler) {
    const auto down = []() -> answer { return absl::UnavailableError("down"); };
    static const auto to_replica =
        seawall::compose(seawall::fallback_to(timed, seawall::idempotent([] { return hang(); })));
    seawall::async_run(to_replica, io, down, handler);
    const auto nested = [](seawall::attempt a) -> net::awaitable<answer> {
      co_return co_await seawall::async_run(retries, a, co_await net::this_coro::executor, fails,
                                            use_awaitable);
    };
    seawall::async_run(timed, io, seawall::idempotent(nested), handler);
    io.poll();
  });
}

TEST_CASE(
    "destroyed: a handler that waits on another context; a call whose handler's context has gone first") {
  const auto alive = std::make_shared<int>(0);
  {
    net::io_context handlers;
    net::io_context io;
    seawall::async_run(retries, io, fine, net::bind_executor(handlers, never_called{alive}));
    io.run();
    CHECK(alive.use_count() == 2);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("a thread pool that is stopped and destroyed takes its calls with it") {
  const auto alive = std::make_shared<int>(0);
  held_attempts held;
  {
    net::thread_pool pool(2);
    seawall::async_run(retries, pool, fails, never_called{alive});
    seawall::async_run(untimed, pool, seawall::idempotent(held.operation()), never_called{alive});
    pool.stop();
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("a context that is stopped is a pause: its calls go on when it runs again") {
  net::io_context io;
  answer got = 0;
  // Long enough not to be over within the step that begins it, when this thread loses its processor there.
  const auto later = seawall::compose(seawall::retry(
      {.max_attempts = 2, .backoff = {.initial = 100ms, .max = 100ms, .jitter = seawall::jitter::none}}));
  seawall::async_run(later, io, fails, [&](answer a) { got = std::move(a); });
  io.run_one();
  io.stop();
  CHECK(io.run() == 0);
  CHECK(got.ok());
  io.restart();
  io.run();
  CHECK(got.status().code() == absl::StatusCode::kUnavailable);
}

}  // namespace
