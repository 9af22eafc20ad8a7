// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>

#include "net.hpp"
#include "seawall/seawall.hpp"

using namespace std::chrono_literals;

int main() {
  const auto quotes =
      seawall::compose(seawall::deadline({.after = 2s}),
                       seawall::retry({.max_attempts = 4, .backoff = {.initial = 1ms, .max = 2ms}}),
                       seawall::attempt_timeout({.after = 250ms}));
  seawall::call_report report;
  int quote = 0;
  const auto op = seawall::idempotent([](seawall::attempt a) -> net::awaitable<absl::StatusOr<int>> {
    if (a.number() < 3) co_return absl::UnavailableError("connection refused");
    co_return 42;
  });
  const auto client = [&]() -> net::awaitable<void> {
    const auto answer = co_await seawall::async_run(
        quotes, {.report = &report}, co_await net::this_coro::executor, op, net::use_awaitable);
    quote = answer.value_or(0);
  };
  net::io_context& context = context_of_the_second_unit();
  net::co_spawn(context, client, net::detached);
  context.run();
  std::printf("quote %d after %d attempts, degraded: %s\n", quote, static_cast<int>(report.attempts),
              report.degraded ? "yes" : "no");
  return 0;
}
