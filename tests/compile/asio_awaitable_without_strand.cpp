// SPDX-License-Identifier: Apache-2.0
// expect: operations of Asio on several threads need a strand: run the call on make_strand(executor)
#include <chrono>

#include "seawall/attempt_timeout.hpp"
#include "seawall/exec/asio.hpp"
#include <asio/detached.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>

int main() {
  const auto pipeline = seawall::compose(seawall::attempt_timeout({.after = std::chrono::seconds(1)}));
  const auto op = []() -> asio::awaitable<int> { co_return 0; };
  asio::thread_pool pool;
#ifdef SEAWALL_MISTAKE
  seawall::async_run(pipeline, pool, op, asio::detached);
#else
  seawall::async_run(pipeline, asio::make_strand(pool), op, asio::detached);
#endif
  pool.join();
}
