// SPDX-License-Identifier: Apache-2.0
// Every completion token, and what signature each kind of result gives.
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <tuple>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

// In Asio 1.22 they are experimental still.
#if defined(SEAWALL_TEST_BOOST_ASIO)
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
namespace since_moved = boost::asio;
#elif __has_include(<asio/as_tuple.hpp>)
#include <asio/as_tuple.hpp>
#include <asio/deferred.hpp>
namespace since_moved = asio;
#else
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/deferred.hpp>
namespace since_moved = asio::experimental;
#endif

namespace {

using namespace std::chrono_literals;
using seawall_test::answer;

const auto pipeline = seawall::compose(seawall::retry({.backoff = {.initial = 1us, .max = 1us}}),
                                       seawall::attempt_timeout({.after = 10s}));
// Fails twice; as a callback operation.
auto third_time(int value) {
  return seawall::idempotent([value](seawall::attempt a, seawall::completion<answer> done) {
    a.number() < 3 ? done(absl::UnavailableError("not yet")) : done(value);
  });
}

template <class T>
T run_coroutine(net::awaitable<T> coroutine) {
  net::io_context io;
  auto result = net::co_spawn(io, std::move(coroutine), net::use_future);
  io.run();
  return result.get();
}

TEST_CASE("callback: a result that tells of failures comes alone") {
  net::io_context io;
  answer got = absl::UnknownError("");
  seawall::async_run(pipeline, io, third_time(7), [&](answer a) { got = std::move(a); });
  io.run();
  CHECK(got == answer(7));
}

TEST_CASE("callback: a plain value comes after what was thrown instead, an operation of void alone") {
  net::io_context io;
  int value = 0, calls = 0;
  const auto fine = [&](std::exception_ptr e, int v) {
    CHECK_FALSE(e);
    value = v;
    ++calls;
  };
  seawall::async_run(pipeline, io, seawall::idempotent([] { return 7; }), fine);
  const auto threw = [&](std::exception_ptr e, int v) {
    CHECK_THROWS_WITH_AS(std::rethrow_exception(e), "wrong", std::logic_error);
    CHECK(v == 0);
    ++calls;
  };
  seawall::async_run(pipeline, io, seawall::idempotent([]() -> int { throw std::logic_error("wrong"); }),
                     threw);
  const auto nothing = [&](std::exception_ptr e) {
    CHECK_FALSE(e);
    ++calls;
  };
  seawall::async_run(pipeline, io, seawall::idempotent([] {}), nothing);
  io.run();
  CHECK(value == 7);
  CHECK(calls == 3);
}

TEST_CASE("use_future: the result, or what was thrown") {
  net::io_context io;
  auto status = seawall::async_run(pipeline, io, third_time(7), net::use_future);
  auto value = seawall::async_run(pipeline, io, seawall::idempotent([] { return 8; }), net::use_future);
  const auto wrong = seawall::idempotent([]() -> int { throw std::logic_error("wrong"); });
  auto thrown = seawall::async_run(pipeline, io, wrong, net::use_future);
  io.run();
  CHECK(status.get() == answer(7));
  CHECK(value.get() == 8);
  CHECK_THROWS_AS(thrown.get(), std::logic_error);
}

TEST_CASE("use_awaitable: the result, or what was thrown") {
  const auto client = []() -> net::awaitable<int> {
    const auto here = co_await net::this_coro::executor;
    const answer status = co_await seawall::async_run(pipeline, here, third_time(7), net::use_awaitable);
    const int value = co_await seawall::async_run(pipeline, here, seawall::idempotent([] { return 8; }),
                                                  net::use_awaitable);
    const auto wrong = seawall::idempotent([]() -> int { throw std::logic_error("wrong"); });
    try {
      co_await seawall::async_run(pipeline, here, wrong, net::use_awaitable);
    } catch (const std::logic_error&) {
      co_return *status * 10 + value;
    }
    co_return 0;
  };
  CHECK(run_coroutine(client()) == 78);
}

TEST_CASE("as_tuple: nothing is thrown") {
  const auto client = []() -> net::awaitable<int> {
    const auto here = co_await net::this_coro::executor;
    const auto wrong = seawall::idempotent([]() -> int { throw std::logic_error("wrong"); });
    constexpr auto as_tuple = since_moved::as_tuple(net::use_awaitable);
    const auto [error, none] = co_await seawall::async_run(pipeline, here, wrong, as_tuple);
    const auto [status] = co_await seawall::async_run(pipeline, here, third_time(7), as_tuple);
    co_return error != nullptr&& none == 0 ? *status : 0;
  };
  CHECK(run_coroutine(client()) == 7);
}

TEST_CASE("deferred: the call starts when it is asked for, and not before") {
  net::io_context io;
  int attempts = 0;
  const auto op = seawall::idempotent([&attempts]() -> answer { return ++attempts; });
  auto later = seawall::async_run(pipeline, seawall::call_options(), io, op, since_moved::deferred);
  io.run();
  CHECK(attempts == 0);
  answer got = absl::UnknownError("");
  std::move(later)([&](answer a) { got = std::move(a); });
  CHECK(attempts == 1);
  io.restart();
  io.run();
  CHECK(got == answer(1));
}

TEST_CASE("detached: the call runs, and its result is let go of") {
  net::io_context io;
  int attempts = 0;
  const auto op = seawall::idempotent(
      [&attempts]() -> answer { return ++attempts < 3 ? answer(absl::UnavailableError("")) : answer(1); });
  seawall::async_run(pipeline, io, op, net::detached);
  io.run();
  CHECK(attempts == 3);
}

TEST_CASE("options and the enclosing attempt come before the executor") {
  net::io_context io;
  seawall::call_report report;
  auto with_options = seawall::async_run(pipeline, {.report = &report}, io, third_time(7), net::use_future);
  // Retries are left to the enclosing call.
  seawall::call_report inner;
  const auto nested = seawall::idempotent([&](seawall::attempt a, seawall::completion<answer> done) {
    seawall::async_run(pipeline, a, {.report = &inner}, io, third_time(a.number() == 3 ? 9 : 0),
                       [done = std::move(done)](answer r) mutable { done(std::move(r)); });
  });
  auto enclosing = seawall::async_run(pipeline, io, nested, net::use_future);
  io.run();
  CHECK(with_options.get() == answer(7));
  CHECK(report.attempts == 3);
  CHECK(enclosing.get().status().code() == absl::StatusCode::kUnavailable);
  CHECK(inner.attempts == 1);
}

TEST_CASE("an executor of any kind: a context's, a strand, a polymorphic one, a pool's") {
  net::io_context io;
  net::thread_pool pool(2);
  const auto run = [](auto&& place) {
    return seawall::async_run(pipeline, place, third_time(7), net::use_future);
  };
  auto a = run(io);
  auto b = run(io.get_executor());
  auto c = run(net::make_strand(io));
  auto d = run(net::any_io_executor(io.get_executor()));
  auto e = run(net::any_io_executor(net::make_strand(io)));
  auto f = run(pool);
  io.run();
  pool.join();
  for (auto* result : {&a, &b, &c, &d, &e, &f}) CHECK(result->get() == answer(7));
}

}  // namespace
