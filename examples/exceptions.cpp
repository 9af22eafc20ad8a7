// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry ] --> [ breaker ] --> a library that returns plain values and throws
//
// Success is returning, failure is throwing. Exceptions are caught where the attempt ends and thrown again where the call
// ends; a policy that rejects throws a `rejected_error`, which says which policy and why.

#include <chrono>
#include <stdexcept>

#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/format.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::circuit_breaker breaker(
      {.name = "geocoder", .consecutive_failures = 4, .open_for = 1h, .open_for_max = 1h});
  const auto pipeline =
      seawall::compose(seawall::retry({.backoff = {.initial = 1ms, .max = 1ms}, .pushback_max = 1s}),
                       seawall::breaker(breaker));

  // Fails once, then returns a plain int.
  const int answer = pipeline.run(seawall::idempotent([](const seawall::attempt& a) {
    if (a.number() == 1) throw std::runtime_error("connection reset by peer");
    return 42;
  }));
  fmt::print("answer: {}\n", answer);

  // A std::logic_error is the caller's own fault: not repeated, and no sign of a sick dependency.
  int calls = 0;
  bool refused = false;
  try {
    pipeline.run(seawall::idempotent([&calls] {
      ++calls;
      throw std::invalid_argument("no such address");
    }));
  } catch (const std::invalid_argument& e) {
    refused = calls == 1;
    fmt::print("invalid_argument: {}, after {} call\n", e.what(), calls);
  }

  // Three failures and the caller gets the last exception itself; one more and the breaker opens.
  const auto fails = seawall::idempotent([] { throw std::runtime_error("host unreachable"); });
  bool original = false;
  bool rejected = false;
  try {
    pipeline.run(fails);
  } catch (const std::runtime_error& e) {
    original = dynamic_cast<const seawall::rejected_error*>(&e) == nullptr;
    fmt::print("runtime_error: {}\n", e.what());
  }
  try {
    pipeline.run(fails);
  } catch (const std::runtime_error& e) {
    fmt::print("runtime_error: {}\n", e.what());
  }
  try {
    pipeline.run(fails);
  } catch (const seawall::rejected_error& e) {
    rejected = e.why().why == seawall::reason::open && e.why().name == "geocoder";
    fmt::print("rejected_error: {}\n", e.what());
  }
  return answer == 42 && refused && original && rejected ? 0 : 1;
}
