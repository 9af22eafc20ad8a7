// SPDX-License-Identifier: Apache-2.0
// A rate that changes: warm-up, pushback, new options; and options that are refused.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/pipeline.hpp"
#include "seawall/rate_limiter.hpp"
#include "seawall/status.hpp"
#include "support/bad_options.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::rate_algorithm;
using seawall::rate_limiter;
using seawall::rate_limiter_options;
using seawall::verdict;
using seawall_test::bad_options;
using seawall_test::hand_driven_call;

constexpr instant start = instant::from_ns(3'600'000'000'000);

struct change {
  double from, to;
  std::string why;
};
struct change_log final : seawall::listener {
  using seawall::listener::on;
  void on(const seawall::event::limit_changed& e) noexcept override {
    CHECK(e.policy == "rate_limiter");
    CHECK(e.name == "r");
    all.push_back({e.from, e.to, std::string(e.why)});
  }
  std::vector<change> all;
};

int granted_between(rate_limiter& l, instant from, duration length) {
  int granted = 0;
  for (instant t = from; t < from + length; t = t + 1ms) {
    while (l.try_acquire(t)) ++granted;
  }
  return granted;
}

TEST_CASE(
    "rate_limiter: a cold start begins with its share of the rate, without a burst, and grows to the whole") {
  change_log events;
  rate_limiter l({.name = "r",
                  .permits = 100,
                  .per = 1s,
                  .burst = 50,
                  .warm_up = {.length = 10s, .initial_share = 0.2},
                  .events = &events});
  CHECK(granted_between(l, start, 1s) == doctest::Approx(23).epsilon(0.1));
  CHECK(granted_between(l, start + 1s, 4s) == doctest::Approx(4 * 43).epsilon(0.1));
  CHECK(granted_between(l, start + 5s, 5s) == doctest::Approx(5 * 79).epsilon(0.1));
  CHECK(granted_between(l, start + 10s, 10s) == doctest::Approx(1000).epsilon(0.01));
  CHECK(l.snapshot(start + 20s).share == 1.0);
  REQUIRE(events.all.size() == 17);
  CHECK(events.all.front().why == "cold start");
  CHECK(events.all.front().to == doctest::Approx(20));
  CHECK(events.all.back().why == "recovery");
  CHECK(events.all.back().to == doctest::Approx(100));
  // A pause that is shorter is no reason; one as long is.
  CHECK(granted_between(l, start + 29s, 100ms) == doctest::Approx(60).epsilon(0.1));
  CHECK(granted_between(l, start + 50s, 1s) == doctest::Approx(23).epsilon(0.1));
}

TEST_CASE(
    "rate_limiter: pushback pauses, for as long as it asks but not longer than allowed, and no burst follows") {
  for (const auto a : {rate_algorithm::gcra, rate_algorithm::sliding_log}) {
    change_log events;
    rate_limiter l({.name = "r",
                    .algorithm = a,
                    .permits = 10,
                    .per = 1s,
                    .pushback = {.pause_max = 3s},
                    .events = &events});
    l.try_acquire(start).settle(verdict::transient().with_retry_after(2s), start);
    CHECK(l.try_acquire(start + 1s).retry_after() == duration(1s));
    CHECK(l.try_acquire(start + 2s));
    CHECK(static_cast<bool>(l.try_acquire(start + 2s)) == (a != rate_algorithm::gcra));
    l.try_acquire(start + 9s).settle(verdict::transient().with_retry_after(1h), start + 9s);
    CHECK(l.try_acquire(start + 9s).retry_after() == duration(3s));
    CHECK(events.all.size() == 2);
    CHECK(events.all.front().to == 0.0);
    CHECK(l.snapshot(start).pushbacks == 2);
  }
}

TEST_CASE("rate_limiter: pushback revokes what was leased") {
  rate_limiter l({.permits = 10, .per = 1s, .lease = 5, .pushback = {.pause_max = 10s}}, 1, {});
  l.try_acquire(start).settle(verdict::transient().with_retry_after(1s), start);
  CHECK_FALSE(l.try_acquire(start + 999ms));
}

TEST_CASE(
    "rate_limiter: pushback lowers the rate once for each step, down to the least share, and it grows back") {
  change_log events;
  rate_limiter l({.name = "r",
                  .permits = 1000,
                  .per = 1s,
                  .burst = 4,
                  .pushback = {.slow_to = 0.5, .least_share = 0.2, .recovery = 16s},
                  .events = &events});
  // As RESOURCE_EXHAUSTED without a time.
  const verdict exhausted{.health = seawall::health::silent, .again = seawall::again::if_idempotent};
  for (int i = 0; i < 5; ++i) l.try_acquire(start + 10ms * i).settle(exhausted, start + 10ms * i);
  CHECK(l.snapshot(start).share == doctest::Approx(0.5));
  CHECK(granted_between(l, start + 50ms, 900ms) == doctest::Approx(450).epsilon(0.02));
  l.try_acquire(start + 1s).settle(exhausted, start + 1s);
  CHECK(l.snapshot(start).share == doctest::Approx(0.265).epsilon(0.01));
  l.try_acquire(start + 2s).settle(exhausted, start + 2s);
  CHECK(l.snapshot(start).share == doctest::Approx(0.2));
  CHECK(granted_between(l, start + 3s, 20s) > 13'500);
  CHECK(l.snapshot(start + 23s).share == 1.0);
  CHECK(l.snapshot(start + 23s).rate_per_second == doctest::Approx(1000));
  CHECK(events.all.back().to == doctest::Approx(1000));
}

TEST_CASE("rate_limiter: neither successes, nor other failures, nor inner rejections lower the rate") {
  rate_limiter l({.pushback = {.pause_max = 1h, .slow_to = 0.5}});
  l.try_acquire(start).settle(verdict::ok(), start);
  l.try_acquire(start).settle(verdict::transient(), start);
  l.try_acquire(start).settle(verdict::cancelled(), start);
  rate_limiter full({.permits = 1, .per = 1h});
  full.try_acquire(start);
  const auto p = seawall::compose(seawall::limit_rate(l), seawall::limit_rate(full));
  hand_driven_call c(p, start);
  CHECK(c.start(start).v.has_pushback());
  CHECK(l.snapshot(start).pushbacks == 0);
  CHECK(l.try_acquire(start));
}

TEST_CASE("rate_limiter layer: an attempt's pushback pauses the limiter") {
  rate_limiter l({.pushback = {.pause_max = 1h}});
  const auto p = seawall::compose(seawall::limit_rate(l));
  hand_driven_call c(p, start);
  c.start(start);
  c.finish(start, verdict::transient().with_retry_after(5s));
  CHECK(l.try_acquire(start + 1s).retry_after() == duration(4s));
}

TEST_CASE("rate_limiter: a lower rate neither refills the bucket nor moves those who wait") {
  rate_limiter l({.permits = 10, .per = 1s, .burst = 10, .max_wait = 10s});
  for (int i = 0; i < 10; ++i) CHECK(l.try_acquire(start));
  auto waiting = l.reserve(start);
  rate_limiter_options slower{.permits = 1, .per = 1s, .burst = 10, .max_wait = 10s};
  CHECK_FALSE(l.reconfigure(slower, start));
  CHECK(waiting.at() == start + 100ms);
  CHECK_FALSE(l.try_acquire(start));
  CHECK(l.reserve(start).at() == start + 1100ms);
}

TEST_CASE("rate_limiter: reconfigured, the bucket holds as many permits as before, but no more than it can") {
  rate_limiter l({.permits = 10, .per = 1s, .burst = 10});
  for (int i = 0; i < 4; ++i) CHECK(l.try_acquire(start));
  CHECK_FALSE(l.reconfigure({.permits = 1000, .per = 1s, .burst = 20}, start));
  CHECK(l.snapshot(start).available == 6);
  CHECK_FALSE(l.reconfigure({.permits = 1, .per = 1h, .burst = 20}, start));
  CHECK(l.snapshot(start).available == 6);
  CHECK_FALSE(l.reconfigure({.permits = 1, .per = 1h, .burst = 3}, start));
  CHECK(l.snapshot(start).available == 3);
}

TEST_CASE("rate_limiter: a log that grows or shrinks remembers what counts") {
  rate_limiter l({.algorithm = rate_algorithm::sliding_log, .permits = 4, .per = 1s});
  for (int i = 0; i < 4; ++i) CHECK(l.try_acquire(start + 100ms * i));
  CHECK_FALSE(l.reconfigure({.algorithm = rate_algorithm::sliding_log, .permits = 6, .per = 1s}, start));
  CHECK(l.try_acquire(start + 400ms, 2));
  CHECK_FALSE(l.try_acquire(start + 999ms));
  CHECK(l.try_acquire(start + 1000ms));
  CHECK_FALSE(l.reconfigure({.algorithm = rate_algorithm::sliding_log, .permits = 2, .per = 1s}, start));
  CHECK_FALSE(l.try_acquire(start + 1399ms));
  CHECK(l.try_acquire(start + 1400ms));
}

TEST_CASE("rate_limiter: what is fixed for life is refused, and then nothing has changed") {
  rate_limiter l({.permits = 5, .per = 1s});
  const auto algorithm = l.reconfigure({.algorithm = rate_algorithm::fixed_window}, start);
  REQUIRE(algorithm);
  CHECK(algorithm->field == "algorithm");
  const auto lease = l.reconfigure({.lease = 4}, start);
  REQUIRE(lease);
  CHECK(lease->field == "lease");
  rate_limiter fine({.permits = 25'013, .per = 1s});
  const auto far = fine.reconfigure({.permits = 1, .per = 8784h, .burst = 2}, start);
  REQUIRE(far);
  CHECK(far->text("rate_limiter") ==
        "rate_limiter: burst is 2; reaches too far into the future for a limiter that exists");
  const auto bad = l.reconfigure({.permits = 0}, start);
  REQUIRE(bad);
  CHECK(bad->field == "permits");
  CHECK(l.snapshot(start).rate_per_second == doctest::Approx(5));
}

const std::vector<bad_options<rate_limiter_options>> bad = {
    {[](auto& o) { o.permits = 0; }, "permits", "0", "must be at least 1 and at most 1000000000"},
    {[](auto& o) { o.permits = 1'000'000'001; }, "permits", "1000000001",
     "must be at least 1 and at most 1000000000"},
    {[](auto& o) {
       o.algorithm = rate_algorithm::sliding_log;
       o.permits = 1'000'001;
     },
     "permits", "1000001", "must be at most 1000000 with sliding_log"},
    {[](auto& o) { o.per = duration::from_ns(99); }, "per", "99ns",
     "must be at least 1ns for each permit and at most 8784h"},
    {[](auto& o) { o.per = 8785h; }, "per", "8785h",
     "must be at least 1ns for each permit and at most 8784h"},
    {[](auto& o) {
       o.burst = 4'000'000'000;
       o.per = 1h;
     },
     "burst", "4000000000",
     "must be earned again within 10 years, at the lowest rate that the other options lead to"},
    {[](auto& o) { o.max_wait = -1ns; }, "max_wait", "-1ns", "must be at least 0 and at most 24h"},
    {[](auto& o) { o.max_waiting = 1'000'001; }, "max_waiting", "1000001", "must be at most 1000000"},
    {[](auto& o) { o.lease = 0; }, "lease", "0", "must be at least 1 and at most 1000 and burst"},
    {[](auto& o) { o.lease = 101; }, "lease", "101", "must be at least 1 and at most 1000 and burst"},
    {[](auto& o) {
       o.algorithm = rate_algorithm::fixed_window;
       o.lease = 2;
     },
     "lease", "2", "must be 1 without gcra and with a quota"},
    {[](auto& o) { o.warm_up.length = 25h; }, "warm_up.length", "25h", "must be at least 0 and at most 24h"},
    {[](auto& o) { o.warm_up.initial_share = 0; }, "warm_up.initial_share", "0",
     "must be at least 0.01 and at most 1"},
    {[](auto& o) { o.warm_up.initial_share = seawall_test::not_a_number; }, "warm_up.initial_share", "nan",
     "must be at least 0.01 and at most 1"},
    {[](auto& o) {
       o.algorithm = rate_algorithm::sliding_counter;
       o.warm_up.length = 1s;
     },
     "warm_up.length", "1s", "must be 0 without gcra and with a quota"},
    {[](auto& o) { o.pushback.pause_max = -1ns; }, "pushback.pause_max", "-1ns",
     "must be at least 0 and at most 24h"},
    {[](auto& o) { o.pushback.slow_to = 1.5; }, "pushback.slow_to", "1.5",
     "must be at least 0.01 and at most 1"},
    {[](auto& o) { o.pushback.least_share = 0; }, "pushback.least_share", "0",
     "must be at least 0.01 and at most 1"},
    {[](auto& o) { o.pushback.recovery = 0s; }, "pushback.recovery", "0s",
     "must be at least 1ms and at most 24h"},
};

TEST_CASE("rate_limiter: bad options are refused with field, value and range") {
  seawall_test::check_validate(bad);
  seawall_test::check_constructor<rate_limiter>("rate_limiter", bad);
  seawall_test::check_create<rate_limiter>("rate_limiter", bad);
}

TEST_CASE("rate_limiter: options at their limits are accepted, and work") {
  const seawall_test::good_options<rate_limiter_options> good = {
      [](rate_limiter_options&) {},
      [](auto& o) { o.permits = 1'000'000'000; },
      [](auto& o) { o.per = 8784h; },
      [](auto& o) { o.per = duration::from_ns(100); },
      [](auto& o) {
        o.permits = 1;
        o.per = 8784h;
        o.burst = 9;
      },
      [](auto& o) { o.max_wait = 24h; },
      [](auto& o) { o.lease = 100; },
      [](auto& o) { o.warm_up = {.length = 24h, .initial_share = 0.01}; },
      [](auto& o) { o.pushback = {.pause_max = 24h, .slow_to = 0.01, .least_share = 0.01, .recovery = 24h}; },
  };
  seawall_test::check_accepted(good);
  for (const auto change : good) {
    rate_limiter_options o;
    change(o);
    rate_limiter l(o);
    CHECK(l.try_acquire(start));
    CHECK(l.try_acquire(start + 720h));
  }
}

}  // namespace
