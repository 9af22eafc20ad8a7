// SPDX-License-Identifier: Apache-2.0

//   80 minutes of traffic --> the service's own pipeline --> price server, which hangs from minute 10 to minute 70
//
// How to test a service of one's own: the pipeline is the one that ships, the dependency is a script, time is virtual. An
// hour of outage runs in a fraction of a second, and the figures are the same in every run.

#include <chrono>
#include <cstdint>
#include <functional>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

// What ships: in production, `pipeline().run(op)`.
class price_policies {
 public:
  auto pipeline() {
    return seawall::compose(
        seawall::fallback({.name = "last price"}, [this]() -> absl::StatusOr<int> { return last_; }),  //
        seawall::deadline({.after = 500ms}),
        seawall::retry({.backoff = {.initial = 10ms, .max = 50ms}, .budget = &budget_}),
        seawall::breaker(breaker_), seawall::attempt_timeout({.after = 100ms}));
  }
  void remember(int price) { last_ = price; }

 private:
  seawall::circuit_breaker breaker_{{.name = "prices", .consecutive_failures = 10, .open_for = 5s}};
  seawall::retry_budget budget_{{.name = "prices"}};
  int last_ = 99;
};

}  // namespace

int main() {
  price_policies policies;
  const auto pipeline = policies.pipeline();
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<int> server(clock, "until 10min: ok after 5ms; until 70min: hang; ok after 5ms",
                                         100);
  const seawall::instant begins = seawall::instant() + 10min;
  const seawall::instant ends = seawall::instant() + 70min;

  int failed = 0, degraded = 0;
  std::uint64_t asked_in_outage = 0;
  seawall::duration slowest;
  seawall::instant last_degraded;
  for (seawall::instant at; at < seawall::instant() + 80min; at = at + 100ms) {
    clock.advance_to(at);
    const bool out = clock.now() >= begins && clock.now() < ends;
    const std::uint64_t before = server.calls();
    seawall::call_report report;
    const auto price =
        seawall::testing::run(clock, pipeline, {.report = &report}, seawall::idempotent(std::ref(server)));
    if (!price.ok()) ++failed;
    if (price.ok() && !report.degraded) policies.remember(*price);
    if (report.degraded) last_degraded = clock.now();
    degraded += report.degraded ? 1 : 0;
    asked_in_outage += out ? server.calls() - before : 0;
    if (report.elapsed > slowest) slowest = report.elapsed;
  }

  fmt::print("48000 calls: {} failed, {} were answered with the last price\n", failed, degraded);
  fmt::print("36000 of them in the outage: {} attempts reached the server\n", asked_in_outage);
  fmt::print("slowest call: {}; last degraded answer {} after the end of the outage\n", slowest,
             last_degraded - ends);
  return failed == 0 && degraded > 35'000 && asked_in_outage < 1000 && slowest <= 500ms &&
                 last_degraded - ends < 6s
             ? 0
             : 1;
}
