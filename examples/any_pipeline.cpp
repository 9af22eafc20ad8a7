// SPDX-License-Identifier: Apache-2.0

//   configuration --> any_pipeline<double>::from --> [ deadline ] --> [ retry ] --> [ breaker ] --> [ attempt_timeout ]
//
// A pipeline whose layers are known at run time. Options and their order are checked when it is made, by the same rules
// as those of `compose`, and a mistake is reported with its field, its value and its range.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/script.hpp"

using namespace std::chrono_literals;

namespace {

// What an application has read from a file of its own.
struct dependency_config {
  std::string name;
  std::chrono::milliseconds deadline{2000};
  std::uint32_t attempts = 3;
  std::uint32_t failures_to_open = 5;
  std::chrono::milliseconds attempt_timeout{250};
};

auto pipeline_of(const dependency_config& c) {
  return seawall::any_pipeline<absl::StatusOr<double>>::from(
      {.name = c.name,
       .layers = {
           seawall::deadline_options{.after = c.deadline},  //
           seawall::retry_options{.max_attempts = c.attempts},
           seawall::circuit_breaker_options{.name = c.name, .consecutive_failures = c.failures_to_open},
           seawall::attempt_timeout_options{.after = c.attempt_timeout}}});
}

}  // namespace

int main() {
  const auto quotes = pipeline_of({.name = "quotes", .attempts = 4});
  if (!quotes.ok()) return 1;
  seawall::testing::virtual_clock clock;
  seawall::testing::scripted<double> server(clock, "hang, fail x2, ok", 1.0842);
  const auto quote = seawall::testing::run(clock, *quotes, seawall::idempotent(std::ref(server)));
  fmt::print("{} after {} attempts; {}\n", *quote, server.calls(),
             quotes->owned<seawall::circuit_breaker>().front()->snapshot(clock.now()));

  const auto bad_value = pipeline_of({.name = "quotes", .attempts = 0});
  fmt::print("{}\n", bad_value.status().ToString());

  const auto bad_order = seawall::any_pipeline<absl::StatusOr<double>>::from(
      {.name = "quotes", .layers = {seawall::retry_options{}, seawall::deadline_options{}}});
  fmt::print("{}\n", bad_order.status().ToString());

  // A pipeline that `compose` made fits as well: one type for functions and members.
  const seawall::any_pipeline<absl::StatusOr<double>> composed =
      seawall::compose(seawall::fallback(1.10), seawall::retry({.max_attempts = 2}));
  seawall::testing::scripted<double> down(clock, "fail", 0);
  const auto substitute = seawall::testing::run(clock, composed, seawall::idempotent(std::ref(down)));

  const bool refused = bad_value.status().code() == absl::StatusCode::kInvalidArgument &&
                       bad_order.status().code() == absl::StatusCode::kInvalidArgument;
  return *quote == 1.0842 && server.calls() == 4 && refused && *substitute == 1.10 ? 0 : 1;
}
