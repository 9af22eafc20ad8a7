// SPDX-License-Identifier: Apache-2.0
// expect: R must be default-constructible, or tell of failures itself
#include <chrono>
#include <optional>

#include "seawall/attempt_timeout.hpp"
#include "seawall/exec/asio.hpp"
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

struct price {
  explicit price(int c) : cents(c) {}
  int cents;
};

int main() {
  const auto pipeline = seawall::compose(seawall::attempt_timeout({.after = std::chrono::seconds(1)}));
#ifdef SEAWALL_MISTAKE
  const auto op = [] { return price(7); };
#else
  const auto op = [] { return std::optional<price>(7); };
#endif
  asio::io_context io;
  seawall::async_run(pipeline, io, op, asio::detached);
}
