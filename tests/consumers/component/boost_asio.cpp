// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <seawall/exec/boost_asio.hpp>
#include <seawall/seawall.hpp>

using namespace std::chrono_literals;
using boost::asio::awaitable;

int main() {
  const auto quotes = seawall::compose(seawall::deadline({.after = 20s}),
                                       seawall::retry({.backoff = {.initial = 1ms, .max = 1ms}}));
  const auto op = seawall::idempotent([](seawall::attempt a) -> awaitable<absl::StatusOr<int>> {
    if (a.number() < 3) co_return absl::UnavailableError("connection refused");
    co_return 42;
  });
  int quote = 0;
  const auto client = [&]() -> awaitable<void> {
    const auto here = co_await boost::asio::this_coro::executor;
    quote = (co_await seawall::async_run(quotes, here, op, boost::asio::use_awaitable)).value_or(0);
  };
  boost::asio::io_context io;
  boost::asio::co_spawn(io, client, boost::asio::detached);
  io.run();
  return quote == 42 ? 0 : 1;
}
