// SPDX-License-Identifier: Apache-2.0
// expect: operations of Asio run on Asio: start this call with async_run, or on an asio_scheduler
#include <chrono>

#include "seawall/attempt_timeout.hpp"
#include "seawall/exec/asio.hpp"
#include "seawall/exec/pool.hpp"
#include <asio/io_context.hpp>

int main() {
  const auto pipeline = seawall::compose(seawall::attempt_timeout({.after = std::chrono::seconds(1)}));
  const auto op = []() -> asio::awaitable<int> { co_return 0; };
#ifdef SEAWALL_MISTAKE
  seawall::pool_scheduler scheduler;
#else
  asio::io_context io;
  seawall::asio_scheduler scheduler(io);
#endif
  pipeline.start(scheduler, op, [](const seawall::answer_of<int>&) {});
}
