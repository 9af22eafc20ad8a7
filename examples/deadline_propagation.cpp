// SPDX-License-Identifier: Apache-2.0

//   checkout: [ deadline 1 s ] --> [ retry ] --> "grpc-timeout: 950000u" --> inventory: [ deadline 5 s ] --> database
//
// Two services, each with a clock of its own, that have nothing in common but a map of headers. The callee works no longer
// than its caller waits, and what comes too late is turned away before it costs anything.

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;
using headers = std::map<std::string, std::string, std::less<>>;

namespace {

struct inventory {
  absl::Status reserve(const headers& request) {
    const auto get = [&](std::string_view name) -> std::optional<std::string_view> {
      const auto found = request.find(name);
      return found != request.end() ? std::optional<std::string_view>(found->second) : std::nullopt;
    };
    const seawall::inherited in = from_callers.read(get, clock.now());
    if (!in.ok()) return absl::InvalidArgumentError(in.error_text());
    return seawall::testing::run(clock, pipeline, {.deadline = in.deadline}, [&](const seawall::attempt& a) {
      ++queries;
      fmt::print("  inventory has {} for its database\n", a.time_left());
      return absl::OkStatus();
    });
  }

  seawall::testing::virtual_clock clock{seawall::instant() + 1000h};
  const seawall::propagator from_callers{{.margin = 5ms}};  // to send the answer
  const seawall::pipeline<seawall::deadline_layer> pipeline =
      seawall::compose(seawall::deadline({.after = 5s}));
  int queries = 0;
};

}  // namespace

int main() {
  inventory stock;
  const seawall::propagator to_inventory(
      {.margin = 50ms});  // the network, and what checkout does with the answer
  const auto checkout = seawall::compose(seawall::deadline({.after = 1s}), seawall::retry());

  int requests = 0;
  const auto buy = [&](std::string_view what, seawall::duration busy, seawall::call_report& report) {
    seawall::testing::virtual_clock clock;
    const auto reserve = seawall::idempotent([&](const seawall::attempt& a) -> absl::Status {
      clock.advance(busy);  // so measure anew
      headers request;
      const auto set = [&](std::string_view name, std::string_view value) { request.emplace(name, value); };
      if (to_inventory.write(a, clock.now(), set) == seawall::propagated::expired)
        return seawall::outcome_traits<absl::Status>::reject(seawall::no_time_left(a), nullptr);
      ++requests;
      fmt::print("  checkout sends grpc-timeout: {}\n", request.at("grpc-timeout"));
      return stock.reserve(request);
    });
    const absl::Status s = seawall::testing::run(clock, checkout, {.report = &report}, reserve);
    fmt::print("{}: {}\n", what, s.ToString());
    return s;
  };

  seawall::call_report report;
  const bool in_time = buy("quick", 0ms, report).ok() && requests == 1 && stock.queries == 1;
  const absl::Status late = buy("the network would eat what is left", 950ms, report);
  const bool not_sent = absl::IsDeadlineExceeded(late) && requests == 1 && report.attempts == 1;
  const absl::Status hopeless = buy("too little for inventory", 945ms, report);
  const bool not_served = absl::IsDeadlineExceeded(hopeless) && requests == 2 && stock.queries == 1;
  return in_time && not_sent && not_served ? 0 : 1;
}
