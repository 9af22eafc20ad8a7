// SPDX-License-Identifier: Apache-2.0
// The end of a transport, from anywhere at any time. The sanitizers are the other half of these tests.
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "election/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace election_test;

TEST_CASE("stop: no handler is called after it has returned, however much is on its way") {
  const codec_options codec{.checksum = true};
  for (int round = 0; round < 20; ++round) {
    asio::io_context io;
    std::atomic<bool> stopped{false};
    std::atomic<int> calls{0}, late{0};
    auto o = plain_text(1);
    o.peers = {{.id = 2, .host = "127.0.0.1", .port = 1}};
    o.idle_timeout = 1h;  // nothing that lasts so long holds back the context's end
    o.reconnect = {.initial = 1h, .max = 1h};
    seawall::raft::transport t(io, o, [&](const message&) {
      if (stopped) ++late;
      ++calls;
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { io.run(); });
    stranger s(t.port());
    s.say(hello(2, 1, codec));
    std::string many;
    for (int i = 0; i < 300; ++i) many += frame(heartbeat(2, 1), codec);
    s.say(many);
    REQUIRE(eventually([&] { return calls > 0; }));
    t.stop();
    stopped = true;
    for (auto& thread : threads) thread.join();  // nothing is left to run
    CHECK(late == 0);
  }
}

TEST_CASE("stop: waits for the handler that runs") {
  member a(plain_text(1));
  asio::io_context io;
  std::atomic<bool> inside{false}, ended{false};
  auto o = plain_text(2);
  o.peers = {a.as_peer(1)};
  seawall::raft::transport b(io, o, [&](const message&) {
    inside = true;
    std::this_thread::sleep_for(50ms);
    ended = true;
  });
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = b.port()}});
  std::thread runs([&] { io.run(); });
  REQUIRE(eventually([&] {
    a->send(heartbeat(1, 2));
    return inside.load();
  }));
  b.stop();
  CHECK(ended);
  runs.join();
}

TEST_CASE("stop: from inside the handler, and from several threads at once") {
  member a(plain_text(1));
  asio::io_context io;
  std::atomic<int> calls{0};
  std::unique_ptr<seawall::raft::transport> b;
  auto o = plain_text(2);
  o.peers = {a.as_peer(1)};
  b = std::make_unique<seawall::raft::transport>(io, o, [&](const message&) {
    ++calls;
    b->stop();
  });
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = b->port()}});
  std::thread runs([&] { io.run(); });
  REQUIRE(eventually([&] {
    a->send(heartbeat(1, 2));
    return calls > 0;
  }));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { b->stop(); });
  for (auto& t : threads) t.join();
  runs.join();
  CHECK(calls == 1);
  b->send(heartbeat(2, 1));  // says nothing, to nobody
}

TEST_CASE("stop: the port is free when it returns, though the context never runs") {
  asio::io_context io;
  auto o = plain_text(1);
  seawall::raft::transport first(io, o, [](const message&) {});
  o.listen_port = first.port();
  CHECK(seawall::raft::transport::create(io, o, [](const message&) {}).status().code() ==
        absl::StatusCode::kUnavailable);
  CHECK_THROWS_AS(seawall::raft::transport(io, o, [](const message&) {}), asio::system_error);
  first.stop();
  first.stop();
  CHECK(seawall::raft::transport::create(io, o, [](const message&) {}).ok());
}

TEST_CASE(
    "stop: a context that is destroyed with connections in every state leaks nothing and calls nobody") {
  const authority ca;
  member a(secured(1, ca));
  for (int polls = 0; polls < 60; polls += 3) {
    auto io = std::make_unique<asio::io_context>();
    auto o = secured(2, ca);
    o.peers = {a.as_peer(1), {.id = 3, .host = "127.0.0.1", .port = 1, .identity = identity_of(3)}};
    auto b = std::make_unique<seawall::raft::transport>(*io, o, [](const message&) {});
    a->set_peers({{.id = 2, .host = "127.0.0.1", .port = b->port(), .identity = identity_of(2)}});
    b->send(heartbeat(2, 1));
    stranger s(b->port());
    for (int i = 0; i < polls; ++i) io->run_one_for(2ms);
    b.reset();
    io.reset();
  }
}

TEST_CASE("stop: threads that send, look, change peers and certificates while it stops") {
  const authority ca;
  for (int round = 0; round < 5; ++round) {
    member a(secured(1, ca));
    member b(secured(2, ca));
    a->set_peers({b.as_peer(2)});
    b->set_peers({a.as_peer(1)});
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          a->send(command(1, 2, 100));
          b->send(heartbeat(2, 1));
          if (i % 50 == 0) a->stats();
          if (i % 100 == 1) b->set_peers({a.as_peer(1)});
          if (i % 100 == 2) CHECK_FALSE(b->reload());
        }
      });
    }
    a->stop();
    for (auto& t : threads) t.join();
  }
}

}  // namespace
