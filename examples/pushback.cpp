// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry, pushback_max 1 min ] --> API: 429 Too Many Requests, Retry-After: 2
//
// The dependency knows better than any backoff when to come back. Its wish replaces the pause; a wish for more than the
// caller is ready to wait ends the call at once.

#include <chrono>
#include <functional>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

// What a client makes of an HTTP response.
absl::Status status_of(int code, seawall::duration retry_after) {
  if (code == 429)
    return seawall::with_retry_after(absl::ResourceExhaustedError("too many requests"), retry_after);
  return code == 200 ? absl::OkStatus() : absl::UnknownError("unexpected response");
}

}  // namespace

int main() {
  seawall::testing::virtual_clock clock;
  const auto pipeline =
      seawall::compose(seawall::retry({.backoff = {.initial = 50ms}, .pushback_max = 1min}));

  const auto polite = [](const seawall::attempt& a) { return status_of(a.number() == 1 ? 429 : 200, 2s); };
  const absl::Status first = seawall::testing::run(clock, pipeline, seawall::idempotent(polite));
  fmt::print("asked for 2s:   {} after {}\n", first.ToString(), clock.elapsed());
  const bool waited_as_asked = first.ok() && clock.elapsed() == 2s;

  seawall::call_report report;
  const auto strict = [] { return status_of(429, 5min); };
  const absl::Status second =
      seawall::testing::run(clock, pipeline, {.report = &report}, seawall::idempotent(strict));
  fmt::print("asked for 5min: {} after {}\n", std::string(second.message()), report.elapsed);
  const bool gave_up = report.gave_up == seawall::give_up::pushback && report.attempts == 1 &&
                       seawall::retry_after_of(second) == 5min;

  // A script can push back as well.
  seawall::testing::scripted<int> server(clock, "unavailable retry-after 700ms, ok", 1);
  const seawall::instant begun = clock.now();
  const bool scripted = seawall::testing::run(clock, pipeline, seawall::idempotent(std::ref(server))).ok() &&
                        clock.now() - begun == 700ms;
  return waited_as_asked && gave_up && scripted ? 0 : 1;
}
