// SPDX-License-Identifier: Apache-2.0
// Coroutines of Asio as operations, and coroutines of Asio that await a call.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/fallback.hpp"
#include "seawall/retry.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using net::use_awaitable;
using seawall_test::answer;

auto with_attempts_of(seawall::duration after) {
  return seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 1us, .max = 1us}}),
                          seawall::attempt_timeout({.after = after}));
}
const auto pipeline = with_attempts_of(30s);     // in vain only where it is for ever
const auto impatient = with_attempts_of(100ms);  // for operations that hang

net::awaitable<void> wait(std::chrono::nanoseconds time) {
  net::steady_timer timer(co_await net::this_coro::executor, time);
  co_await timer.async_wait(use_awaitable);
}

TEST_CASE("an awaitable that fails is retried; its result is the call's") {
  net::io_context io;
  auto got =
      seawall::async_run(pipeline, io, seawall::idempotent([](seawall::attempt a) -> net::awaitable<answer> {
                           co_await wait(1us);
                           if (a.number() < 3) co_return absl::UnavailableError("not yet");
                           co_return 7;
                         }),
                         net::use_future);
  io.run();
  CHECK(got.get() == answer(7));
}

TEST_CASE("a time-out cancels an awaitable in the middle of its operation") {
  net::io_context io;
  int cancelled = 0;
  auto got = seawall::async_run(impatient, io,
                                seawall::idempotent([&](seawall::attempt a) -> net::awaitable<answer> {
                                  try {
                                    if (a.number() < 3) co_await wait(1h);
                                  } catch (const net_system::system_error& e) {
                                    cancelled += e.code() == net::error::operation_aborted ? 1 : 0;
                                    throw;
                                  }
                                  co_return 7;
                                }),
                                net::use_future);
  io.run();  // returns: nobody waits for an hour
  CHECK(got.get() == answer(7));
  CHECK(cancelled == 2);
}

TEST_CASE("an awaitable that ignores its cancellation is left behind, and ends later without harm") {
  net::io_context io;
  net::steady_timer release(io, 1h);
  int late = 0;
  bool completed = false;
  const auto stubborn = seawall::idempotent([&](seawall::attempt) -> net::awaitable<answer> {
    co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
    co_await release.async_wait(net::bind_executor(io, use_awaitable));
    ++late;
    co_return 7;
  });
  seawall::async_run(impatient, io, stubborn, [&](const answer& a) {
    completed = true;
    CHECK(late == 0);
    CHECK(a.status().code() == absl::StatusCode::kDeadlineExceeded);
    release.expires_at(net::steady_timer::time_point::min());
  });
  release.expires_after(1h);
  while (!completed) io.run_one();
  io.run();
  CHECK(completed);
}

TEST_CASE("what an awaitable throws ends the attempt: as it is for plain values, as a status for those") {
  net::io_context io;
  int attempts = 0;
  auto plain = seawall::async_run(pipeline, io, seawall::idempotent([&]() -> net::awaitable<std::string> {
                                    if (++attempts < 3) throw std::runtime_error("lost");
                                    co_return "found";
                                  }),
                                  net::use_future);
  auto nothing = seawall::async_run(pipeline, io,
                                    seawall::idempotent([]() -> net::awaitable<void> { co_await wait(1us); }),
                                    net::use_future);
  auto status = seawall::async_run(pipeline, io, seawall::idempotent([&]() -> net::awaitable<answer> {
                                     throw std::runtime_error("lost");
                                     co_return 0;
                                   }),
                                   net::use_future);
  io.run();
  CHECK(plain.get() == "found");
  CHECK_NOTHROW(nothing.get());
  const answer lost = status.get();
  CHECK(lost.status().code() == absl::StatusCode::kUnknown);
}

TEST_CASE("an awaitable is an operation of pipeline.start as well, on an asio_scheduler") {
  net::io_context io;
  answer got = 0;
  auto scheduler = seawall_test::scheduler_on(io);  // an lvalue: calls keep copies of it
  const auto op = seawall::idempotent([]() -> net::awaitable<answer> {
    co_await wait(1us);
    co_return 7;
  });
  pipeline.start(scheduler, op, [&](answer a) { got = std::move(a); });
  pipeline.start(seawall_test::scheduler_on(io.get_executor()), op, [](const answer&) {});
  io.run();
  CHECK(got == answer(7));
}

TEST_CASE(
    "nested: a call inside an attempt of a call, both awaited; giving up the outer attempt ends the inner call") {
  net::io_context io;
  seawall::call_report inner;
  int hung = 0;
  const auto nested = [&](seawall::attempt a) -> net::awaitable<answer> {
    const auto hang = seawall::idempotent([&]() -> net::awaitable<answer> {
      ++hung;
      co_await wait(1h);
      co_return 0;
    });
    const auto patient = seawall::compose(seawall::retry());  // has no time-out of its own
    co_return co_await seawall::async_run(patient, a, {.report = &inner}, co_await net::this_coro::executor,
                                          hang, use_awaitable);
  };
  auto got = seawall::async_run(impatient, io, seawall::idempotent(nested), net::use_future);
  io.run();
  CHECK(got.get().status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(hung == 3);
  CHECK(inner.rejected == seawall::reason::cancelled);
}

TEST_CASE("a fallback may be an awaitable, or another pipeline with an operation that is one") {
  net::io_context io;
  const auto down = []() -> net::awaitable<answer> { co_return absl::UnavailableError("down"); };
  const auto substitute = [](const absl::Status&) -> net::awaitable<answer> {
    co_await wait(1us);
    co_return 8;
  };
  const auto with_awaitable = seawall::compose(seawall::fallback(substitute));
  auto first = seawall::async_run(with_awaitable, io, down, net::use_future);

  const auto replica = []() -> net::awaitable<answer> {
    co_await wait(1ms);
    co_return 9;
  };
  const auto with_pipeline = seawall::compose(seawall::fallback_to(pipeline, seawall::idempotent(replica)));
  auto second = seawall::async_run(with_pipeline, io, down, net::use_future);
  io.run();
  CHECK(first.get() == answer(8));
  CHECK(second.get() == answer(9));
}

TEST_CASE("a coroutine that is cancelled while it awaits a call gives up the call and its attempt") {
  net::io_context io;
  net::cancellation_signal signal;
  bool attempt_cancelled = false;
  const auto op = seawall::idempotent([&]() -> net::awaitable<answer> {
    try {
      co_await wait(1h);
    } catch (const net_system::system_error&) {
      attempt_cancelled = true;
    }
    co_return 0;
  });
  const auto patient = seawall::compose(seawall::attempt_timeout({.after = 1h}));
  const auto client = [&]() -> net::awaitable<void> {
    co_await net::this_coro::throw_if_cancelled(false);
    const answer a =
        co_await seawall::async_run(patient, co_await net::this_coro::executor, op, use_awaitable);
    CHECK(a.status().code() == absl::StatusCode::kCancelled);
  };
  bool ended = false;
  net::co_spawn(io, client(), net::bind_cancellation_slot(signal.slot(), [&](const std::exception_ptr& e) {
                  CHECK_FALSE(e);
                  ended = true;
                }));
  io.poll();
  signal.emit(net::cancellation_type::terminal);
  io.run();
  CHECK(ended);
  CHECK(attempt_cancelled);
}

TEST_CASE("pipeline.async is awaited by coroutines of other kinds on an asio_scheduler; here by an attempt") {
  net::io_context io;
  const auto inner = seawall::compose(seawall::attempt_timeout({.after = 1h}));
  const auto op = [&](seawall::attempt a) {
    return inner.async(a, seawall_test::scheduler_on(io), []() -> net::awaitable<answer> {
      co_await wait(1us);
      co_return 7;
    });
  };
  auto got = seawall::async_run(pipeline, io, seawall::idempotent(op), net::use_future);
  io.run();
  CHECK(got.get() == answer(7));
}

}  // namespace
