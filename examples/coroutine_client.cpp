// SPDX-License-Identifier: Apache-2.0

//   coroutine --co_await--> [ retry ] --> [ attempt_timeout ] --> sensor library: read(sensor, callback), on its own thread
//
// The calls of callback_client.cpp, one after the other, as a coroutine writes them down. It may be of any type; this one is
// the smallest. It waits without a thread, and goes on on the scheduler.

#include <chrono>
#include <coroutine>
#include <exception>
#include <future>
#include <memory>
#include <utility>

#include "seawall/exec/pool.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "support/sensor_library.hpp"

using namespace std::chrono_literals;

namespace {

/// A coroutine that starts at once and that nobody awaits.
struct detached {
  struct promise_type {
    detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

const auto pipeline = seawall::compose(seawall::retry({.max_attempts = 4, .backoff = {.initial = 1ms}}),
                                       seawall::attempt_timeout({.after = 100ms}));

detached mean_of_three(sensor_library& sensors, seawall::pool_scheduler& pool,
                       std::promise<absl::StatusOr<double>>& mean) {
  const auto read = [&sensors](seawall::completion<absl::StatusOr<double>> done) {
    auto shared = std::make_shared<seawall::completion<absl::StatusOr<double>>>(std::move(done));
    sensors.read("boiler", [shared](int error, double celsius) {
      if (error != 0) return (*shared)(absl::UnavailableError("the bus is busy"));
      (*shared)(celsius);
    });
  };
  double sum = 0;
  for (int i = 1; i <= 3; ++i) {
    seawall::call_report report;
    const absl::StatusOr<double> celsius =
        co_await pipeline.async({.report = &report}, pool, seawall::idempotent(read));
    if (!celsius.ok()) {
      mean.set_value(celsius.status());
      co_return;
    }
    fmt::print("reading {}: {} degrees after {} attempts\n", i, *celsius, report.attempts);
    sum += *celsius;
  }
  mean.set_value(sum / 3);
}

}  // namespace

int main() {
  sensor_library sensors;
  seawall::pool_scheduler pool({.name = "sensors", .threads = 1});
  std::promise<absl::StatusOr<double>> mean;
  mean_of_three(sensors, pool, mean);
  const absl::StatusOr<double> celsius = mean.get_future().get();
  fmt::print("mean: {} degrees\n", celsius.value_or(0));
  return celsius.ok() && *celsius == 81.5 ? 0 : 1;
}
