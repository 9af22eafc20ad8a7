// SPDX-License-Identifier: Apache-2.0

//   caller --> [ deadline 1 s ] --> [ retry ] --> [ attempt_timeout 200 ms ] --> quotes server that hangs twice
//
// Two names for two things: `deadline` bounds the whole call with its retries and pauses, `attempt_timeout` each attempt.
// With a deadline alone, one attempt that hangs uses up all the time there is.

#include <chrono>
#include <functional>
#include <string_view>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

template <class Pipeline>
seawall::call_report call(std::string_view what, const Pipeline& pipeline, bool& answered) {
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, "hang x2, ok after 30ms", 1.0842);
  seawall::call_report report;
  const auto quote = seawall::testing::run(clock, pipeline, {.report = &report},
                                           seawall::idempotent([&](const seawall::attempt& a) {
                                             fmt::print("  attempt {} has {}\n", a.number(), a.time_left());
                                             return server(a);
                                           }));
  answered = quote.ok();
  fmt::print("{}: {} after {}\n", what, quote.status().ToString(), report.elapsed);
  return report;
}

}  // namespace

int main() {
  const auto retry = seawall::retry(
      {.max_attempts = 5,
       .backoff = {
           .shape = seawall::backoff_shape::constant, .initial = 10ms, .jitter = seawall::jitter::none}});
  bool answered = false;

  const auto deadline_only =
      call("deadline alone", seawall::compose(seawall::deadline({.after = 1s}), retry), answered);
  const bool used_up = !answered && deadline_only.attempts == 1 && deadline_only.elapsed == 1s &&
                       deadline_only.gave_up == seawall::give_up::deadline;

  const auto both = call(
      "deadline and attempt_timeout",
      seawall::compose(seawall::deadline({.after = 1s}), retry, seawall::attempt_timeout({.after = 200ms})),
      answered);
  const bool in_time = answered && both.attempts == 3 && both.elapsed == 450ms;

  return used_up && in_time ? 0 : 1;
}
