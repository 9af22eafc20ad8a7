// SPDX-License-Identifier: Apache-2.0

//   caller --> [ fallback ] --> [ retry ] --> [ breaker ] --> HTTP client with its own response type
//
// Any type can be a result: `outcome_traits` says how to read it and how to make one when a policy rejects.

#include <chrono>
#include <string>

#include "seawall/circuit_breaker.hpp"
#include "seawall/fallback.hpp"
#include "seawall/format.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;

struct http_response {
  int status = 0;  // 0: no response
  std::string body;
  int retry_after_seconds = -1;
};

template <>
struct seawall::outcome_traits<http_response> {
  static verdict classify(const http_response& r) {
    if (r.status == 0) return verdict::transient();
    if (r.status < 400) return verdict::ok();
    if (r.status == 429 || r.status == 503) {
      const verdict v = r.status == 503 ? verdict::transient() : verdict{.again = again::if_idempotent};
      return r.retry_after_seconds >= 0 ? v.with_retry_after(std::chrono::seconds(r.retry_after_seconds)) : v;
    }
    return r.status < 500 ? verdict::refused() : verdict::transient();
  }
  // `last` is the response of a real attempt, if there was one.
  static http_response reject(const rejection& r, const http_response* /*last*/) {
    return {.status = 0, .body = describe(r)};
  }
  // What fallbacks are told.
  using error_type = http_response;
  static const http_response& error(const http_response& r) { return r; }
};

int main() {
  seawall::testing::virtual_clock clock;
  seawall::circuit_breaker breaker({.name = "catalogue", .consecutive_failures = 2});
  const auto pipeline = seawall::compose(
      seawall::fallback([](const http_response& failed) {
        return http_response{.status = 203, .body = "from the archive, because of: " + failed.body};
      }),
      seawall::retry({.pushback_max = 5s}), seawall::breaker(breaker));

  const auto get = [&](http_response first, http_response then) {
    const http_response r = seawall::testing::run(
        clock, pipeline,
        seawall::idempotent([&](const seawall::attempt& a) { return a.number() == 1 ? first : then; }));
    fmt::print("{:>4}  {} {}\n", clock.elapsed(), r.status, r.body);
    return r.status;
  };

  const http_response page = {.status = 200, .body = "<html>"};
  const http_response busy = {.status = 503, .body = "busy", .retry_after_seconds = 2};
  const http_response none = {.status = 0, .body = "no response"};
  const http_response missing = {.status = 404, .body = "no such page"};
  const bool repeated = get(busy, page) == 200 && clock.elapsed() == 2s;
  const bool passed = get(missing, page) == 404;
  const bool substituted =
      get(none, none) == 203 && get(page, page) == 203;  // the second time the breaker is open
  return repeated && passed && substituted ? 0 : 1;
}
