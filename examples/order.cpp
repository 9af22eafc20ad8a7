// SPDX-License-Identifier: Apache-2.0

//   [ retry ] --> [ breaker ]             or   [ breaker ] --> [ retry ]
//   [ deadline ] --> [ retry ]            or   [ deadline ] --> [ retry ] --> [ attempt_timeout ]
//   [ breaker ] --> [ attempt_timeout ]   or   [ attempt_timeout ] --> [ breaker ]
//
// The same policies in another order are another policy. The figures of docs/order.md come from here.

#include <chrono>
#include <functional>
#include <string_view>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;
using seawall::instant;

namespace {

struct figures {
  int attempts = 0;
  int failed = 0;
  seawall::duration slowest;
};

// 600 calls, at most ten a second.
figures calls_to(std::string_view order, seawall::testing::virtual_clock& clock, auto server,
                 const auto& pipeline) {
  figures f;
  for (instant at = clock.now(), end = at + 1min; at < end; at = at + 100ms) {
    clock.advance_to(at);
    seawall::call_report report;
    const auto op = [&](const seawall::attempt& a) { return ++f.attempts, server(a); };
    if (!seawall::testing::run(clock, pipeline, {.report = &report}, seawall::idempotent(op)).ok())
      ++f.failed;
    if (report.elapsed > f.slowest) f.slowest = report.elapsed;
  }
  fmt::print("{:<33} {:>4} attempts {:>4} failed, slowest {}\n", order, f.attempts, f.failed, f.slowest);
  return f;
}

}  // namespace

int main() {
  using seawall::breaker, seawall::compose;
  seawall::testing::virtual_clock clock;
  const auto scripted = [&](std::string_view s) { return seawall::testing::scripted<int>(clock, s, 1); };
  const auto deadline = seawall::deadline({.after = 500ms});
  const auto retry = seawall::retry({.backoff = {.initial = 10ms, .jitter = seawall::jitter::none}});
  const auto per_attempt = seawall::attempt_timeout({.after = 200ms});

  fmt::print("Every attempt fails after 5ms; the breaker opens at 5 failures in a row, for 10s:\n");
  const seawall::circuit_breaker_options five = {.consecutive_failures = 5, .open_for = 10s};
  seawall::circuit_breaker b1(five), b2(five);
  const auto fails = scripted("fail after 5ms");
  const auto in = calls_to("deadline(retry(breaker))", clock, fails, compose(deadline, retry, breaker(b1)));
  const auto out = calls_to("breaker(deadline(retry))", clock, fails, compose(breaker(b2), deadline, retry));

  fmt::print("\nTwo attempts of three hang:\n");
  const auto hangs = scripted("hang x2, ok after 5ms ...");
  const auto alone = calls_to("deadline(retry)", clock, hangs, compose(deadline, retry));
  const auto both =
      calls_to("deadline(retry(attempt_timeout))", clock, hangs, compose(deadline, retry, per_attempt));

  fmt::print("\nEvery answer comes after 300ms, whatever the time-out; the breaker counts slow calls:\n");
  const auto late = [&](const seawall::attempt&) { return clock.advance(300ms), absl::OkStatus(); };
  const seawall::circuit_breaker_options slow = {.slow = {.limit = 1s}, .open_for = 10s};
  seawall::circuit_breaker b3(slow), b4(slow);
  const auto seen = calls_to("breaker(attempt_timeout)", clock, late, compose(breaker(b3), per_attempt));
  const auto blind = calls_to("attempt_timeout(breaker)", clock, late, compose(per_attempt, breaker(b4)));

  const bool ordered = in.attempts < out.attempts && seen.attempts < blind.attempts;
  return ordered && alone.failed > 0 && both.failed == 0 ? 0 : 1;
}
