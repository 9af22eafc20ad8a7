// SPDX-License-Identifier: Apache-2.0
// Calls that wait for shared state, and are poked by others.
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>

#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::completion;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::held;
using seawall_test::result;

seawall::circuit_breaker_options one_probe() {
  return {.consecutive_failures = 1,
          .open_for = 10ms,
          .half_open = {.max_probes = 1,
                        .successes = 1,
                        .of = 1,
                        .lease = 1s,
                        .excess_calls = seawall::circuit_breaker_options::excess::waits}};
}

struct half_open {
  half_open() {
    breaker.force_open(loop.now());
    loop.run_for(10ms);
  }
  virtual_scheduler loop;
  seawall::circuit_breaker breaker{one_probe()};
};

TEST_CASE("calls that wait for a probe go on when it has ended, whichever thread ends it") {
  half_open h;
  const auto p = seawall::compose(seawall::breaker(h.breaker));
  held<> op;
  std::deque<answered<>> got(4);
  for (auto& g : got) p.start(h.loop, op.operation(), g.taker());
  h.loop.run_for(100ms);
  CHECK(op.started() == 1);
  CHECK(h.breaker.snapshot(h.loop.now()).waiting == 3);
  std::thread([&] { op.end(0, 1); }).join();
  h.loop.run_for(0ms);
  REQUIRE(op.started() == 4);
  CHECK(h.loop.elapsed() == seawall::duration(110ms));
  for (std::size_t i = 1; i < 4; ++i) op.end(i, 1);
  h.loop.run();
  for (const auto& g : got) CHECK(g.once());
}

TEST_CASE("a call that was poked in vain waits on, and is poked again") {
  virtual_scheduler loop;
  auto options = one_probe();
  options.half_open.successes = options.half_open.of = 3;
  seawall::circuit_breaker breaker(options);
  breaker.force_open(loop.now());
  loop.run_for(10ms);
  const auto p = seawall::compose(seawall::breaker(breaker));
  held<> op;
  std::deque<answered<>> got(5);
  for (auto& g : got) p.start(loop, op.operation(), g.taker());
  for (std::size_t probe = 0; probe < 3; ++probe) {
    REQUIRE(op.started() == probe + 1);
    op.end(probe, 1);
    loop.run_for(0ms);
  }
  REQUIRE(op.started() == 5);  // closed
  op.end(3, 1);
  op.end(4, 1);
  loop.run();
  for (const auto& g : got) CHECK(g.once());
  CHECK(loop.elapsed() == seawall::duration(10ms));
}

TEST_CASE("a call that stops waiting leaves the list: it is poked no more, and the others are") {
  half_open h;
  const auto p = seawall::compose(seawall::breaker(h.breaker));
  held<> op;
  answered<> probe, stopped, waiting;
  std::stop_source caller;
  p.start(h.loop, op.operation(), probe.taker());
  p.start({.stop = caller.get_token()}, h.loop, op.operation(), stopped.taker());
  p.start(h.loop, op.operation(), waiting.taker());
  caller.request_stop();
  h.loop.run_for(0ms);
  CHECK(stopped.once());
  CHECK(h.breaker.snapshot(h.loop.now()).waiting == 1);
  op.end(0, 1);
  h.loop.run_for(0ms);
  CHECK(op.started() == 2);
  op.end(1, 1);
  h.loop.run();
  CHECK(waiting.once());
}

TEST_CASE("a call that waits looks again when the probe's lease runs out") {
  half_open h;
  const auto p = seawall::compose(seawall::breaker(h.breaker));
  held<> op;
  answered<> probe, waiting;
  p.start(h.loop, op.operation(), probe.taker());
  p.start(h.loop, op.operation(), waiting.taker());
  h.loop.run_for(1s);
  CHECK(op.started() == 2);
  op.end(1, 1);
  op.end(0, 1);
  h.loop.run();
  CHECK(waiting.once());
}

TEST_CASE("a retry that waits for a breaker does not spin on the time-out of its earlier attempt") {
  half_open h;
  const auto p = seawall::compose(seawall::deadline({.after = 500ms}),
                                  seawall::retry({.max_attempts = 5,
                                                  .backoff = {.shape = seawall::backoff_shape::constant,
                                                              .initial = 20ms,
                                                              .jitter = seawall::jitter::none}}),
                                  seawall::breaker(h.breaker), seawall::attempt_timeout({.after = 5ms}));
  const auto other = seawall::compose(seawall::breaker(h.breaker));
  held<> op, probe;
  answered<> got, other_got;
  // Its probe times out, and opens the breaker again; while it pauses, another call takes the place of the next probe.
  p.start(h.loop, seawall::idempotent(op.operation()), got.taker());
  h.loop.run_for(24ms);
  REQUIRE(op.started() == 1);
  other.start(h.loop, probe.operation(), other_got.taker());
  REQUIRE(probe.started() == 1);
  h.loop.run_for(50ms);  // comes back only if nothing spins
  CHECK(op.started() == 1);
  CHECK(h.breaker.snapshot(h.loop.now()).waiting == 1);
  probe.end(0, 1);
  h.loop.run_for(1ms);
  REQUIRE(op.started() == 2);
  op.end(1, 2);
  op.end(0, 1);
  h.loop.run();
  CHECK(*got.value == 2);
}

TEST_CASE("pokes from many threads at once: nothing is lost, nothing is told twice") {
  seawall::pool_scheduler pool({.threads = 2});
  seawall::circuit_breaker breaker(one_probe());
  const auto p = seawall::compose(seawall::deadline({.after = 10s}), seawall::breaker(breaker));
  std::atomic<int> told{0};
  for (int round = 0; round < 50; ++round) {
    breaker.force_open();
    breaker.reset();
    told = 0;
    for (int i = 0; i < 20; ++i) {
      p.start(
          pool,
          [](completion<result> done) { std::thread([d = std::move(done)]() mutable { d(1); }).detach(); },
          [&](const result&) {
            if (++told == 20) told.notify_one();
          });
    }
    for (int seen = told; seen != 20; seen = told) told.wait(seen);
  }
  CHECK(told == 20);
}

}  // namespace
