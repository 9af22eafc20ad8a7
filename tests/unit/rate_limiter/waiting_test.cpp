// SPDX-License-Identifier: Apache-2.0
// Reservations of a rate limiter, and calls that wait in its layer.

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/rate_limiter.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::rate_algorithm;
using seawall::rate_limiter;
using seawall::rate_limiter_options;
using seawall::reason;
using seawall::verdict;
using seawall_test::hand_driven_call;
using kind = seawall::resolution::kind;

// The sliding counter takes one permit a window for half of one in two: it would give other times.
constexpr rate_algorithm algorithms[] = {rate_algorithm::gcra, rate_algorithm::fixed_window,
                                         rate_algorithm::sliding_log};
constexpr instant start = instant::from_ns(3'600'000'000'000);

/// One permit each 100 ms, whatever the algorithm; up to three wait, for up to 250 ms.
rate_limiter_options usual() {
  return {.name = "r", .permits = 1, .per = 100ms, .max_wait = 250ms, .max_waiting = 3};
}

TEST_CASE("rate_limiter: whoever waits is given a time, one interval after the other") {
  for (const auto a : algorithms) {
    CAPTURE(to_string(a));
    auto o = usual();
    o.algorithm = a;
    rate_limiter l(o);
    const auto first = l.reserve(start);
    const auto second = l.reserve(start), third = l.reserve(start + 10ms);
    CHECK(first.at() == start);
    CHECK(second.at() == start + 100ms);
    CHECK(third.at() == start + 200ms);
    CHECK(l.snapshot(start).waiting == 2);
  }
}

TEST_CASE("rate_limiter: certain denials are immediate: too long a wait, a deadline, too many waiters") {
  rate_limiter l(usual());
  l.reserve(start).use();
  auto a = l.reserve(start), b = l.reserve(start);
  const auto too_long = l.reserve(start);
  CHECK(too_long.why() == reason::wait_timed_out);
  CHECK(too_long.retry_after() == duration(300ms));
  CHECK(l.reserve(start + 50ms).at() == start + 300ms);  // met by equality; given back at once

  const auto late = l.reserve(start + 60ms, 1, start + 300ms);
  CHECK(late.why() == reason::wait_timed_out);
  CHECK(l.reserve(start + 60ms, 1, start + 300ms + 1ns));

  auto c = l.reserve(start + 60ms);
  const auto too_many = l.reserve(start + 160ms);
  CHECK(too_many.why() == reason::queue_full);
  CHECK(too_many.retry_after() == duration(240ms));
  CHECK(l.snapshot(start).waiting == 3);
}

TEST_CASE("rate_limiter: a refused reservation leaves nothing behind") {
  rate_limiter l(usual());
  l.reserve(start).use();
  for (int i = 0; i < 100; ++i) CHECK_FALSE(l.reserve(start, 1, start + 100ms));
  CHECK(l.snapshot(start).waiting == 0);
  CHECK(l.reserve(start).at() == start + 100ms);
}

TEST_CASE(
    "rate_limiter: what a returned reservation frees goes to the next caller; the others keep their times") {
  for (const auto a : algorithms) {
    CAPTURE(to_string(a));
    auto o = usual();
    o.algorithm = a;
    rate_limiter l(o);
    l.reserve(start).use();
    auto first = l.reserve(start), second = l.reserve(start);
    first.give_back(start + 10ms);
    CHECK(l.snapshot(start).waiting == 1);
    const auto next = l.reserve(start + 20ms);
    CHECK(next.at() == start + 100ms);
    CHECK(second.at() == start + 200ms);
    const auto after = l.reserve(start + 60ms);
    CHECK(after.at() == start + 300ms);
  }
}

TEST_CASE("rate_limiter: a freed time is also for those who don't wait, at that time and at no other") {
  rate_limiter l(usual());
  l.reserve(start).use();
  auto first = l.reserve(start), second = l.reserve(start);
  first.give_back(start + 10ms);
  CHECK_FALSE(l.try_acquire(start + 100ms - 1ns));
  CHECK(l.try_acquire(start + 100ms));
  CHECK_FALSE(l.try_acquire(start + 100ms));
  CHECK_FALSE(l.try_acquire(start + 199ms));
}

TEST_CASE("rate_limiter: a freed time that has passed is nobody's: it would be too close to the next one") {
  rate_limiter l(usual());
  l.reserve(start).use();
  auto first = l.reserve(start), second = l.reserve(start);
  first.give_back(start + 10ms);
  CHECK_FALSE(l.try_acquire(start + 150ms));
  CHECK(l.reserve(start + 150ms).at() == start + 300ms);
}

TEST_CASE("rate_limiter: reservations given back in any order leave a limiter as it was") {
  for (const bool forwards : {true, false}) {
    auto o = usual();
    o.permits = 10;
    o.per = 1s;
    o.burst = 4;
    o.max_waiting = 10;
    o.max_wait = 1s;
    rate_limiter l(o);
    l.reserve(start, 4).use();
    std::vector<rate_limiter::reservation> all;
    for (int i = 0; i < 6; ++i) all.push_back(l.reserve(start));
    for (std::size_t i = 0; i < 6; ++i) all[forwards ? i : 5 - i].give_back(start);
    CHECK(l.snapshot(start + 100ms).available == 1);
    CHECK(l.snapshot(start + 400ms).available == 4);
    CHECK(l.snapshot(start).waiting == 0);
  }
}

TEST_CASE("rate_limiter: part of a returned reservation serves a smaller one, the rest the next") {
  auto o = usual();
  o.permits = 10;
  o.per = 1s;
  o.burst = 5;
  o.max_wait = 10s;
  rate_limiter l(o);
  l.reserve(start, 5).use();
  auto large = l.reserve(start, 5), later = l.reserve(start);
  large.give_back(start);
  CHECK(l.reserve(start, 5).at() == start + 500ms);
  auto a = l.reserve(start, 2), b = l.reserve(start, 3);
  CHECK(a.at() == start + 500ms);
  CHECK(b.at() == start + 500ms);
  CHECK(later.at() == start + 600ms);
}

// The layer.

TEST_CASE("rate_limiter layer: waits for the time given, not for the whole wait limit") {
  rate_limiter l(usual());
  const auto p = seawall::compose(seawall::limit_rate(l));
  hand_driven_call first(p, start), second(p, start);
  first.start(start);
  CHECK(first.asks_for_attempt());
  CHECK_FALSE(second.start(start));
  CHECK_FALSE(second.asks_for_attempt());
  CHECK(second.frame.wake_at() == start + 100ms);
  CHECK_FALSE(second.on_time(start + 99ms));  // woken for nothing
  CHECK_FALSE(second.asks_for_attempt());
  CHECK_FALSE(second.on_time(start + 100ms));
  CHECK(second.asks_for_attempt());
  CHECK(l.snapshot(start).waiting == 0);
  CHECK(second.finish(start + 120ms, verdict::ok()).v.success);
}

TEST_CASE("rate_limiter layer: a denial that is certain does not block for the whole wait limit") {
  rate_limiter l(usual());
  const auto p = seawall::compose(seawall::limit_rate(l));
  for (int i = 0; i < 3; ++i) l.reserve(start, 1).use();
  hand_driven_call c(p, start);
  const auto r = c.start(start);
  REQUIRE(r.how == kind::rejection);
  CHECK(r.v.health == seawall::health::silent);
  CHECK(r.v.again == seawall::again::always);
  CHECK(r.v.retry_after == duration(300ms));
  CHECK(c.call.last_rejection().why == reason::wait_timed_out);
  CHECK(c.call.last_rejection().policy == "rate_limiter");
  CHECK(c.call.last_rejection().name == "r");
}

TEST_CASE("rate_limiter layer: an attempt time-out outside it makes a wait that is longer a certain denial") {
  rate_limiter l(usual());
  l.reserve(start).use();
  const auto p = seawall::compose(seawall::attempt_timeout({.after = 100ms}), seawall::limit_rate(l));
  hand_driven_call c(p, start);
  CHECK(c.start(start).how == kind::rejection);
  CHECK(l.snapshot(start).waiting == 0);
}

TEST_CASE("rate_limiter layer: a waiter that is cancelled, or whose frame dies, gives its reservation back") {
  for (const bool cancels : {true, false}) {
    rate_limiter l(usual());
    const auto p = seawall::compose(seawall::limit_rate(l));
    l.reserve(start).use();
    {
      hand_driven_call c(p, start);
      CHECK_FALSE(c.start(start));
      CHECK(l.snapshot(start).waiting == 1);
      if (cancels) c.cancel();
    }
    CHECK(l.snapshot(start).waiting == 0);
    CHECK(l.reserve(start).at() == start + 100ms);
  }
}

TEST_CASE("rate_limiter layer: a call that an inner policy rejects gives its permit back") {
  rate_limiter l({.permits = 1, .per = 1h});
  seawall::circuit_breaker b;
  b.isolate(start);
  const auto p = seawall::compose(seawall::limit_rate(l), seawall::breaker(b));
  for (int i = 0; i < 3; ++i) {
    hand_driven_call c(p, start);
    CHECK(c.start(start).how == kind::rejection);
    CHECK(c.call.last_rejection().policy == "circuit_breaker");
  }
  CHECK(l.snapshot(start).available == 1);
}

TEST_CASE("rate_limiter layer: a retry outside takes a permit for each attempt, and waits exactly as told") {
  rate_limiter l({.permits = 1, .per = 100ms});
  l.try_acquire(start - 30ms);
  const auto p = seawall::compose(seawall::retry({.backoff = {.initial = 1ms}}), seawall::limit_rate(l));
  hand_driven_call c(p, start);
  CHECK_FALSE(c.start(start));
  CHECK_FALSE(c.asks_for_attempt());
  CHECK(c.frame.wake_at() == start + 70ms);
  CHECK_FALSE(c.on_time(start + 70ms));
  CHECK(c.asks_for_attempt());
  CHECK_FALSE(l.try_acquire(start + 169ms));
}

TEST_CASE("rate_limiter layer: permits by weight; more than the burst is rejected, and not worth repeating") {
  rate_limiter l({.permits = 10, .per = 1s});
  const auto p = seawall::compose(seawall::limit_rate(l, 4));
  CHECK(p.run([] { return absl::OkStatus(); }).ok());
  const auto never = seawall::compose(seawall::limit_rate(l, 11));
  hand_driven_call c(never, start);
  const auto r = c.start(start);
  CHECK(r.v.again == seawall::again::never);
  CHECK(c.call.last_rejection().detail == "more permits than burst");
}

TEST_CASE("rate_limiter layer: one limiter for each key, bounded") {
  seawall::keyed<rate_limiter> tenants({.permits = 1, .per = 1h}, {.max_keys = 2});
  const auto p = seawall::compose(seawall::limit_rate(tenants));
  const auto ok = [] { return absl::OkStatus(); };
  CHECK(p.run({.key = "a"}, ok).ok());
  CHECK_FALSE(p.run({.key = "a"}, ok).ok());
  CHECK(p.run({.key = "b"}, ok).ok());
  // Neither can be forgotten: the rest share one.
  CHECK(p.run({.key = "c"}, ok).ok());
  CHECK_FALSE(p.run({.key = "d"}, ok).ok());
  CHECK(tenants.size() == 2);
  CHECK_FALSE(tenants.reconfigure({.permits = 2, .per = 1s}));
}

/// Says what it is told to say, and counts.
class scripted_quota final : public seawall::quota_source {
 public:
  seawall::quota_answer take(std::uint32_t permits, instant) noexcept override {
    taken += answer.granted ? permits : 0;
    ++asked;
    return answer;
  }
  void give_back(std::uint32_t permits, instant) noexcept override { taken -= permits; }

  seawall::quota_answer answer{.granted = true};
  std::uint32_t taken = 0;
  int asked = 0;
};

TEST_CASE("rate_limiter with a shared quota: permits come from there, and go back there") {
  scripted_quota q;
  rate_limiter l({.permits = 10, .per = 1h, .quota = &q});
  auto p = l.try_acquire(start, 3);
  CHECK(q.taken == 3);
  p.give_back(start);
  CHECK(q.taken == 0);
  for (int i = 0; i < 50; ++i) CHECK(l.try_acquire(start));  // the local rate does not matter
  q.answer = {.granted = false, .retry_after = 20ms};
  CHECK(l.try_acquire(start).retry_after() == duration(20ms));
  CHECK_FALSE(l.reserve(start));
}

TEST_CASE(
    "rate_limiter with a shared quota: a waiter asks again when it was told to, and not beyond its limit") {
  scripted_quota q;
  rate_limiter l({.max_wait = 100ms, .quota = &q});
  const auto p = seawall::compose(seawall::limit_rate(l));
  q.answer = {.granted = false, .retry_after = 60ms};
  hand_driven_call lucky(p, start), unlucky(p, start);
  CHECK_FALSE(lucky.start(start));
  CHECK_FALSE(unlucky.start(start));
  CHECK(l.snapshot(start).waiting == 2);
  CHECK(lucky.frame.wake_at() == start + 60ms);
  // 60 ms more would be too much, 40 would not.
  CHECK(unlucky.on_time(start + 60ms).how == kind::rejection);
  CHECK(unlucky.call.last_rejection().why == reason::wait_timed_out);
  q.answer.retry_after = 40ms;
  CHECK_FALSE(lucky.on_time(start + 60ms));
  CHECK(lucky.frame.wake_at() == start + 100ms);
  q.answer.granted = true;
  CHECK_FALSE(lucky.on_time(start + 100ms));
  CHECK(lucky.asks_for_attempt());
  CHECK(l.snapshot(start).waiting == 0);
}

TEST_CASE(
    "rate_limiter with a shared quota that does not know when: rejected at once, there is nothing to wait for") {
  scripted_quota q;
  q.answer = {.granted = false};
  rate_limiter l({.max_wait = 100ms, .quota = &q});
  const auto p = seawall::compose(seawall::limit_rate(l));
  hand_driven_call c(p, start);
  CHECK(c.start(start).how == kind::rejection);
  CHECK(c.call.last_rejection().why == reason::limit_reached);
}

}  // namespace
