// SPDX-License-Identifier: Apache-2.0
// The delay that a hedge takes from latencies, and when it keeps still by itself.
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <utility>
#include <vector>

#include "seawall/deadline.hpp"
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"
#include "support/overlap.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using namespace seawall;
using seawall_test::overlapping_call;
using seawall_test::scripted_end;

constexpr auto ok = verdict::ok();

/// Calls one after the other, a millisecond apart.
class caller {
 public:
  explicit caller(hedge_options options) : layer(hedge(std::move(options))) {}

  /// How many attempts it took.
  std::uint32_t call(duration first, duration second = 1h) {
    overlapping_call c(compose(layer), {{first, ok}, {second, ok}}, nullptr, idempotency::idempotent, now);
    c.run();
    now = now + 1ms;
    return c.attempts();
  }
  std::uint32_t calls(int count, duration first, duration second = 1h) {
    std::uint32_t hedges = 0;
    for (int i = 0; i < count; ++i) hedges += call(first, second) - 1;
    return hedges;
  }
  duration delay() const { return layer.snapshot(now).delay; }

  hedge_layer layer;
  instant now;
};

bool about(duration got, duration wanted) { return std::abs(got.ns() - wanted.ns()) * 32 <= wanted.ns(); }

TEST_CASE("hedge delay: until enough latencies are known, none is hedged, or after the stated delay") {
  caller silent({.minimum_samples = 100});
  CHECK(silent.call(1h) == 1);
  CHECK(silent.delay() == duration::infinite());
  caller stated({.minimum_samples = 100, .until_known = 50ms});
  CHECK(stated.call(1h, 1ms) == 2);
  CHECK(stated.delay() == duration(50ms));
  stated.calls(98, 5ms);
  CHECK(stated.delay() == duration(50ms));
  stated.calls(101, 5ms);
  CHECK(about(stated.delay(), 5ms));
  CHECK(stated.call(20ms, 1ms) == 2);
}

TEST_CASE("hedge delay: the quantile of the latencies, never below after_min") {
  caller c({.quantile = 0.9, .window = {.window = 1h, .slices = 1}});
  for (int ms = 1; ms <= 200; ++ms) c.call(ms * 1ms);
  c.now = c.now + 1s;
  CHECK(about(c.delay(), 180ms));
  caller fast({.after_min = 20ms});
  fast.calls(300, 1ms);
  CHECK(fast.delay() == duration(20ms));
}

TEST_CASE("hedge delay: computed at most ten times a second, however many calls there are") {
  caller c({.minimum_samples = 1});
  c.call(5ms);
  const duration before = c.delay();
  CHECK(before == duration::infinite());
  c.now = instant() + 99ms;
  CHECK(c.delay() == before);
  c.now = instant() + 100ms;
  CHECK(about(c.delay(), 5ms));
}

TEST_CASE("hedge delay: several hedges may share their latencies") {
  latency_window shared;
  caller a({.latencies = &shared}), b({.latencies = &shared});
  a.calls(300, 8ms);
  b.now = a.now;
  CHECK(about(b.delay(), 8ms));
  CHECK(shared.count(a.now) == 300);
}

TEST_CASE("hedge delay: copies of a layer share what is known") {
  caller c({});
  const hedge_layer copy = c.layer;
  c.calls(300, 8ms);
  CHECK(about(copy.snapshot(c.now).delay, 8ms));
}

// Latencies: which, and how long.

TEST_CASE("hedge latencies: one for each call, of the attempt that nothing else was under way with") {
  latency_window w;
  const auto p = compose(hedge({.max_attempts = 3, .after = 10ms, .latencies = &w, .reached_max = 1}));
  const auto recorded = [&](std::vector<scripted_end> script) {
    const std::uint64_t before = w.count(instant());
    overlapping_call c(p, std::move(script));
    c.run();
    return w.count(instant()) - before;
  };
  CHECK(recorded({{5ms, ok}}) == 1);
  CHECK(recorded({{5ms, verdict::refused()}}) == 1);
  CHECK(recorded({{50ms, ok}, {50ms, ok}}) == 1);
  // A fast failure tells no latency; the attempt that takes its place does.
  CHECK(recorded({{5ms, verdict::transient()}, {5ms, ok}}) == 1);
  CHECK(recorded({{5ms, verdict::permanent()}}) == 0);
  // A hedge tells none, whichever way it ends.
  CHECK(recorded({{50ms, ok}, {5ms, verdict::transient()}, {1h, ok}}) == 1);
}

TEST_CASE(
    "hedge latencies: an attempt that loses to its hedge is not forgotten, nor one that fails late or is cancelled") {
  const auto longest = [](std::vector<scripted_end> script) {
    latency_window w;
    const auto p = compose(deadline({.after = 200ms}), hedge({.after = 10ms, .latencies = &w}));
    overlapping_call c(p, std::move(script));
    c.run();
    CHECK(w.count(instant() + 1s) == 1);
    return w.quantile(1, instant() + 1s).value_or(duration());
  };
  CHECK(about(longest({{1h, ok}, {20ms, ok}}), 30ms));
  CHECK(about(longest({{50ms, verdict::transient()}, {100ms, ok}}), 50ms));
  CHECK(about(longest({{1h, ok}, {20ms, verdict::permanent()}}), 30ms));
  // Cancelled from outside, at a time that is not told: as old as is known.
  CHECK(about(longest({}), 10ms));
}

// When it keeps still.

TEST_CASE("hedge: off when far more calls than expected reach the delay, on again at half of that") {
  caller c({.after = 10ms, .window = {.window = 10s, .slices = 10}, .reached_max = 0.2});
  CHECK(c.calls(1000, 5ms) == 0);
  CHECK(c.calls(100, 50ms, 1ms) == 100);
  CHECK_FALSE(c.layer.snapshot(c.now).slow);
  // All are slow: of the last one or two thousand calls, a fifth is before long.
  const std::uint32_t hedged = c.calls(900, 50ms, 1ms);
  CHECK(hedged > 50);
  CHECK(hedged < 450);
  CHECK(c.layer.snapshot(c.now).slow);
  CHECK(c.layer.snapshot(c.now).totals.withheld_slow == 900 - hedged);
  CHECK(c.calls(300, 50ms, 1ms) == 0);
  // Between the half and the whole of it nothing changes.
  std::uint32_t hedges = 0;
  for (int i = 0; i < 500; ++i) hedges += c.calls(17, 5ms) + c.calls(3, 50ms, 1ms);
  CHECK(hedges == 0);
  CHECK(c.layer.snapshot(c.now).slow);
  // Healthy again, in two slices of a second each.
  c.calls(2500, 5ms);
  CHECK_FALSE(c.layer.snapshot(c.now).slow);
  CHECK(c.call(50ms, 1ms) == 2);
}

TEST_CASE("hedge: a few slow calls on their own are no reason to keep still") {
  caller c({.after = 10ms});
  CHECK(c.calls(19, 50ms, 1ms) == 19);
  c.now = c.now + 200ms;
  CHECK(c.call(50ms, 1ms) == 2);
}

TEST_CASE("hedge: off but for a few when hedges never come first, on again when they do") {
  caller c({.after = 10ms, .reached_max = 1});
  const std::uint32_t useless = c.calls(1000, 50ms);
  CHECK(useless >= 50);
  CHECK(useless < 60);
  CHECK(c.layer.snapshot(c.now).useless);
  CHECK(c.layer.snapshot(c.now).totals.wins == 0);
  const std::uint32_t probes = c.calls(20'000, 50ms);
  CHECK(probes > 10);
  CHECK(probes < 100);
  // Now they win: a handful of probes finds out.
  CHECK(c.calls(20'000, 50ms, 1ms) > 10'000);
  CHECK_FALSE(c.layer.snapshot(c.now).useless);
}

TEST_CASE("hedge: with wins_min 0 and reached_max 1 it goes on whatever happens") {
  caller c({.after = 10ms, .reached_max = 1, .wins_min = 0});
  CHECK(c.calls(1000, 50ms) == 1000);
}

TEST_CASE("hedge: a caller that leaves says nothing about the use of hedges, a deadline that passes does") {
  const auto useless_after = [](bool leaves) {
    const hedge_layer h = hedge({.after = 10ms, .reached_max = 1});
    const auto p = compose(deadline({.after = 100ms}), h);
    for (int i = 0; i < 100; ++i) {
      std::stop_source stop;
      const call_options options{.stop = stop.get_token()};
      overlapping_call c(p, {}, &options);
      c.run_until(instant() + 50ms);
      if (leaves) {
        stop.request_stop();
        c.cancel();
      } else {
        c.run();
      }
    }
    return h.snapshot(instant()).useless;
  };
  CHECK_FALSE(useless_after(true));
  CHECK(useless_after(false));
}

}  // namespace
