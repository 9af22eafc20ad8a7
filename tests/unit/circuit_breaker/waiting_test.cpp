// SPDX-License-Identifier: Apache-2.0
// Excess callers of a half-open breaker that wait for the verdict: by hand, in virtual time, and on real threads.
#include <atomic>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/frames.hpp"
#include "support/hand_driven_breaker.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

circuit_breaker_options excess_waits() {
  auto options = trips_at_two();
  options.half_open.excess_calls = circuit_breaker_options::excess::waits;
  return options;
}

using breaker_pipeline = pipeline<detail::breaker_layer<detail::one_breaker>>;

// A half-open breaker whose one probe is under way, and a caller that waits.
struct one_waits : hand_driven {
  explicit one_waits(circuit_breaker_options o = excess_waits()) : hand_driven(std::move(o)) {
    half_open();
    probe = acquire();
    caller.emplace(pipe, now, &waker);
    CHECK_FALSE(caller->start(now));
    CHECK_FALSE(caller->asks_for_attempt());
    CHECK(seen().waiting == 1);
  }

  breaker_pipeline pipe = compose(seawall::breaker(this->breaker));
  fake_waker waker;
  permit probe;
  std::optional<hand_driven_call<breaker_pipeline>> caller;
};

}  // namespace

TEST_CASE("circuit_breaker: an excess caller that waits is woken and admitted when the probe succeeds") {
  one_waits b;
  b.probe.success(b.now);
  CHECK(b.waker.pokes == 1);
  CHECK_FALSE(b.caller->on_time(b.now));
  CHECK(b.caller->asks_for_attempt());
  CHECK(b.seen().waiting == 0);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: an excess caller that waits is woken and rejected when the probe fails") {
  one_waits b;
  b.probe.failure(b.now);
  CHECK(b.waker.pokes == 1);
  const resolution r = b.caller->on_time(b.now);
  CHECK(r.how == resolution::kind::rejection);
  CHECK(b.caller->call.last_rejection().why == reason::open);
  CHECK(r.v.retry_after == duration(10s));
  CHECK(b.seen().waiting == 0);
}

TEST_CASE("circuit_breaker: a waiting caller becomes the probe when the probe says nothing") {
  one_waits b;
  b.probe.release();
  CHECK(b.waker.pokes == 1);
  CHECK_FALSE(b.caller->on_time(b.now));
  CHECK(b.caller->asks_for_attempt());
  CHECK(b.seen().probes == 1);
  CHECK(b.caller->finish(b.now, verdict::ok()));
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a waiting caller looks again when a lease runs out, and takes the place") {
  one_waits b;
  CHECK(b.caller->frame.wake_at() == b.now + 60s);
  b.pass(60s);
  CHECK_FALSE(b.caller->on_time(b.now));
  CHECK(b.caller->asks_for_attempt());
  CHECK(b.caller->frame.wake_at() == instant::never());
}

TEST_CASE("circuit_breaker: being woken for nothing changes nothing") {
  one_waits b;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(b.caller->on_time(b.now));
    CHECK_FALSE(b.caller->asks_for_attempt());
    CHECK(b.seen().waiting == 1);
  }
}

TEST_CASE("circuit_breaker: a waiting caller that is cancelled leaves the list, and is not poked any more") {
  one_waits b;
  b.caller->cancel();
  CHECK(b.seen().waiting == 0);
  b.probe.success(b.now);
  CHECK(b.waker.pokes == 0);
}

TEST_CASE("circuit_breaker: a waiting caller whose frame dies leaves the list") {
  one_waits b;
  b.caller.reset();
  CHECK(b.seen().waiting == 0);
  b.probe.success(b.now);
  CHECK(b.waker.pokes == 0);
}

TEST_CASE("circuit_breaker: with x of y a good probe lets a waiting caller be the next one") {
  auto options = excess_waits();
  options.half_open.successes = 2;
  options.half_open.of = 3;
  one_waits b(options);
  b.probe.success(b.now);
  CHECK(b.waker.pokes == 1);
  CHECK_FALSE(b.caller->on_time(b.now));
  CHECK(b.caller->asks_for_attempt());
  CHECK(b.caller->finish(b.now, verdict::ok()));
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: controls wake the waiting callers") {
  struct expected {
    void (circuit_breaker::*control)(instant) noexcept;
    reason why;
  };
  for (const auto& e :
       {expected{&circuit_breaker::reset, reason::none}, expected{&circuit_breaker::disable, reason::none},
        expected{&circuit_breaker::metrics_only, reason::none},
        expected{&circuit_breaker::isolate, reason::isolated},
        expected{&circuit_breaker::force_open, reason::open}}) {
    one_waits b;
    (b.breaker.*e.control)(b.now);
    CHECK(b.waker.pokes == 1);
    const resolution r = b.caller->on_time(b.now);
    CHECK(b.caller->asks_for_attempt() == (e.why == reason::none));
    if (r) CHECK(b.caller->call.last_rejection().why == e.why);
    CHECK(b.seen().waiting == 0);
  }
}

TEST_CASE("circuit_breaker: more callers than may wait are rejected") {
  auto options = excess_waits();
  options.half_open.max_waiting = 1;
  one_waits b(options);
  hand_driven_call late(b.pipe, b.now, &b.waker);
  CHECK(late.start(b.now).how == resolution::kind::rejection);
  CHECK(late.call.last_rejection().why == reason::half_open);
  CHECK(b.seen().waiting == 1);
}

TEST_CASE("circuit_breaker: the place in the list of a caller that has left is free for another") {
  auto options = excess_waits();
  options.half_open.max_waiting = 1;
  one_waits b(options);
  b.caller->cancel();
  hand_driven_call late(b.pipe, b.now, &b.waker);
  CHECK_FALSE(late.start(b.now));
  CHECK(b.seen().waiting == 1);
}

TEST_CASE("circuit_breaker: where nobody may wait, excess callers are rejected") {
  auto options = excess_waits();
  options.half_open.max_waiting = 0;
  hand_driven b(options);
  b.half_open();
  auto probe = b.acquire();
  const auto pipe = compose(breaker(b.breaker));
  fake_waker waker;
  hand_driven_call caller(pipe, b.now, &waker);
  CHECK(caller.start(b.now).how == resolution::kind::rejection);
}

TEST_CASE("circuit_breaker: by default excess callers are rejected, waker or not") {
  hand_driven b(trips_at_two());
  b.half_open();
  auto probe = b.acquire();
  const auto pipe = compose(breaker(b.breaker));
  fake_waker waker;
  hand_driven_call caller(pipe, b.now, &waker);
  CHECK(caller.start(b.now).how == resolution::kind::rejection);
  CHECK(b.seen().waiting == 0);
}

TEST_CASE("circuit_breaker: in a driver in which nothing can wait, excess callers are rejected") {
  hand_driven b(excess_waits());
  b.half_open();
  auto probe = b.acquire();
  const auto pipe = compose(breaker(b.breaker));
  hand_driven_call caller(pipe, b.now, nullptr);
  CHECK(caller.start(b.now).how == resolution::kind::rejection);
}

TEST_CASE("circuit_breaker: nobody waits for an open breaker") {
  hand_driven b(excess_waits());
  b.open();
  const auto pipe = compose(breaker(b.breaker));
  fake_waker waker;
  hand_driven_call caller(pipe, b.now, &waker);
  CHECK(caller.start(b.now).how == resolution::kind::rejection);
}

TEST_CASE("circuit_breaker: waiting callers are rejected once a reconfiguration says so") {
  one_waits b;
  REQUIRE_FALSE(b.breaker.reconfigure(trips_at_two()));
  CHECK(b.waker.pokes == 1);
  CHECK(b.caller->on_time(b.now).how == resolution::kind::rejection);
  CHECK(b.seen().waiting == 0);
}

TEST_CASE("circuit_breaker: in virtual time a caller waits until the lease of a hung probe ends") {
  hand_driven b(excess_waits());
  b.half_open();
  auto hung = b.acquire();
  testing::virtual_clock clock(b.now);
  const auto pipe = compose(breaker(b.breaker));
  CHECK(testing::run(clock, pipe, [] { return absl::OkStatus(); }).ok());
  CHECK(clock.now() == b.now + 60s);
  CHECK(b.breaker.snapshot(clock.now()).state == breaker_state::closed);
}

TEST_CASE("circuit_breaker: threads that wait get the verdict of the probe") {
  for (const bool good : {true, false}) {
    hand_driven b(excess_waits());
    b.now = steady_clock::now();
    b.breaker.restore({.state = breaker_state::half_open, .time_left = {}, .trips = 1}, b.now);
    auto probe = b.acquire();
    REQUIRE(probe);
    const auto pipe = compose(breaker(b.breaker));
    std::atomic<int> called{0};
    std::vector<std::thread> callers;
    std::atomic<int> rejected{0};
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        const absl::Status s = pipe.run([&] {
          ++called;
          return absl::OkStatus();
        });
        rejected += s.ok() ? 0 : 1;
      });
    }
    while (b.breaker.snapshot().waiting != 4) std::this_thread::yield();
    CHECK(called == 0);
    probe.settle(good ? verdict::ok() : verdict::transient(), steady_clock::now());
    for (auto& t : callers) t.join();
    CHECK(called == (good ? 4 : 0));
    CHECK(rejected == (good ? 0 : 4));
    CHECK(b.breaker.snapshot().waiting == 0);
  }
}

TEST_CASE("circuit_breaker: a thread that waits goes when its caller's stop token fires") {
  hand_driven b(excess_waits());
  b.breaker.restore({.state = breaker_state::half_open, .time_left = {}, .trips = 1}, steady_clock::now());
  auto probe = b.breaker.try_acquire();
  REQUIRE(probe);
  const auto pipe = compose(breaker(b.breaker));
  std::stop_source gone;
  absl::Status result;
  std::thread caller([&] { result = pipe.run({.stop = gone.get_token()}, [] { return absl::OkStatus(); }); });
  while (b.breaker.snapshot().waiting != 1) std::this_thread::yield();
  gone.request_stop();
  caller.join();
  CHECK(absl::IsCancelled(result));
  CHECK(b.breaker.snapshot().waiting == 0);
  CHECK(b.breaker.snapshot().probes == 1);
}

TEST_CASE("circuit_breaker: a dependency that recovers lets all threads through, though places come and go") {
  auto options = excess_waits();
  options.half_open.max_waiting = 100;
  options.half_open.successes = 5;
  options.half_open.of = 5;
  for (int round = 0; round < 20; ++round) {
    circuit_breaker b(options);
    b.restore({.state = breaker_state::half_open, .time_left = {}, .trips = 1}, steady_clock::now());
    const auto pipe = compose(breaker(b));
    std::atomic<int> answered{0};
    on_threads(8, [&](int) { answered += pipe.run([] { return absl::OkStatus(); }).ok() ? 1 : 0; });
    REQUIRE(answered == 8);
    REQUIRE(b.snapshot().state == breaker_state::closed);
    REQUIRE(b.snapshot().waiting == 0);
  }
}
