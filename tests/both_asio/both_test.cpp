// SPDX-License-Identifier: Apache-2.0
// Asio and Boost.Asio in one translation unit: each executor finds its own async_run.
#include "seawall/exec/asio.hpp"
#include "seawall/exec/boost_asio.hpp"
#include "seawall/retry.hpp"
#include <asio/any_io_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

namespace {

TEST_CASE("Asio and Boost.Asio in one program: contexts, executors, coroutines and tokens of each") {
  const auto pipeline = seawall::compose(seawall::retry());
  asio::io_context io;
  boost::asio::io_context boost_io;
  const auto op = seawall::idempotent([]() -> asio::awaitable<int> { co_return 1; });
  const auto boost_op = seawall::idempotent([]() -> boost::asio::awaitable<int> { co_return 2; });
  asio::steady_timer timer(io);
  boost::asio::steady_timer boost_timer(boost_io);
  const auto wait =
      seawall::idempotent([&](seawall::attempt, auto token) { return timer.async_wait(token); });
  const auto boost_wait =
      seawall::idempotent([&](seawall::attempt, auto token) { return boost_timer.async_wait(token); });

  auto a = seawall::async_run(pipeline, io, op, asio::use_future);
  auto b = seawall::async_run(pipeline, boost_io, boost_op, boost::asio::use_future);
  auto c = seawall::async_run(pipeline, asio::any_io_executor(io.get_executor()), op, asio::use_future);
  auto d = seawall::async_run(pipeline, boost::asio::any_io_executor(boost_io.get_executor()), boost_op,
                              boost::asio::use_future);
  auto e = seawall::async_run(pipeline, io, wait, asio::use_future);
  auto f = seawall::async_run(pipeline, boost_io, boost_wait, boost::asio::use_future);
  io.run();
  boost_io.run();
  CHECK(a.get() + 10 * b.get() + 100 * c.get() + 1000 * d.get() == 2121);
  CHECK_NOTHROW(e.get());  // aborted waits would throw
  CHECK_NOTHROW(f.get());
}

}  // namespace
