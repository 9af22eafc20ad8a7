// SPDX-License-Identifier: Apache-2.0

//   coroutine --co_await--> [ deadline ] --> [ retry ] --> [ breaker ] --> [ attempt_timeout ] --> TCP server
//
// A client of Asio's own kind: an attempt is an asio::awaitable, and the call is awaited. The server fails with its first
// answer, closes the second connection, and hangs at the third: there, the time-out cancels the attempt in the middle of its
// read, and the socket is closed. One thread, which waits for nobody.

#include <chrono>
#include <string>

#include "seawall/exec/asio.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "support/quote_server.hpp"
#include <asio/this_coro.hpp>

using namespace std::chrono_literals;
using asio::awaitable;
using asio::use_awaitable;

namespace {

/// One request; it knows nothing of seawall.
awaitable<absl::StatusOr<double>> get_quote(asio::ip::tcp::endpoint server, std::string symbol) {
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
  co_await socket.async_connect(server, use_awaitable);
  const std::string request = "GET " + symbol + "\n";
  co_await asio::async_write(socket, asio::buffer(request), use_awaitable);
  std::string answer;
  co_await asio::async_read_until(socket, asio::dynamic_buffer(answer), '\n', use_awaitable);
  if (!answer.starts_with("200 ")) co_return absl::UnavailableError(answer.substr(0, answer.size() - 1));
  co_return std::stod(answer.substr(4));
}

template <class Pipeline>
awaitable<bool> client(const Pipeline& quotes, quote_server& server) {
  const auto executor = co_await asio::this_coro::executor;
  const auto op = seawall::idempotent([&](seawall::attempt a) {
    fmt::print("  attempt {}\n", a.number());
    return get_quote(server.endpoint(), "EURUSD");
  });

  seawall::call_report report;
  const absl::StatusOr<double> quote =
      co_await seawall::async_run(quotes, {.report = &report}, executor, op, use_awaitable);
  server.stop();

  fmt::print("{} after {} attempts: one failed, one lost its connection, one was never answered\n",
             quote.value_or(0), report.attempts);
  co_return quote.ok() && *quote == 1.0842 && report.attempts == 4 && report.elapsed >= 100ms;
}

}  // namespace

int main() {
  asio::io_context io;
  quote_server server(io, "fch");
  seawall::circuit_breaker breaker({.name = "quotes"});
  const auto quotes =
      seawall::compose(seawall::deadline({.after = 5s}),
                       seawall::retry({.max_attempts = 5, .backoff = {.initial = 5ms, .max = 20ms}}),
                       seawall::breaker(breaker), seawall::attempt_timeout({.after = 100ms}));

  bool as_claimed = false;
  asio::co_spawn(io, client(quotes, server),
                 [&](const std::exception_ptr& e, bool ok) { as_claimed = !e && ok; });
  io.run();
  return as_claimed ? 0 : 1;
}
