// SPDX-License-Identifier: Apache-2.0

//   caller, who leaves --stop_token--> [ fallback ] --> [ retry: pauses for an hour ] --> report generator
//
// A caller that has gone ends pauses, prevents further attempts and substitutes, and is visible to a running attempt.
// In real time: another thread asks for the stop.

#include <chrono>
#include <stop_token>
#include <thread>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

namespace {

// Asks for a stop a little later.
class leaving_caller {
 public:
  std::stop_token token() const { return source_.get_token(); }
  ~leaving_caller() { thread_.join(); }

 private:
  std::stop_source source_;
  std::thread thread_{[source = source_]() mutable {
    std::this_thread::sleep_for(20ms);
    source.request_stop();
  }};
};

}  // namespace

int main() {
  int substitutes = 0;
  const auto pipeline = seawall::compose(
      seawall::fallback([&substitutes] {
        ++substitutes;
        return absl::OkStatus();
      }),
      seawall::retry({.backoff = {.initial = 1h, .max = 1h, .jitter = seawall::jitter::none}}));

  // During a pause.
  seawall::call_report paused;
  {
    const leaving_caller caller;
    const absl::Status s = pipeline.run({.stop = caller.token(), .report = &paused},
                                        seawall::idempotent([] { return absl::UnavailableError("busy"); }));
    fmt::print("in a pause:    {}\n", s.ToString());
  }

  // During an attempt, which looks at its stop token from time to time.
  seawall::call_report running;
  {
    const leaving_caller caller;
    const auto generate = [](const seawall::attempt& a) {
      while (!a.stop_token().stop_requested()) std::this_thread::sleep_for(1ms);
      return absl::CancelledError("stopped half-way");
    };
    const absl::Status s =
        pipeline.run({.stop = caller.token(), .report = &running}, seawall::idempotent(generate));
    fmt::print("in an attempt: {}\n", s.ToString());
  }

  const bool left_pause =
      paused.rejected == seawall::reason::cancelled && paused.attempts == 1 && paused.elapsed < 10s;
  const bool left_attempt = running.rejected == seawall::reason::none && running.attempts == 1;
  return left_pause && left_attempt && substitutes == 0 ? 0 : 1;
}
