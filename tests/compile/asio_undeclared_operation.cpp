// SPDX-License-Identifier: Apache-2.0
// expect: this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op)
#include "seawall/exec/asio.hpp"
#include "seawall/retry.hpp"
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

int main() {
  const auto pipeline = seawall::compose(seawall::retry());
  const auto op = []() -> asio::awaitable<int> { co_return 0; };
  asio::io_context io;
#ifdef SEAWALL_MISTAKE
  seawall::async_run(pipeline, io, op, asio::detached);
#else
  seawall::async_run(pipeline, io, seawall::idempotent(op), asio::detached);
#endif
}
