// SPDX-License-Identifier: Apache-2.0

//   caller, waits --> [ deadline 5s ] --> [ retry ] --> [ attempt_timeout 200ms ] --> a thread of the pool: curl_easy_perform
//                                                             attempt 1 --> primary, hangs
//                                                             attempt 2 --> replica
//
// Blocking calls, made on a pool: a time-out ends an attempt that does not end by itself. The caller does not wait for what is
// given up: that sees it at its next progress callback, and frees its thread.

#include <chrono>
#include <string>

#include "seawall/exec/pool.hpp"
#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "support/http_get.hpp"
#include "support/http_server.hpp"

using namespace std::chrono_literals;

int main() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const http_server primary("1.0842 from the primary", 1h);
  const http_server replica("1.0842 from the replica", 0ms);

  seawall::pool_scheduler pool({.name = "libcurl", .threads = 4});
  const auto quotes = seawall::compose(seawall::deadline({.after = 5s}),
                                       seawall::retry({.backoff = {.initial = 1ms}, .attempt_needs = 50ms}),
                                       seawall::attempt_timeout({.after = 200ms}));

  // By value: an attempt that was given up may still run when the call has returned.
  const auto get = [primary = primary.url(), replica = replica.url()](const seawall::attempt& a) {
    return http_get(a.number() == 1 ? primary : replica, a);
  };
  seawall::call_report report;
  const absl::StatusOr<std::string> quote =
      quotes.run_on({.report = &report}, pool, seawall::idempotent(get));
  fmt::print("{} after {} attempts and {}\n", quote.ok() ? *quote : quote.status().ToString(),
             report.attempts, report.elapsed);

  pool.shut_down();  // waits for the loser
  fmt::print("requests: {} to the primary, {} to the replica\n", primary.requests(), replica.requests());
  return quote.ok() && *quote == "1.0842 from the replica" && report.attempts == 2 && report.elapsed < 2s ? 0
                                                                                                          : 1;
}
