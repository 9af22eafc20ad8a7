// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASIO_HPP
#define SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASIO_HPP

// `async_run` on an `asio::io_context`: with an operation that calls back and a handler, and with Asio's coroutines on both
// sides. In real time, on one thread.

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <optional>
#include <string_view>
#include <utility>

#include "conformance/drivers/asking.hpp"
#include "conformance/drivers/pool.hpp"
#include "conformance/drivers/virtual_async.hpp"
#include "conformance/operation.hpp"
#include "conformance/scenario.hpp"
#include "seawall/exec/asio.hpp"
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

namespace conformance {

using asio_loop = seawall::asio_scheduler<asio::io_context::executor_type>;

/// Runs the callers of a scenario on a context until nothing is left to do. `start(asking&)` starts a call.
template <class Start>
void play_on_context(const scenario& sc, recorder& log, asio::io_context& io, asio_loop& loop,
                     Start&& start) {
  std::list<asking> callers;
  for (const caller& c : sc.callers) {
    asking& one = callers.emplace_back(c, log, static_cast<std::uint32_t>(callers.size()));
    if (c.stops) at_time(loop, log.at(*c.stops), [&one] { one.goes(); });
    at_time(loop, log.at(c.at), [&one, &start] { start(one); });
  }
  io.run();
}

struct asio_callbacks {
  static constexpr std::string_view name = "Asio, callbacks";
  static constexpr bool preempts = true;
  static constexpr bool exact = false;

  template <class R, bool Idempotent, class Pipeline>
  static played play(const scenario& sc, const maker<Pipeline>& make, recorder::fraction scale) {
    asio::io_context io(1);
    asio_loop loop(io.get_executor());
    recorder log(seawall::steady_clock::now(), scale);
    loop_stage<asio_loop> st(log, loop);
    const Pipeline p = make(st);
    script_on<asio_loop> script(loop, scaled(sc.script, log), 42,
                                {.given_up = sc.given_up, .patience = log.of_driver(1s)});
    play_on_context(sc, log, io, loop, [&](asking& one) {
      seawall::async_run(
          p, one.options(), io,
          declared<Idempotent>(callback_operation<R, asio_loop>{{one.attempts(), &loop, &script}}),
          [&one](R answer) {
            one.told(answer, seawall::steady_clock::now());
            one.reports(seawall::steady_clock::now());
          });
    });
    return {log.take(), held_by_policies(st)};
  }
};

struct asio_coroutines {
  static constexpr std::string_view name = "Asio, coroutines";
  static constexpr bool preempts = true;
  static constexpr bool exact = false;

  template <class R, bool Idempotent, class Pipeline>
  static played play(const scenario& sc, const maker<Pipeline>& make, recorder::fraction scale) {
    asio::io_context io(1);
    asio_loop loop(io.get_executor());
    recorder log(seawall::steady_clock::now(), scale);
    loop_stage<asio_loop> st(log, loop);
    const Pipeline p = make(st);
    seawall::testing::script script = scaled(sc.script, log);
    play_on_context(sc, log, io, loop, [&](asking& one) {
      asio::co_spawn(
          io, call<R>(p, one, io, declared<Idempotent>(operation<R>{one.attempts(), &script, sc.given_up})),
          asio::detached);
    });
    return {log.take(), held_by_policies(st)};
  }

 private:
  template <class R, class Pipeline, class Op>
  static asio::awaitable<void> call(const Pipeline& p, asking& one, asio::io_context& io, Op op) {
    const R answer = co_await seawall::async_run(p, one.options(), io, std::move(op), asio::use_awaitable);
    one.told(answer, seawall::steady_clock::now());
    one.reports(seawall::steady_clock::now());
  }

  template <class R>
  struct operation {
    attempt_log log;
    seawall::testing::script* script;
    when_given_up given_up;

    asio::awaitable<R> operator()(attempt a) const {
      const std::uint32_t number = a.number();
      log.started(a, seawall::steady_clock::now());
      absl::StatusOr<int> answer = co_await wait(a);
      log.ended(number, answer.status(), seawall::steady_clock::now());
      co_return as<R>(std::move(answer));
    }

   private:
    asio::awaitable<absl::StatusOr<int>> wait(attempt a) const {
      const seawall::testing::step s = script->next(instant());
      const bool notices = given_up == when_given_up::stops || s.hangs;
      const instant now = seawall::steady_clock::now();
      const bool hangs = s.hangs || (notices && now + s.after > a.deadline());
      const duration longest = log.log().of_driver(10s);
      instant until = hangs ? a.deadline() + log.log().of_driver(1s) : now + s.after;
      if (until > now + longest) until = now + longest;
      if (!notices) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      asio::steady_timer timer(co_await asio::this_coro::executor, until.to_chrono());
      asio::error_code error;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return absl::CancelledError("scripted: given up");
      if (hangs) co_return seawall::testing::detail::no_answer_in_time();
      if (s.code == absl::StatusCode::kOk) co_return 42;
      co_return seawall::testing::detail::failure_of(s);
    }
  };
};

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_DRIVERS_ASIO_HPP
