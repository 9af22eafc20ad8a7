// SPDX-License-Identifier: Apache-2.0

// The table: a breaker in each of its states. It is brought there by hand before the call, at time 0.

#include <utility>

#include "conformance/conform.hpp"
#include "conformance/scenario.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/pipeline.hpp"
#include <doctest/doctest.h>

using namespace conformance;

namespace {

// Opens at the second failure in a row, for 100 ms.
seawall::circuit_breaker_options usual(stage& s) {
  return {.name = "b", .consecutive_failures = 2, .open_for = s(100ms)};
}
auto with(seawall::circuit_breaker& b) { return seawall::compose(seawall::breaker(b)); }

}  // namespace

TEST_CASE("breaker: closed") {
  conform(
      {
          .name = "admits, and opens at the failure that is one too many",
          .script = "fail after 10ms, fail after 10ms, ok",
          .callers = {{}, {.at = 20ms}, {.at = 50ms}, {.at = 140ms}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms
              20ms B: attempt 1
              30ms B: attempt 1: UNAVAILABLE
              30ms breaker 'b' closed -> open
              30ms B: = UNAVAILABLE
              B: report: 1 attempt in 10ms
              50ms C: rejected by circuit_breaker 'b': open, 80ms left
              50ms C: = UNAVAILABLE by circuit_breaker 'b': open
              C: report: 0 attempts in 0s, rejected by circuit_breaker: open
              140ms breaker 'b' open -> half_open
              140ms D: attempt 1
              140ms D: attempt 1: OK
              140ms breaker 'b' half_open -> closed
              140ms D: = OK 42
              D: report: 1 attempt in 0s)",
          .blocking = "-",
      },
      [](stage& s) { return with(s.breaker(usual(s))); });
  conform(
      {
          .name = "slow calls open it, too",
          .script = "ok after 40ms",
          .trace = R"(
              0s attempt 1
              40ms attempt 1: OK
              40ms breaker 'b' closed -> open
              40ms = OK 42
              report: 1 attempt in 40ms)",
      },
      [](stage& s) {
        return with(s.breaker(
            {.name = "b", .last_calls = {.calls = 1}, .slow = {.limit = s(30ms)}, .open_for = s(100ms)}));
      });
}

TEST_CASE("breaker: open") {
  conform(
      {
          .name = "rejects, and says for how long",
          .script = "ok",
          .callers = {{.at = 30ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              30ms rejected by circuit_breaker 'b': open, 70ms left
              30ms = UNAVAILABLE by circuit_breaker 'b': open
              report: 0 attempts in 0s, rejected by circuit_breaker: open)",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "isolated by hand: rejects without end",
          .script = "ok",
          .callers = {{.at = 150ms}},
          .trace = R"(
              0s breaker 'b' closed -> isolated
              150ms rejected by circuit_breaker 'b': isolated
              150ms = UNAVAILABLE by circuit_breaker 'b': isolated
              report: 0 attempts in 0s, rejected by circuit_breaker: isolated)",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.isolate(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "disabled by hand: admits, and learns nothing",
          .script = "fail after 10ms",
          .trace = R"(
              0s breaker 'b' closed -> disabled
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms)",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .consecutive_failures = 1});
        b.disable(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "metrics only: never trips",
          .script = "fail after 10ms",
          .trace = R"(
              0s breaker 'b' closed -> metrics_only
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms)",
      },
      [](stage& s) {
        auto& b = s.breaker({.name = "b", .consecutive_failures = 1});
        b.metrics_only(s.at(0ms));
        return with(b);
      });
}

TEST_CASE("breaker: half-open") {
  conform(
      {
          .name = "a probe that succeeds closes it, when it ends",
          .script = "ok after 30ms",
          .callers = {{.at = 120ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              150ms attempt 1: OK
              150ms breaker 'b' half_open -> closed
              150ms = OK 42
              report: 1 attempt in 30ms)",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "a probe that fails opens it again",
          .script = "fail after 30ms",
          .callers = {{.at = 120ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              150ms attempt 1: UNAVAILABLE
              150ms breaker 'b' half_open -> open
              150ms = UNAVAILABLE
              report: 1 attempt in 30ms)",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "while the probes are under way, others are rejected",
          .script = "ok after 60ms",
          .callers = {{.at = 120ms}, {.at = 150ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              150ms B: rejected by circuit_breaker 'b': half_open
              150ms B: = UNAVAILABLE by circuit_breaker 'b': half_open
              B: report: 0 attempts in 0s, rejected by circuit_breaker: half_open
              180ms attempt 1: OK
              180ms breaker 'b' half_open -> closed
              180ms = OK 42
              report: 1 attempt in 60ms)",
          .blocking = "-",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "or wait for the verdict: it succeeds, and they are admitted",
          .script = "ok after 60ms, ok after 10ms",
          .callers = {{.at = 120ms}, {.at = 150ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              180ms attempt 1: OK
              180ms breaker 'b' half_open -> closed
              180ms = OK 42
              report: 1 attempt in 60ms
              180ms B: attempt 1
              190ms B: attempt 1: OK
              190ms B: = OK 42
              B: report: 1 attempt in 40ms)",
          .blocking = "-",
          // On threads, who is told first is anybody's guess.
          .only_virtual = true,
      },
      [](stage& s) {
        auto o = usual(s);
        o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "it fails, and those who wait are rejected",
          .script = "fail after 60ms, ok after 10ms",
          .callers = {{.at = 120ms}, {.at = 150ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              180ms attempt 1: UNAVAILABLE
              180ms breaker 'b' half_open -> open
              180ms = UNAVAILABLE
              report: 1 attempt in 60ms
              180ms B: rejected by circuit_breaker 'b': open, 100ms left
              180ms B: = UNAVAILABLE by circuit_breaker 'b': open
              B: report: 0 attempts in 30ms, rejected by circuit_breaker: open)",
          .blocking = "-",
          .only_virtual = true,
      },
      [](stage& s) {
        auto o = usual(s);
        o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "a caller that goes while it waits",
          .script = "ok",
          .callers = {{.at = 120ms, .stops = 160ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              110ms breaker 'b' open -> half_open
              160ms rejected by caller: cancelled
              160ms = CANCELLED by caller: cancelled
              report: 0 attempts in 40ms, rejected by caller: cancelled)",
      },
      [](stage& s) {
        auto o = usual(s);
        o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
        o.half_open.max_probes = 2;
        o.half_open.successes = 2;
        o.half_open.of = 2;
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        s.occupy(b, 110ms);
        s.occupy(b, 110ms);
        return with(b);
      });
  conform(
      {
          .name = "the caller's deadline passes while it waits",
          .script = "ok",
          .callers = {{.at = 120ms, .deadline = 170ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              110ms breaker 'b' open -> half_open
              170ms rejected by deadline: deadline_exceeded
              170ms = DEADLINE_EXCEEDED by deadline: deadline_exceeded
              report: 0 attempts in 50ms, rejected by deadline: deadline_exceeded)",
      },
      [](stage& s) {
        auto o = usual(s);
        o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        s.occupy(b, 110ms);
        return with(b);
      });
  conform(
      {
          .name = "a probe of somebody else that never ends gives up its place after its lease",
          .script = "ok after 10ms",
          .callers = {{.at = 120ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              110ms breaker 'b' open -> half_open
              160ms attempt 1
              170ms attempt 1: OK
              170ms breaker 'b' half_open -> closed
              170ms = OK 42
              report: 1 attempt in 50ms)",
      },
      [](stage& s) {
        auto o = usual(s);
        o.half_open.excess_calls = seawall::circuit_breaker_options::excess::waits;
        o.half_open.lease = s(50ms);
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        s.occupy(b, 110ms);
        return with(b);
      });
  conform(
      {
          .name = "a probe whose caller goes gives its place back, and the next one is admitted",
          .script = "hang, ok after 10ms",
          .callers = {{.at = 120ms, .stops = 140ms}, {.at = 160ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              140ms rejected by caller: cancelled
              140ms attempt 1 given up
              140ms = CANCELLED by caller: cancelled
              report: 1 attempt in 20ms, rejected by caller: cancelled
              160ms B: attempt 1
              170ms B: attempt 1: OK
              170ms breaker 'b' half_open -> closed
              170ms B: = OK 42
              B: report: 1 attempt in 10ms)",
          .blocking = "-",
      },
      [](stage& s) {
        auto& b = s.breaker(usual(s));
        b.force_open(s.at(0ms));
        return with(b);
      });
  conform(
      {
          .name = "just closed: outside the share that is admitted",
          .script = "ok after 10ms",
          .callers = {{.at = 120ms}, {.at = 140ms}},
          .trace = R"(
              0s breaker 'b' closed -> open
              120ms breaker 'b' open -> half_open
              120ms attempt 1
              130ms attempt 1: OK
              130ms breaker 'b' half_open -> closed
              130ms = OK 42
              report: 1 attempt in 10ms
              140ms B: rejected by circuit_breaker 'b': recovering
              140ms B: = UNAVAILABLE by circuit_breaker 'b': recovering
              B: report: 0 attempts in 0s, rejected by circuit_breaker: recovering)",
          .blocking = "-",
      },
      [](stage& s) {
        auto o = usual(s);
        o.recovery = {.length = s(1h), .initial_share = 0.0};
        auto& b = s.breaker(o);
        b.force_open(s.at(0ms));
        return with(b);
      });
}

TEST_CASE("breaker: one for each key") {
  conform(
      {
          .name = "a dead shard does not take down the other",
          .script = "fail after 10ms, ok after 10ms",
          .callers = {{.key = "x"}, {.at = 30ms, .key = "x"}, {.at = 50ms, .key = "y"}},
          .trace = R"(
              0s attempt 1
              10ms attempt 1: UNAVAILABLE
              10ms breaker 'x' closed -> open
              10ms = UNAVAILABLE
              report: 1 attempt in 10ms
              30ms B: rejected by circuit_breaker 'b': open, 980ms left
              30ms B: = UNAVAILABLE by circuit_breaker 'b': open
              B: report: 0 attempts in 0s, rejected by circuit_breaker: open
              50ms C: attempt 1
              60ms C: attempt 1: OK
              60ms C: = OK 42
              C: report: 1 attempt in 10ms)",
          .blocking = "-",
      },
      [](stage& s) {
        return seawall::compose(
            seawall::breaker(s.breakers({.name = "b", .consecutive_failures = 1, .open_for = s(1s)})));
      });
  conform(
      {
          .name = "open for this key",
          .script = "ok",
          .callers = {{.at = 30ms, .key = "x"}},
          .trace = R"(
              0s breaker 'x' closed -> open
              30ms rejected by circuit_breaker 'b': open, 970ms left
              30ms = UNAVAILABLE by circuit_breaker 'b': open
              report: 0 attempts in 0s, rejected by circuit_breaker: open)",
      },
      [](stage& s) {
        auto& all = s.breakers({.name = "b", .open_for = s(1s)});
        all.get("x", s.at(0ms))->force_open(s.at(0ms));
        return seawall::compose(seawall::breaker(all));
      });
}
