// SPDX-License-Identifier: Apache-2.0
#include "inner_chaos.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "seawall/time.hpp"

namespace drill {

using namespace std::chrono_literals;

seawall::chaos_options inner_faults(std::uint64_t seed) {
  return {.name = "storefront",
          .faults = {{.kind = seawall::fault_kind::failure, .rate = 0.30, .text = "made up"},
                     {.kind = seawall::fault_kind::latency,
                      .rate = 0.20,
                      .delay = 10ms,
                      .shape = seawall::delay_shape::uniform,
                      .delay_max = 50ms},
                     {.kind = seawall::fault_kind::hang, .rate = 0.02},
                     {.kind = seawall::fault_kind::result, .rate = 0.03}},
          .seed = seed};
}

std::string wrong_answer_of(dependency d) {
  return d == dependency::inventory ? "stock 1\n" : "goes well with article 0\n";
}

http_reply call_with(seawall::chaos& faults, dependency d, dependency_client& client,
                     const std::string& order, const http_timeouts& timeouts) {
  using ending = http_reply::ending;
  const auto injected = faults.next(seawall::steady_clock::now());
  std::this_thread::sleep_for(std::min(injected.delay.to_chrono(), timeouts.read));
  switch (injected.kind) {
    case seawall::fault_kind::none:
    case seawall::fault_kind::latency: break;
    case seawall::fault_kind::failure: return {.how = ending::answered, .status = 503};
    case seawall::fault_kind::hang: return {.how = ending::timed_out};
    case seawall::fault_kind::result:
      return {.how = ending::answered, .status = 200, .body = wrong_answer_of(d)};
  }
  return client.call(order, {}, timeouts);
}

chaos_stats chaos_stats_of(const seawall::chaos& faults) {
  const seawall::chaos_snapshot s = faults.snapshot();
  return {.calls = s.calls,
          .failures = s.failures,
          .delays = s.latencies,
          .hangs = s.hangs,
          .wrong_answers = s.results};
}

}  // namespace drill
