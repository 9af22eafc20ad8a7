// SPDX-License-Identifier: Apache-2.0

//   caller, waits --> [ deadline 30s ] --> [ hedge after 50ms ] --> threads of the pool: curl_easy_perform
//                                            |-- attempt 1 --> primary, hangs
//                                            +-- attempt 2 --> replica
//
// Blocking calls, several at once: where the primary takes long the replica is asked as well, and the first answer wins. The
// caller does not wait for the loser. That learns at its next progress callback that nobody wants it, and frees its thread.

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
  const auto quotes =
      seawall::compose(seawall::deadline({.after = 30s}), seawall::hedge({.name = "quotes", .after = 50ms}));

  // By value: the loser may still run when the call has returned.
  const auto get = [primary = primary.url(), replica = replica.url()](const seawall::attempt& a) {
    return http_get(a.number() == 1 ? primary : replica, a);
  };
  seawall::call_report report;
  const absl::StatusOr<std::string> quote =
      quotes.run_on({.report = &report}, pool, seawall::idempotent(get));
  fmt::print("{} after {}\n", quote.ok() ? *quote : quote.status().ToString(), report.elapsed);

  const seawall::instant won = seawall::steady_clock::now();
  pool.shut_down();  // waits for the loser, which has half a minute left
  const seawall::duration lingered = seawall::steady_clock::now() - won;
  fmt::print("requests: {} to the primary, {} to the replica; the loser ended {} later\n", primary.requests(),
             replica.requests(), lingered);

  const bool replica_won = quote.ok() && *quote == "1.0842 from the replica" && report.elapsed < 10s;
  return replica_won && report.attempts == 2 && lingered < 10s ? 0 : 1;
}
