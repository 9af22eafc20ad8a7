// SPDX-License-Identifier: Apache-2.0

//   caller --> [ fallback "static" ] --> [ fallback "cache" ] --> [ retry ] --> rates server, down
//
// A chain of substitutes: the inner one is asked first; if it cannot help either, the outer one answers. A substitute is a
// value, or a function of nothing, of the error, of the attempt. Every degraded answer is marked as such.

#include <optional>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

namespace {

using rate = absl::StatusOr<double>;

struct seen {
  rate answer;
  seawall::call_report report;
};

}  // namespace

int main() {
  std::optional<double> cached;
  const auto from_cache = [&cached](const absl::Status& why) -> rate {
    if (cached) return *cached;
    return absl::UnavailableError("nothing cached; " + why.ToString());
  };
  const auto pipeline = seawall::compose(seawall::fallback({.name = "static"}, 1.10),
                                         seawall::fallback({.name = "cache"}, from_cache),  //
                                         seawall::retry({.max_attempts = 2}));

  seawall::testing::virtual_clock clock;
  const auto call = [&](const absl::Status& server) {
    seawall::call_report report;
    rate answer =
        seawall::testing::run(clock, pipeline, {.report = &report}, seawall::idempotent([&]() -> rate {
                                if (!server.ok()) return server;
                                return 1.0842;
                              }));
    const std::string text = answer.ok() ? fmt::format("{}", *answer) : answer.status().ToString();
    fmt::print("{:<38} -> {} (degraded by '{}')\n", server.ToString(), text, report.degraded_by);
    return seen{answer, report};
  };

  const seen healthy = call(absl::OkStatus());
  const seen empty_cache = call(absl::UnavailableError("connection refused"));
  cached = 1.0841;
  const seen from_the_cache = call(absl::UnavailableError("connection refused"));
  // An answer of a healthy server is not replaced, even if the caller would have liked another one.
  const seen not_found = call(absl::NotFoundError("no such currency"));

  const bool passed = healthy.answer.ok() && !healthy.report.degraded &&
                      not_found.answer.status().code() == absl::StatusCode::kNotFound;
  const bool chained = empty_cache.answer.value_or(0) == 1.10 && empty_cache.report.degraded_by == "static" &&
                       from_the_cache.answer.value_or(0) == 1.0841 &&
                       from_the_cache.report.degraded_by == "cache" && from_the_cache.report.attempts == 2;
  return passed && chained ? 0 : 1;
}
