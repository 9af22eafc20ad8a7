// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>

#include "quotes.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::circuit_breaker quotes_breaker({.name = "quotes", .open_for = 10s});

  const auto quotes = seawall::compose(  // outermost first
      seawall::fallback([](const absl::Status&) -> absl::StatusOr<int> { return 41; }),
      seawall::deadline({.after = 2s}),  //
      seawall::retry({.max_attempts = 4, .backoff = {.initial = 1ms, .max = 2ms}}),
      seawall::breaker(quotes_breaker),  //
      seawall::attempt_timeout({.after = 250ms}));

  int attempts = 0;
  seawall::call_report report;
  const absl::StatusOr<int> quote =
      quotes.run({.report = &report}, seawall::idempotent([&](seawall::attempt a) -> absl::StatusOr<int> {
                   attempts = static_cast<int>(a.number());
                   if (a.number() < 3) return absl::UnavailableError("connection refused");
                   return 42;
                 }));

  const absl::StatusOr<int> other = from_the_second_unit();
  if (!quote.ok() || !other.ok()) return 1;
  std::printf("quote %d after %d attempts, degraded: %s\n", *quote, attempts, report.degraded ? "yes" : "no");
  return *other == 7 ? 0 : 1;
}
