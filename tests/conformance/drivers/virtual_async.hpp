// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_ASYNC_HPP
#define SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_ASYNC_HPP

// `pipeline.start` with an operation that calls back, and `co_await pipeline.async` in a coroutine of the test's own with one
// that is awaited; both on a `virtual_scheduler`.

#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "conformance/drivers/asking.hpp"
#include "conformance/operation.hpp"
#include "conformance/scenario.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/sleep.hpp"
#include "seawall/testing/async_script.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

namespace conformance {

template <class Scheduler>
detached wait_on(Scheduler& loop, duration d, std::stop_token stop, std::function<void()> then) {
  co_await seawall::sleep_for(loop, d, std::move(stop));
  then();
}

/// A stage on which nobody blocks.
template <class Scheduler>
class loop_stage final : public stage {
 public:
  loop_stage(recorder& r, Scheduler& loop) : stage(r), loop_(loop) {}
  instant now() override { return loop_.now(); }
  void later(duration d, const attempt& a, std::function<void()> then) override {
    wait_on(loop_, d, a.stop_token(), std::move(then));
  }

 private:
  Scheduler& loop_;
};

/// Does something at a time.
template <class Scheduler>
detached at_time(Scheduler& loop, instant when, std::function<void()> what) {
  if (when > loop.now()) co_await seawall::sleep_until(loop, when);
  what();
}

/// The stage and the callers of a scenario on a virtual scheduler. `prepare(loop, stage, script)` returns what starts one.
template <class Prepare>
played play_on_virtual_scheduler(const scenario& sc, Prepare&& prepare) {
  std::optional<seawall::testing::virtual_scheduler> shuffled;
  std::optional<seawall::testing::virtual_scheduler> in_order;
  auto& loop = sc.shuffled ? shuffled.emplace(*sc.shuffled) : in_order.emplace();
  recorder log{instant()};
  loop_stage<seawall::testing::virtual_scheduler> st(log, loop);
  script_on<seawall::testing::virtual_scheduler> script(loop, sc.script, 42, {.given_up = sc.given_up});
  const std::function<void(asking&)> start = prepare(loop, st, script);

  std::list<asking> callers;
  std::size_t still_to_do = 0;
  const auto at = [&](duration when, std::function<void()> what) {
    ++still_to_do;
    at_time(loop, log.at(when), [&still_to_do, what] {
      what();
      --still_to_do;
    });
  };
  for (const caller& c : sc.callers) {
    asking& one = callers.emplace_back(c, log, static_cast<std::uint32_t>(callers.size()));
    if (c.stops) at(*c.stops, [&one] { one.goes(); });
  }
  const auto begin = [&](asking& one) { at(one.who().at, [&one, &start] { start(one); }); };
  for (auto one = callers.begin(); one != callers.end(); ++one) {
    const auto next = std::next(one);
    if (sc.one_by_one && next != callers.end()) one->afterwards([&begin, next] { begin(*next); });
    if (!sc.one_by_one || one == callers.begin()) begin(*one);
  }
  const auto all_ended = [&] {
    for (const asking& one : callers) {
      if (one.endings() == 0) return false;
    }
    return still_to_do == 0 && log.under_way() == 0;
  };
  while (!all_ended() && loop.run_one()) {
  }

  std::string left;
  // What was posted ends at once; a timer would be waited for.
  loop.run_until(loop.now());
  if (loop.run_one()) left += "a timer; ";
  loop.run();
  for (const asking& one : callers) {
    if (one.endings() != 1) left += std::to_string(one.endings()) + " endings; ";
  }
  if (script.under_way() != 0) left += std::to_string(script.under_way()) + " attempts; ";
  left += held_by_policies(st);
  return {log.take(), std::move(left)};
}

struct virtual_async {
  static constexpr std::string_view name = "virtual async, callbacks";
  static constexpr bool preempts = true;
  static constexpr bool exact = true;
  using scheduler = seawall::testing::virtual_scheduler;

  template <class R, bool Idempotent, class Pipeline, class Nested = nothing_nested>
  static played play(const scenario& sc, const maker<Pipeline>& make, bool asks,
                     const maker<Nested>& make_nested = {}) {
    return play_on_virtual_scheduler(sc, [&](scheduler& loop, stage& st, script_on<scheduler>& script) {
      const Pipeline& p = st.keep(make(st));
      std::function<void(asking&)> start;
      if constexpr (std::is_same_v<Nested, nothing_nested>) {
        start = [&p, &loop, &st, &script, asks](asking& one) {
          call<R>(loop, st, p, one, asks,
                  declared<Idempotent>(callback_operation<R, scheduler>{{one.attempts(), &loop, &script}}));
        };
      } else {
        const Nested& inner = st.keep(make_nested(st).listen(st.hears()));
        start = [&p, &inner, &loop, &st, &script, asks](asking& one) {
          const callback_operation<R, scheduler> op{{one.attempts(), &loop, &script}};
          call<R>(loop, st, p, one, asks,
                  declared<Idempotent>([&inner, &loop, op](attempt a, seawall::completion<R> done) {
                    inner.start(a, loop, declared<Idempotent>(op),
                                [done = std::move(done)](R&& r) mutable { done(std::move(r)); });
                  }));
        };
      }
      return start;
    });
  }

 private:
  template <class R, class Pipeline, class Op>
  static void call(scheduler& loop, stage& st, const Pipeline& p, asking& one, bool asks, Op op) {
    using S = seawall::answer_of<R>;
    const auto done = [&loop, &one, asks](S&& answer) {
      one.told(answer, loop.now());
      if (asks) one.reports(loop.now());
      one.is_finished();
    };
    if (asks) {
      p.start(one.options(), loop, std::move(op), done);
    } else {
      const Pipeline& listening = st.keep(p.listen(st.hears(one.number())));
      listening.start(loop, std::move(op), done);
    }
  }
};

struct virtual_coroutine {
  static constexpr std::string_view name = "virtual async, coroutines";
  static constexpr bool preempts = true;
  static constexpr bool exact = true;
  using scheduler = seawall::testing::virtual_scheduler;

  template <class R, bool Idempotent, class Pipeline, class Nested = nothing_nested>
  static played play(const scenario& sc, const maker<Pipeline>& make, bool /*asks*/,
                     const maker<Nested>& make_nested = {}) {
    return play_on_virtual_scheduler(sc, [&](scheduler& loop, stage& st, script_on<scheduler>& script) {
      const Pipeline& p = st.keep(make(st));
      std::function<void(asking&)> start;
      if constexpr (std::is_same_v<Nested, nothing_nested>) {
        start = [&p, &loop, &script](asking& one) {
          call<R>(loop, p, one,
                  declared<Idempotent>(awaitable_operation<R, scheduler>{one.attempts(), &loop, &script}));
        };
      } else {
        const Nested& inner = st.keep(make_nested(st).listen(st.hears()));
        start = [&p, &inner, &loop, &script](asking& one) {
          const awaitable_operation<R, scheduler> op{one.attempts(), &loop, &script};
          call<R>(loop, p, one, declared<Idempotent>([&inner, &loop, op](attempt a) {
                    return inner.async(a, loop, declared<Idempotent>(op));
                  }));
        };
      }
      return start;
    });
  }

 private:
  template <class R, class Pipeline, class Op>
  static detached call(scheduler& loop, const Pipeline& p, asking& one, Op op) {
    std::exception_ptr thrown;
    try {
      if constexpr (std::is_void_v<R>) {
        co_await p.async(one.options(), loop, std::move(op));
        one.told(absl::OkStatus(), loop.now());
      } else if constexpr (std::is_same_v<R, int>) {
        const int value = co_await p.async(one.options(), loop, std::move(op));
        one.told(absl::StatusOr<int>(value), loop.now());
      } else {
        const R answer = co_await p.async(one.options(), loop, std::move(op));
        one.told(answer, loop.now());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    if (thrown) one.told(thrown, loop.now());
    one.reports(loop.now());
    one.is_finished();
  }
};

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_DRIVERS_VIRTUAL_ASYNC_HPP
