// SPDX-License-Identifier: Apache-2.0
// What is on the other side is no Redis server, or one that talks nonsense.
#include <chrono>
#include <string>

#include "redis/fake_server.hpp"
#include "redis/support.hpp"
#include "seawall/adapt/redis.hpp"
#include <doctest/doctest.h>

namespace {

using namespace redis_test;

redis_quota_options options_for(const fake_server& server) {
  return {.port = server.port(),
          .key = "orders",
          .probe_initial = 1ms,
          .probe_max = 5ms,
          .fallback = quota_fallback::share,
          .processes = 1};
}

struct nonsense {
  std::string says;
  std::string error;  // how its text begins; empty: hiredis' own words, which differ between its versions
};

TEST_CASE("redis: nonsense is no lease; calls go on locally, and memory stays bounded") {
  const nonsense table[] = {
      {"", "Server closed the connection"},
      {std::string(3, '\0'), "an answer that is none"},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "an answer that is none"},
      {"*2147483647\r\n", "an answer that is none"},
      {"*1\r\n*1\r\n*1\r\n:1\r\n", "an answer that is none"},
      {"$-1\r\n", "an answer that is none"},
      {"$-2\r\n", ""},
      {"$9223372036854775807\r\n", ""},
      {"$x\r\n", ""},
      {":5\r\n", "not an answer of the script: 5"},
      {"+OK\r\n", "not an answer of the script: OK"},
      {"$0\r\n\r\n", "not an answer of the script: "},
      {"$3\r\n1 x\r\n", "not an answer of the script: 1 x"},
      {"$4\r\n1 0 \r\n", "not an answer of the script: 1 0 "},
      {"$4\r\n-1 0\r\n", "not an answer of the script: -1 0"},
      {"$4\r\n0 -1\r\n", "not an answer of the script: 0 -1"},
      {"$5\r\n2.5 0\r\n", "not an answer of the script: 2.5 0"},
      {"$22\r\n99999999999999999999 0\r\n", "not an answer of the script: 9"},
      {"$4\r\n99 0\r\n", "not an answer of the script: 99 0"},
      {"$3\r\n1 0\r\n$3\r\n1 0\r\n", "more answers than questions"},
      {"-NOSCRIPT No matching script.\r\n", "NOSCRIPT"},
      {"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"},
      {"-MOVED 866 127.0.0.1:7001\r\n", "MOVED"},
      {"+" + std::string(4'000'000, 'a'), "an answer without end"},
      {"-" + std::string(1'000, 'e') + "\r\n", "eeee"},
  };
  for (const nonsense& row : table) {
    CAPTURE(row.says.substr(0, 40));
    fake_server server(row.says);
    redis_quota q(options_for(server));
    CHECK(eventually([&] { return q.snapshot().failures >= 2; }));
    const auto s = q.snapshot();
    CHECK(s.state == quota_state::down);
    CHECK(s.leased == 0);
    CHECK(s.held == 0);
    CHECK(s.last_error.size() <= 256 + 40);
    const std::string begins = s.last_error.substr(0, row.error.size());
    // The two ends of one connection: which of them is first is up to the kernel.
    if (s.last_error.find("reset") == std::string::npos) CHECK(begins == row.error);
    CHECK(eventually([&] { return q.take(1, seawall::steady_clock::now()).granted; }));
  }
}

TEST_CASE(
    "redis: an answer in single bytes does not hold the connection for longer than one command may take") {
  fake_server server("$1000\r\n" + std::string(1'000, 'x'), 5ms);
  redis_quota_options o = options_for(server);
  o.command_timeout = 50ms;
  redis_quota q(o);
  CHECK(eventually([&] { return q.snapshot().failures >= 1; }));
  CHECK(q.snapshot().last_error == "no answer in time");
}

TEST_CASE("redis: nobody listens, or nothing of that name is there") {
  redis_quota_options o{.port = 1, .key = "orders", .processes = 1};
  {
    redis_quota q(o);
    CHECK(eventually([&] { return q.snapshot().state == quota_state::down; }));
    CHECK(q.snapshot().last_error == "Connection refused");
  }
  o.unix_socket = "/nonexistent/redis.sock";
  redis_quota q(o);
  CHECK(eventually([&] { return q.snapshot().state == quota_state::down; }));
  CHECK(q.snapshot().last_error == "No such file or directory");
}

}  // namespace
