// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_CONFORMANCE_DRIVERS_POOL_HPP
#define SEAWALL_TESTS_CONFORMANCE_DRIVERS_POOL_HPP

// `pipeline.run_on(pool)` with operations that block, and `pipeline.start(pool)`; both in real time, on several threads.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/drivers/asking.hpp"
#include "conformance/drivers/virtual_async.hpp"
#include "conformance/operation.hpp"
#include "conformance/scenario.hpp"
#include "seawall/exec/pool.hpp"
#include "seawall/testing/script.hpp"
#include "seawall/time.hpp"

namespace conformance {

inline seawall::pool_scheduler& pool_of_the_test() {
  static seawall::pool_scheduler pool({.threads = 4});
  return pool;
}

/// A script in the time of a driver.
inline seawall::testing::script scaled(std::string_view text, const recorder& log) {
  auto phases = seawall::testing::script::parse(text)->phases();
  for (auto& p : phases) {
    if (p.until != instant::never()) p.until = instant() + log.of_driver(p.until - instant());
    for (auto& s : p.steps) {
      s.after = log.of_driver(s.after);
      if (s.retry_after) s.retry_after = log.of_driver(*s.retry_after);
    }
  }
  return seawall::testing::script(std::move(phases));
}

inline void wait_until(instant t) { std::this_thread::sleep_until(t.to_chrono()); }

/// Runs the callers of a scenario, each in a thread of its own, and waits until nobody can write to the log any more.
/// `call(asking&)` returns when the caller has been told.
template <class Call>
void play_in_threads(const scenario& sc, recorder& log, Call&& call) {
  std::list<asking> callers;
  for (const caller& c : sc.callers) callers.emplace_back(c, log, static_cast<std::uint32_t>(callers.size()));
  std::vector<std::thread> threads;
  auto c = sc.callers.begin();
  for (asking& one : callers) {
    threads.emplace_back([&call, &one, at = log.at(c->at)] {
      wait_until(at);
      call(one);
    });
    if (c->stops) {
      threads.emplace_back([&one, at = log.at(*c->stops)] {
        wait_until(at);
        one.goes();
      });
    }
    ++c;
  }
  for (std::thread& t : threads) t.join();
  while (log.under_way() != 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

/// Blocks as its script says, until its attempt is given up.
template <class R>
class blocking_operation {
 public:
  struct shared {
    shared(seawall::testing::script s, when_given_up g) : script(std::move(s)), given_up(g) {}
    std::mutex mutex;
    seawall::testing::script script;
    when_given_up given_up;
  };
  blocking_operation(const attempt_log& log, std::shared_ptr<shared> s) : log_(log), shared_(std::move(s)) {}

  R operator()(const attempt& a) const {
    log_.started(a, seawall::steady_clock::now());
    const std::uint32_t number = a.number();
    absl::StatusOr<int> answer = wait(a);
    log_.ended(number, answer.status(), seawall::steady_clock::now());
    return as<R>(std::move(answer));
  }

 private:
  absl::StatusOr<int> wait(const attempt& a) const {
    const instant now = seawall::steady_clock::now();
    const seawall::testing::step s = [&] {
      const std::lock_guard lock(shared_->mutex);
      return shared_->script.next(instant());
    }();
    const bool notices = shared_->given_up == when_given_up::stops || s.hangs;
    const bool hangs = s.hangs || (notices && now + s.after > a.deadline());
    // A hang has an end even where nobody gives it up: callers that a busy machine woke in another order may have missed
    // the one who should have, and what comes out is then played again, more slowly.
    const instant until = !hangs                             ? now + s.after
                          : a.deadline() == instant::never() ? now + log_.log().of_driver(10s)
                                                             : a.deadline() + log_.log().of_driver(1s);
    if (!sleep(until, notices ? a.stop_token() : std::stop_token()))
      return absl::CancelledError("scripted: given up");
    if (hangs) return seawall::testing::detail::no_answer_in_time();
    if (s.code == absl::StatusCode::kOk) return 42;
    return seawall::testing::detail::failure_of(s);
  }
  static bool sleep(instant until, std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop, until.to_chrono(), [] { return false; });
    return !stop.stop_requested();
  }

  attempt_log log_;
  std::shared_ptr<shared> shared_;
};

class thread_stage final : public stage {
 public:
  using stage::stage;
  instant now() override { return seawall::steady_clock::now(); }
  void pass(duration d) override { wait_until(now() + d); }
  void later(duration d, const attempt& a, std::function<void()> then) override {
    wait_on(pool_of_the_test(), d, a.stop_token(), std::move(then));
  }
};

struct pool_blocking {
  static constexpr std::string_view name = "pool, run_on";
  static constexpr bool preempts = true;
  static constexpr bool exact = false;

  template <class R, bool Idempotent, class Pipeline>
  static played play(const scenario& sc, const maker<Pipeline>& make, recorder::fraction scale) {
    recorder log(seawall::steady_clock::now(), scale);
    thread_stage st(log);
    const Pipeline p = make(st);
    const auto shared =
        std::make_shared<typename blocking_operation<R>::shared>(scaled(sc.script, log), sc.given_up);
    play_in_threads(sc, log, [&](asking& one) {
      const auto answer = seawall::detail::stored_as<R>::keep([&]() -> R {
        return p.run_on(one.options(), pool_of_the_test(),
                        declared<Idempotent>(blocking_operation<R>(one.attempts(), shared)));
      });
      one.told(answer, seawall::steady_clock::now());
      one.reports(seawall::steady_clock::now());
    });
    return {log.take(), held_by_policies(st)};
  }
};

struct pool_async {
  static constexpr std::string_view name = "pool, start";
  static constexpr bool preempts = true;
  static constexpr bool exact = false;
  using scheduler = seawall::pool_scheduler;

  template <class R, bool Idempotent, class Pipeline>
  static played play(const scenario& sc, const maker<Pipeline>& make, recorder::fraction scale) {
    scheduler& pool = pool_of_the_test();
    recorder log(seawall::steady_clock::now(), scale);
    loop_stage<scheduler> st(log, pool);
    const Pipeline p = make(st);
    script_on<scheduler> script(pool, scaled(sc.script, log), 42,
                                {.given_up = sc.given_up, .patience = log.of_driver(1s)});
    play_in_threads(sc, log, [&](asking& one) {
      using S = seawall::answer_of<R>;
      p.start(one.options(), pool,
              declared<Idempotent>(callback_operation<R, scheduler>{{one.attempts(), &pool, &script}}),
              [&one](S&& answer) {
                one.told(answer, scheduler::now());
                one.reports(scheduler::now());
                one.is_finished();
              });
      one.wait_for_end();
    });
    return {log.take(), held_by_policies(st)};
  }
};

}  // namespace conformance

#endif  // SEAWALL_TESTS_CONFORMANCE_DRIVERS_POOL_HPP
