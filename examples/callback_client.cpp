// SPDX-License-Identifier: Apache-2.0

//   caller, goes on --> [ retry ] --> [ attempt_timeout ] --> sensor library: read(sensor, callback), on a thread of its own
//          ^                                                                          |
//          +----------------- done(result), on a thread of the pool <-----------------+
//
// A library that calls back becomes an operation in a few lines: what it calls back with goes into the `completion`, once,
// from whatever thread. Nobody waits meanwhile; a callback that never comes is ended by the time-out.

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "seawall/exec/pool.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "support/sensor_library.hpp"

using namespace std::chrono_literals;

int main() {
  sensor_library sensors;
  seawall::pool_scheduler pool({.name = "sensors", .threads = 1});
  const auto pipeline = seawall::compose(seawall::retry({.max_attempts = 4, .backoff = {.initial = 1ms}}),
                                         seawall::attempt_timeout({.after = 100ms}));

  // std::function wants a copy, a completion moves only.
  const auto read = [&sensors](const seawall::attempt& a, seawall::completion<absl::StatusOr<double>> done) {
    auto shared = std::make_shared<seawall::completion<absl::StatusOr<double>>>(std::move(done));
    fmt::print("  attempt {}\n", a.number());
    sensors.read("boiler", [shared](int error, double celsius) {
      if (error != 0) return (*shared)(absl::UnavailableError("the bus is busy"));
      (*shared)(celsius);
    });
  };

  std::promise<absl::StatusOr<double>> promise;
  seawall::call_report report;
  pipeline.start({.report = &report}, pool, seawall::idempotent(read),
                 [&promise](absl::StatusOr<double> celsius) { promise.set_value(std::move(celsius)); });
  fmt::print("started\n");

  const absl::StatusOr<double> celsius = promise.get_future().get();
  fmt::print("{} degrees after {} attempts: one failed, one was never answered\n", celsius.value_or(0),
             report.attempts);
  const bool as_claimed = celsius.ok() && *celsius == 81.5 && report.attempts == 3 && report.elapsed >= 100ms;
  return as_claimed ? 0 : 1;
}
