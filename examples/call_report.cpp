// SPDX-License-Identifier: Apache-2.0

//   caller --{.report = &report}--> [ fallback ] --> [ deadline ] --> [ retry ] --> [ breaker ] --> server
//
// How a result came about, for a caller that wants to know: how many attempts, how long, whether it is a substitute, which
// rule ended the call.

#include <chrono>
#include <functional>
#include <string_view>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

seawall::call_report call(std::string_view script, auto... layers) {
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, script, 1.0842);
  seawall::call_report report;
  const auto result = seawall::testing::run(clock, seawall::compose(layers...), {.report = &report},
                                            seawall::idempotent(std::ref(server)));
  fmt::print("{:<18} {:<7} {:>8} {:>8} {:<10} {:<12} {} {}\n", script, result.ok() ? "ok" : "failed",
             report.attempts, report.elapsed, report.degraded_by, report.gave_up, report.rejected,
             report.rejected_by);
  return report;
}

}  // namespace

int main() {
  using seawall::give_up;
  using seawall::reason;
  const auto retry = seawall::retry(
      {.backoff = {
           .shape = seawall::backoff_shape::constant, .initial = 40ms, .jitter = seawall::jitter::none}});
  seawall::circuit_breaker isolated({.name = "quotes"});
  isolated.isolate(seawall::instant());

  fmt::print("{:<18} {:<7} {:>8} {:>8} {:<10} {:<12} {}\n", "script", "result", "attempts", "elapsed",
             "degraded by", "gave up", "rejected");
  const auto straight = call("ok after 5ms", retry);
  const auto second_try = call("fail, ok after 5ms", retry);
  const auto given_up = call("fail", retry);
  const auto no_time = call("fail after 10ms", seawall::deadline({.after = 45ms}), retry);
  const auto rejected = call("ok", seawall::breaker(isolated));
  const auto degraded = call("fail", seawall::fallback({.name = "cache"}, 1.08), retry);

  const bool answered = straight.attempts == 1 && straight.elapsed == 5ms && second_try.attempts == 2;
  const bool failed = given_up.attempts == 3 && given_up.gave_up == give_up::max_attempts &&
                      no_time.attempts == 1 && no_time.gave_up == give_up::deadline;
  return answered && failed && rejected.attempts == 0 && rejected.rejected == reason::isolated &&
                 degraded.degraded && degraded.degraded_by == "cache"
             ? 0
             : 1;
}
