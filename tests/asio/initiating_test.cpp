// SPDX-License-Identifier: Apache-2.0
// Operations in Asio's own style: initiating functions that take a completion token.
#include <chrono>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/retry.hpp"
#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall_test::answer;

const auto pipeline =
    seawall::compose(seawall::retry({.max_attempts = 3, .backoff = {.initial = 1us, .max = 1us}}),
                     seawall::attempt_timeout({.after = 100ms}));

// An initiating function of each signature.
template <class... Results, class Token>
auto async_give(net::io_context& io, Token&& token, Results... results) {
  return net::async_initiate<Token, void(Results...)>(
      [&io](auto handler, auto... values) {
        net::post(io, [handler = std::move(handler), ... values = std::move(values)]() mutable {
          std::move(handler)(std::move(values)...);
        });
      },
      token, std::move(results)...);
}

TEST_CASE("an initiating function: each signature gives its result") {
  net::io_context io;
  const net_system::error_code none;
  auto nothing = seawall::async_run(pipeline, io, seawall::idempotent([&](seawall::attempt, auto token) {
                                      return async_give<>(io, token);
                                    }),
                                    net::use_future);
  auto plain = seawall::async_run(pipeline, io, seawall::idempotent([&](seawall::attempt, auto token) {
                                    return async_give(io, token, none, 7);
                                  }),
                                  net::use_future);
  auto pointer =
      seawall::async_run(pipeline, io, seawall::idempotent([&](seawall::attempt, auto token) {
                           return async_give(io, token, std::exception_ptr(), std::make_unique<int>(8));
                         }),
                         net::use_future);
  auto status = seawall::async_run(
      pipeline, io, seawall::idempotent([&](seawall::attempt a, auto token) {
        return async_give(io, token, a.number() < 3 ? answer(absl::UnavailableError("")) : answer(9));
      }),
      net::use_future);
  io.run();
  nothing.get();
  CHECK(plain.get() == 7);
  CHECK(*pointer.get() == 8);
  CHECK(status.get() == answer(9));
}

TEST_CASE("an initiating function that completes with an error code has thrown a system_error") {
  net::io_context io;
  int attempts = 0;
  const auto refused = [&](seawall::attempt, auto token) {
    ++attempts;
    return async_give(io, token, net_system::error_code(net::error::connection_refused), 0);
  };
  auto got = seawall::async_run(pipeline, io, seawall::idempotent(refused), net::use_future);
  io.run();
  CHECK_THROWS_AS(got.get(), net_system::system_error);
  CHECK(attempts == 3);
}

TEST_CASE("a time-out emits the cancellation of an initiating function's operation, which ends at once") {
  net::io_context io;
  net::steady_timer timer(io);
  const auto op = [&](seawall::attempt a, auto token) {
    timer.expires_after(a.number() < 3 ? std::chrono::nanoseconds(1h) : 1us);
    return timer.async_wait(token);
  };
  seawall::call_report report;
  auto got = seawall::async_run(pipeline, {.report = &report}, io, seawall::idempotent(op), net::use_future);
  io.run();
  got.get();
  CHECK(report.attempts == 3);
}

TEST_CASE("an initiating function in a pipeline that does not repeat needs no declaration; a key is kept") {
  net::io_context io;
  const auto once = seawall::compose(seawall::attempt_timeout({.after = 1h}));
  auto got = seawall::async_run(
      once, io, [&](seawall::attempt, auto token) { return async_give(io, token, 7); }, net::use_future);
  std::string key;
  const auto keyed = [&](seawall::attempt a, auto token) {
    key = a.idempotency_key();
    return async_give(io, token, 7);
  };
  seawall::async_run(pipeline, io, seawall::idempotent_by("k1", keyed), net::detached);
  io.run();
  CHECK(got.get() == 7);
  CHECK(key == "k1");
}

TEST_CASE("an initiating function that throws ends its attempt; one that lets go of its handler as well") {
  net::io_context io;
  int attempts = 0;
  const auto op = [&](seawall::attempt, auto token) {
    ++attempts;
    if (attempts == 1) throw std::runtime_error("at once");
    return net::async_initiate<decltype(token), void(answer)>([](auto handler) { (void)handler; }, token);
  };
  auto got = seawall::async_run(pipeline, io, seawall::idempotent(op), net::use_future);
  io.run();
  CHECK(got.get().status().code() == absl::StatusCode::kUnknown);
  CHECK(attempts == 3);
}

}  // namespace
