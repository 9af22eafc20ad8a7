// SPDX-License-Identifier: Apache-2.0

//   caller --> [ fallback ] --> [ deadline 1 s ] --> [ retry ] --> [ attempt_timeout 200 ms ] --> [ chaos ] --> quotes
//
// The quotes server is well. Chaos makes it fail, hang, dawdle and lie as a script says, to see that callers get an answer all
// the same; then it is switched off. The same text could drive a scripted server in a unit test.

#include "seawall/chaos.hpp"

#include <chrono>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;
using quote = absl::StatusOr<double>;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::chaos storm({.name = "storm",
                        .script = "until 10s: fail x2, ok;"              // the retry bears it
                                  "until 20s: hang, ok after 50ms ...;"  // a time-out and a retry bear it
                                  "until 30s: hang;"                     // only the fallback is left
                                  "wrong"});                             // nobody notices
  const auto quotes = seawall::compose(
      seawall::fallback(quote(1.0)), seawall::deadline({.after = 1s}),
      seawall::retry(
          {.max_attempts = 3, .backoff = {.initial = 10ms, .max = 10ms, .jitter = seawall::jitter::none}}),
      seawall::attempt_timeout({.after = 200ms}), seawall::inject(storm, quote(-1.0)));

  int real = 0, stale = 0, wrong = 0;
  const auto calls_for = [&](seawall::duration d) {
    real = stale = wrong = 0;
    for (const seawall::instant end = clock.now() + d; clock.now() < end; clock.advance(1s)) {
      const quote q =
          seawall::testing::run(clock, quotes, seawall::idempotent([]() -> quote { return 1.0842; }));
      ++(!q.ok() || *q < 0 ? wrong : *q == 1.0 ? stale : real);
    }
    fmt::print("{:>7}  {} real answers, {} from the fallback, {} wrong\n", clock.elapsed(), real, stale,
               wrong);
  };

  calls_for(10s);  // chaos is there, but off
  const bool quiet = stale + wrong == 0 && storm.snapshot().calls == 0;
  storm.enable();
  calls_for(10s);
  const bool retried = stale + wrong == 0 && storm.snapshot().failures > 0;
  calls_for(10s);
  const bool timed_out = stale + wrong == 0 && storm.snapshot().hangs > 0;
  calls_for(10s);
  const bool fell_back = stale > 5;
  calls_for(5s);
  const bool lied = wrong == 5;
  storm.disable();
  calls_for(5s);
  const auto s = storm.snapshot();
  fmt::print("injected: {} failures, {} hangs, {} delays, {} results\n", s.failures, s.hangs, s.latencies,
             s.results);
  return quiet && retried && timed_out && fell_back && lied && real == 5 ? 0 : 1;
}
