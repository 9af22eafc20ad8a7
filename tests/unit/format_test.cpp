// SPDX-License-Identifier: Apache-2.0
#include "seawall/format.hpp"

#include <chrono>
#include <string>

#include <doctest/doctest.h>
#include <fmt/chrono.h>

using namespace seawall;
using namespace std::chrono_literals;

TEST_CASE("format: durations and instants") {
  CHECK(fmt::format("{}", duration(1500ms)) == "1.5s");
  CHECK(fmt::format("{}", duration::infinite()) == "infinite");
  CHECK(fmt::format("{}", instant() + 3s) == "+3s");
  CHECK(fmt::format("{}", instant::never()) == "never");
}

TEST_CASE("format: takes the specification of strings") {
  CHECK(fmt::format("[{:>6}]", duration(1s)) == "[    1s]");
  CHECK(fmt::format("[{:*<8}]", breaker_state::open) == "[open****]");
  CHECK(fmt::format("[{:.3}]", breaker_state::half_open) == "[hal]");
}

TEST_CASE("format: chrono's types keep fmt's own formatter") {
  CHECK(fmt::format("{}", 1500ms) == "1500ms");
  CHECK(fmt::format("{:%M:%S}", std::chrono::seconds(75)) == "01:15");
}

TEST_CASE("format: the words of enumerations") {
  CHECK(fmt::format("{} {} {}", health::silent, health::healthy, health::unhealthy) ==
        "silent healthy unhealthy");
  CHECK(fmt::format("{} {} {}", again::never, again::if_idempotent, again::always) ==
        "never if_idempotent always");
  CHECK(fmt::format("{} {}", reason::limit_reached, give_up::max_attempts) == "limit_reached max_attempts");
  CHECK(to_string(static_cast<health>(9)) == "?");
  CHECK(to_string(static_cast<again>(9)) == "?");
}

TEST_CASE("format: verdicts") {
  CHECK(fmt::format("{}", verdict::ok()) == "success, healthy, again never");
  verdict v = verdict::transient().with_retry_after(3s);
  v.slow = true;
  v.degraded = true;
  CHECK(fmt::format("{}", v) == "failure, unhealthy, again if_idempotent, slow, degraded, retry after 3s");
}

TEST_CASE("format: rejections and endings are the words of text.hpp") {
  const rejection r{.policy = "p", .name = "n", .why = reason::isolated};
  CHECK(fmt::format("{}", r) == describe(r));
  const ending e{.why = give_up::budget, .attempts = 2, .elapsed = 1s};
  CHECK(fmt::format("{}", e) == describe(e));
}

TEST_CASE("format: what a breaker looks like in each state") {
  breaker_snapshot s{.name = "q", .counts = {.over_time = {.calls = 7, .bad = 2, .slow = 1}}, .trips = 3};
  CHECK(fmt::format("{}", s) == "circuit_breaker 'q' closed (7 calls, 2 bad, 1 slow in the window, 3 trips)");
  s.state = breaker_state::open;
  s.time_left = 4s;
  CHECK(fmt::format("{}", s) ==
        "circuit_breaker 'q' open for another 4s (7 calls, 2 bad, 1 slow in the window, 3 trips)");
  s.state = breaker_state::half_open;
  s.probes = 1;
  s.probes_succeeded = 2;
  s.probes_failed = 3;
  CHECK(
      fmt::format("{}", s) ==
      "circuit_breaker 'q' half_open, probes: 1 under way, 2 succeeded, 3 failed (7 calls, 2 bad, 1 slow in the "
      "window, 3 trips)");
  s.state = breaker_state::closed;
  s.admitted_share = 0.25;
  CHECK(fmt::format("{}", s) ==
        "circuit_breaker 'q' closed, admits 25% (7 calls, 2 bad, 1 slow in the window, 3 trips)");
}

TEST_CASE("format: a retry budget") {
  CHECK(
      fmt::format("{}", retry_budget_snapshot{.name = "b", .calls = 10, .repetitions = 2, .remaining = 1}) ==
      "retry_budget 'b' 1 left (2 repetitions of 10 calls)");
}

TEST_CASE("format: a hedge and its latencies") {
  hedge_snapshot s{.name = "h", .delay = 10ms, .totals = {.hedges = 7, .after_failure = 2, .wins = 5}};
  s.totals.withheld_slow = 1;
  s.totals.withheld_useless = 2;
  s.totals.withheld_load = 3;
  s.totals.withheld_chance = 4;
  s.totals.withheld_budget = 6;
  const std::string rest =
      ": after 10ms, 7 hedges (5 won), 2 after failures, withheld: 1 slow, 2 useless, 3 load, 4 chance, 6 budget";
  CHECK(fmt::format("{}", s) == "hedge 'h' on" + rest);
  s.useless = true;
  CHECK(fmt::format("{}", s) == "hedge 'h' off, of no use" + rest);
  s.slow = true;
  CHECK(fmt::format("{}", s) == "hedge 'h' off, everything is slow" + rest);
  CHECK(fmt::format("{}", latency_snapshot{"w", 9, 1ms, 2ms, 3ms, 4ms, 5ms}) ==
        "latency_window 'w' p50 1ms, p90 2ms, p95 3ms, p99 4ms, p99.9 5ms of 9");
  CHECK(fmt::format("{} {}", hedge_reason::failure, hedge_withheld_by::useless) == "failure useless");
}

TEST_CASE("format: events") {
  const rejection r{.policy = "p", .why = reason::isolated};
  const ending e{.why = give_up::max_attempts, .attempts = 2, .elapsed = 1s};
  CHECK(fmt::format("{}", event::rejected{r, instant()}) == "rejected: p is isolated");
  CHECK(fmt::format("{}", event::gave_up{e, verdict::transient(), instant()}) ==
        "retry gave up after 2 attempts in 1s: failure, unhealthy, again if_idempotent");
  CHECK(fmt::format("{}", event::retry_scheduled{"n", 2, 50ms, false, verdict::permanent(), instant()}) ==
        "attempt 2 failed (failure, unhealthy, again never), the next one in 50ms");
  CHECK(fmt::format("{}", event::hedged{"h", 2, 10ms, hedge_reason::delay, instant()}) ==
        "hedge 'h' starts attempt 2 after 10ms: delay");
  CHECK(fmt::format("{}", event::hedge_withheld{"h", hedge_withheld_by::budget, instant()}) ==
        "hedge 'h' starts no further attempt: budget");
  CHECK(fmt::format("{}", event::stale_served{"quotes", "EURUSD", 12s, false, verdict(), instant()}) ==
        "cache 'quotes' [EURUSD] served an answer 12s old, while it is refreshed");
  CHECK(fmt::format("{}", event::fallback_used{"cache", verdict::cancelled(), instant()}) ==
        "fallback 'cache' used: failure, silent, again never");
  CHECK(fmt::format(
            "{}", event::state_changed{"circuit_breaker", "q", "", "closed", "open", "by hand", instant()}) ==
        "circuit_breaker 'q': closed -> open (by hand)");
  CHECK(fmt::format("{}", event::state_changed{"circuit_breaker", "q", "eu", "closed", "open", "x",
                                               instant()}) == "circuit_breaker 'q' [eu]: closed -> open (x)");
}

TEST_CASE("format: caches and coalescers") {
  const auto unavailable = verdict::transient();
  CHECK(fmt::format("{}", event::stale_served{"quotes", "EURUSD", 12s, true, unavailable, instant()}) ==
        "cache 'quotes' [EURUSD] served an answer 12s old, in place of a failure: failure, unhealthy, again "
        "if_idempotent");
  CHECK(
      fmt::format("{}", cache_snapshot{.name = "quotes",
                                       .entries = 3,
                                       .bytes = 96,
                                       .hits = 10,
                                       .negative_hits = 2,
                                       .misses = 4,
                                       .stale_while_revalidate = 5,
                                       .stale_if_error = 6,
                                       .evictions = 9,
                                       .refreshing = 7,
                                       .waiting = 8}) ==
      "cache 'quotes' 3 entries, 96 bytes: 10 hits, 2 negative, 4 misses, 5 stale while refreshed, 6 stale for a "
      "failure; 7 refreshing, 8 waiting, 9 evicted");
  CHECK(
      fmt::format(
          "{}",
          coalesce_snapshot{
              .name = "pages", .led = 9, .joined = 8, .shared = 7, .alone = 1, .flying = 2, .waiting = 3}) ==
      "coalesce 'pages' 2 under way, 3 waiting (9 led, 8 joined, 7 shared, 1 alone)");
}

TEST_CASE("format: limits, in snapshots and events") {
  CHECK(fmt::format("{}", bulkhead_snapshot{.name = "db",
                                            .max_concurrent = 8,
                                            .in_use = 5,
                                            .waiting = 2,
                                            .admitted_late = 3,
                                            .timed_out = 1,
                                            .partitions = {{.name = "web", .guaranteed = 6, .in_use = 4}}}) ==
        "bulkhead 'db' 5 of 8 in use, 2 waiting, 'web' 4 of 6 (3 admitted late, 1 timed out, 0 displaced)");
  CHECK(fmt::format("{}",
                    adaptive_limit_snapshot{
                        .name = "db", .limit = 9, .in_flight = 7, .latency = 12ms, .baseline = 10ms}) ==
        "adaptive_limit 'db' 7 of 9 in flight, latency 12ms, baseline 10ms");
  CHECK(fmt::format("{}",
                    rate_limiter_snapshot{
                        .name = "api", .rate_per_second = 50, .share = 0.5, .available = 3, .waiting = 2}) ==
        "rate_limiter 'api' 50/s (50%), 3 available, 0 leased, 2 waiting");
  CHECK(fmt::format("{}", throttle_snapshot{.name = "api",
                                            .throttling = true,
                                            .requests = 10,
                                            .accepts = 4,
                                            .throttled = 2,
                                            .rejection_probability = 0.125}) ==
        "throttle 'api' throttling (4 of 10 requests accepted, 2 throttled, rejects 12.5%)");
  CHECK(fmt::format(
            "{}", chaos_snapshot{.name = "drill", .enabled = true, .calls = 9, .failures = 2, .hangs = 1}) ==
        "chaos 'drill' on, 9 calls: 2 failures, 0 latencies, 1 hangs, 0 results, 0 withheld");
  CHECK(
      fmt::format("{}", degradation_snapshot{.name = "shop",
                                             .level = 2,
                                             .level_name = "read-only",
                                             .read_only = true,
                                             .why = "by hand: migration",
                                             .automatic = 1,
                                             .by_hand = true,
                                             .signals = {{"health", 0, ""}, {"brownout", 1, ""}},
                                             .transitions = 3}) ==
      "degradation 'shop' at level 2 'read-only', read-only, by hand, signals would have 1, 'brownout' wants 1 (3 "
      "transitions; by hand: migration)");
  CHECK(fmt::format("{}", feature_gate_snapshot{.name = "search", .percent = 12.5, .refused = 7}) ==
        "feature_gate 'search' 12.5% (7 refused)");
  CHECK(fmt::format("{}", feature_gate_snapshot{.name = "search", .killed = true, .level_serves = false}) ==
        "feature_gate 'search' killed, not at this level of service (0 refused)");
  CHECK(fmt::format(
            "{}", brownout_snapshot{.name = "pages", .dimmer = 0.25, .set_point = 250ms, .latency = 260ms}) ==
        "brownout 'pages' serves 25% of the optional content, latency 260ms of 250ms");
  CHECK(fmt::format("{}", gate_answer::rollout) == "outside the rollout");
  CHECK(fmt::format("{}", event::limit_changed{.policy = "adaptive_limit",
                                               .name = "db",
                                               .key = "eu",
                                               .from = 9,
                                               .to = 12.5,
                                               .why = "latency",
                                               .at = instant()}) ==
        "adaptive_limit 'db' [eu]: limit 9 -> 12.5 (latency)");
  CHECK(fmt::format("{}", event::fault_injected{.name = "drill", .fault = "hang", .at = instant()}) ==
        "chaos 'drill' injects a fault: hang");
}
