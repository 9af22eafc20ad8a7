// SPDX-License-Identifier: Apache-2.0
// A server that is there: what several processes get of it.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "redis/support.hpp"
#include "seawall/adapt/redis.hpp"
#include <doctest/doctest.h>

namespace {

using namespace redis_test;

TEST_CASE("redis: what several processes use of a quota exceeds it by a lease each at most") {
  redis_server server;
  const redis_quota_options o = options_for(server, 3);
  processes_under_load load({o, o, o});
  let_run(2s);
  const instant end = seawall::steady_clock::now();
  const auto failures = load.quota(0).snapshot().failures;
  ledger all = load.end();
  const double seconds = (end - load.begun()).seconds();
  const double above = all.most_above(500);
  MESSAGE("3 processes, 500/s, burst 50, leases of up to 20: ", all.size(), " in ", seconds,
          " s; most above the rate ", above);
  CHECK(failures == 0);
  CHECK(above <= 50 + 3 * 20 + 3);
  // They are not starved by their leases either; on a busy machine they may be by the scheduler.
  CHECK(static_cast<double>(all.size()) >= 0.6 * 500 * seconds);
}

TEST_CASE("redis: a process that has nothing to do does not sit on its leases") {
  redis_server server;
  redis_quota_options o = options_for(server, 2);
  o.lease_time = 100ms;
  o.command_timeout = 50ms;
  redis_quota idle(o);
  REQUIRE(idle.wait_until_answered(10s));
  for (int i = 0; i < 2000; ++i) idle.take(1, seawall::steady_clock::now());
  CHECK(eventually([&] { return idle.snapshot().lease > 1; }));
  CHECK(eventually([&] { return idle.snapshot().held <= 2 && idle.snapshot().lease == 1; }));
}

TEST_CASE("redis: what a process holds is returned when it ends") {
  redis_server server;
  redis_quota_options o = options_for(server, 2);
  o.permits = 1;
  o.per = 1h;
  o.min_lease = 20;
  auto first = std::make_unique<redis_quota>(o);
  REQUIRE(first->wait_until_answered(10s));
  CHECK(server.ask({"HGET", "seawall:quota:{orders}", "debt"}) == std::to_string(20 * 3'600'000'000));
  REQUIRE(first->take(5, seawall::steady_clock::now()).granted);
  first.reset();
  const std::string debt = server.ask({"HGET", "seawall:quota:{orders}", "debt"});
  CHECK(std::stoll(debt) <= 5 * 3'600'000'000);
  CHECK(std::stoll(debt) > 4 * 3'600'000'000);
}

TEST_CASE("redis: keys go by themselves when nobody asks any more") {
  redis_server server;
  {
    redis_quota q(options_for(server, 2));
    REQUIRE(q.wait_until_answered(10s));
  }
  CHECK(std::stoll(server.ask({"PTTL", "seawall:quota:{orders}"})) > 0);
}

TEST_CASE("redis: permits that are given back can be used again") {
  redis_server server;
  redis_quota_options o = options_for(server, 2);
  o.permits = 1;
  o.per = 1h;
  o.min_lease = 20;
  redis_quota q(o);
  REQUIRE(q.wait_until_answered(10s));
  const instant now = seawall::steady_clock::now();
  REQUIRE(q.take(20, now).granted);
  q.give_back(20, now);
  CHECK(q.snapshot().held >= 20);
  CHECK(q.take(20, now).granted);
}

TEST_CASE("redis: a call that wants more than any lease is told that waiting is in vain") {
  redis_server server;
  redis_quota q(options_for(server, 2));
  const auto answer = q.take(21, seawall::steady_clock::now());
  CHECK_FALSE(answer.granted);
  CHECK(answer.retry_after == duration::infinite());
}

TEST_CASE("redis: a heavy call gets a lease that is large enough") {
  redis_server server;
  redis_quota q(options_for(server, 2));
  REQUIRE(q.wait_until_answered(10s));
  CHECK(eventually([&] { return q.take(20, seawall::steady_clock::now()).granted; }));
}

TEST_CASE("redis: over a Unix socket, in another database, with a password") {
  redis_server server({"--requirepass", "secret"});
  server.log_in_with("secret");
  redis_quota_options o = options_for(server, 2);
  o.unix_socket = server.socket_path();
  o.username = "default";
  o.password = "secret";
  o.database = 3;
  redis_quota q(o);
  CHECK(q.wait_until_answered(10s));
  CHECK(q.take(1, seawall::steady_clock::now()).granted);
  CHECK(server.ask({"EXISTS", "seawall:quota:{orders}"}) == "0");
}

TEST_CASE("redis: a wrong password is a state with the server's words, and calls go on") {
  redis_server server({"--requirepass", "secret"});
  redis_quota_options o = options_for(server, 2);
  o.password = "wrong";
  redis_quota q(o);
  CHECK(eventually([&] { return q.snapshot().state == quota_state::down; }));
  CHECK(q.snapshot().last_error.starts_with("WRONGPASS"));
  CHECK_FALSE(q.wait_until_answered(0s));
  CHECK(eventually([&] { return q.take(1, seawall::steady_clock::now()).granted; }));
  CHECK(q.snapshot().locally_granted >= 1);
}

TEST_CASE("redis: a server that forgot the script is told it again") {
  redis_server server;
  redis_quota_options o = options_for(server, 2);
  o.lease_time = 100ms;
  o.command_timeout = 50ms;
  redis_quota q(o);
  REQUIRE(q.wait_until_answered(10s));
  const auto before = q.snapshot();
  REQUIRE(server.ask({"SCRIPT", "FLUSH"}) == "OK");
  REQUIRE(eventually([&] { return q.snapshot().contacts >= before.contacts + 2; }));
  CHECK(q.snapshot().failures == before.failures);
}

TEST_CASE("redis: a key that holds something else is a state with the server's words") {
  redis_server server;
  REQUIRE(server.ask({"SET", "seawall:quota:{orders}", "x"}) == "OK");
  redis_quota q(options_for(server, 2));
  CHECK(eventually([&] { return q.snapshot().last_error.find("WRONGTYPE") != std::string::npos; }));
  CHECK(q.snapshot().state == quota_state::down);
}

TEST_CASE("redis: a replica that must not be written to counts as down, until it is promoted") {
  redis_server server;
  redis_quota q(options_for(server, 2));
  REQUIRE(q.wait_until_answered(10s));
  REQUIRE(server.ask({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
  CHECK(eventually([&] { return q.snapshot().state == quota_state::down; }));
  CHECK(q.snapshot().last_error.starts_with("READONLY"));
  REQUIRE(server.ask({"REPLICAOF", "NO", "ONE"}) == "OK");
  CHECK(eventually([&] { return q.snapshot().state == quota_state::healthy; }));
}

}  // namespace
