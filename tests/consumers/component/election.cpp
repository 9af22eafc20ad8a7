// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <asio/io_context.hpp>
#include <seawall/election/transport.hpp>

using namespace seawall::raft;

int main() {
  asio::io_context io;
  const auto security = transport_security::plain_text_on_loopback;
  bool arrived = false;
  transport one(io, {.self = 1, .security = security}, [](message) {});
  transport two(io, {.self = 2, .security = security}, [&](message) { arrived = true; });
  one.set_peers({{.id = 2, .host = "127.0.0.1", .port = two.port()}});
  two.set_peers({{.id = 1, .host = "127.0.0.1", .port = one.port()}});
  one.send({.kind = message_kind::pre_vote, .from = 1, .to = 2, .term = 1});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!arrived && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(10));
  return arrived ? 0 : 1;
}
