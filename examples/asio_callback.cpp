// SPDX-License-Identifier: Apache-2.0

//   async_run(..., handler) --> [ retry ] --> [ attempt_timeout ] --> TCP server
//                                                     |
//   handler(exception, price)  <----------------------+
//
// The client of asio_coroutine.cpp with callbacks. An attempt is an asynchronous operation of Asio's own style, which hands on
// the completion token that it is given; error codes become exceptions. The handler's cancellation slot ends the whole call,
// wherever it is: here, the second caller loses patience.

#include <chrono>
#include <exception>

#include "seawall/exec/asio.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "support/async_get_quote.hpp"
#include "support/quote_server.hpp"
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/steady_timer.hpp>

using namespace std::chrono_literals;

int main() {
  asio::io_context io;
  quote_server server(io, "ch hhhh");  // the third request is answered
  const auto quotes =
      seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 5ms, .max = 20ms}}),
                       seawall::attempt_timeout({.after = 50ms}));
  const auto op = seawall::idempotent(
      [&](seawall::attempt, auto token) { return async_get_quote(io, server.endpoint(), token); });

  double price = 0;
  bool cancelled = false;
  asio::cancellation_signal impatience;
  asio::steady_timer patience(io);
  seawall::async_run(quotes, io, op, [&](const std::exception_ptr&, double first) {
    price = first;
    fmt::print("first caller:  {} after {} requests\n", price, server.requests());

    const auto on_second = [&](const std::exception_ptr& e, double) {
      try {
        if (e) std::rethrow_exception(e);
      } catch (const seawall::rejected_error& x) {
        cancelled = x.why().why == seawall::reason::cancelled;
        fmt::print("second caller: {}\n", x.what());
      }
      server.stop();
    };
    seawall::async_run(quotes, io, op, asio::bind_cancellation_slot(impatience.slot(), on_second));
    patience.expires_after(70ms);
    patience.async_wait([&](asio::error_code) { impatience.emit(asio::cancellation_type::terminal); });
  });
  io.run();
  return price == 1.0842 && cancelled ? 0 : 1;
}
