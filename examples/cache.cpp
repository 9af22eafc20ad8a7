// SPDX-License-Identifier: Apache-2.0

//   caller --> [ cached ] --> [ retry ] --> [ breaker ] --> catalogue        down from second 40 to 100
//                  |
//                  +-- fresh for 10 s; stale for 10 s more while one call refreshes; for 5 min in place of a failure
//
// A call a second for two minutes: how many reach the catalogue, and what the callers see while it is down.

#include "seawall/cache.hpp"

#include <chrono>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;
using price = absl::StatusOr<std::string>;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::cache<price> prices({
      .name = "prices",
      .ttl = 10s,
      .stale_while_revalidate = 10s,
      .stale_if_error = 5min,
      .max_bytes = 16 << 20,
      .size = [](const price& p) { return sizeof(price) + p->size(); },
  });
  seawall::circuit_breaker breaker({.name = "catalogue", .consecutive_failures = 4, .open_for = 20s});
  const auto catalogue =
      seawall::compose(seawall::cached(prices),
                       seawall::retry({.max_attempts = 2, .backoff = {.initial = 50ms}, .pushback_max = 0s}),
                       seawall::breaker(breaker));

  int asked = 0;
  const auto get_price = seawall::idempotent([&]() -> price {
    ++asked;
    const bool down = clock.now() >= seawall::instant() + 40s && clock.now() < seawall::instant() + 100s;
    return down ? price(absl::UnavailableError("connection refused")) : price("4.99 EUR");
  });

  int fresh = 0, degraded = 0, failed = 0;
  seawall::duration oldest;
  for (int second = 0; second < 120; ++second) {
    clock.advance_to(seawall::instant() + second * 1s);
    seawall::call_report report;
    const price p =
        seawall::testing::run(clock, catalogue, {.key = "sku 4711", .report = &report}, get_price);
    ++(!p.ok() ? failed : report.degraded ? degraded : fresh);
    if (report.degraded && *report.age > oldest) oldest = *report.age;
  }

  const seawall::cache_snapshot s = prices.snapshot();
  fmt::print("120 calls, {} attempts at the catalogue: {} fresh answers, {} stale, {} failures\n", asked,
             fresh, degraded, failed);
  fmt::print("hits {}, refreshes {}, stale in place of a failure {}; the oldest answer was {} old\n", s.hits,
             s.refreshes, s.stale_if_error, seawall::to_text(oldest));
  return failed == 0 && degraded > 0 && asked < 20 && prices.invalidate("sku 4711") ? 0 : 1;
}
