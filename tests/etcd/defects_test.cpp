// SPDX-License-Identifier: Apache-2.0
// What electors on an engine have been shipped with.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "etcd/support.hpp"
#include "seawall/adapt/etcd.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;
using seawall::etcd_elector_state;

void let_pass(std::chrono::nanoseconds d) { std::this_thread::sleep_for(d); }

TEST_CASE(
    "etcd: phantom leadership: who cannot renew stops at the end of its lease, not when it hears of it") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  // To ask all of these once takes six times the lease.
  etcd_elector a(short_options_for("a", std::vector<std::string>(8, way.endpoint()), 4s));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  std::atomic<std::int64_t> stopped_ns{0};
  std::stop_callback stopped(l->stop(), [&] { stopped_ns = boot_clock::now().ns(); });
  way.cut();
  instant until;
  while (l->valid()) until = std::max(until, l->valid_until());  // the last one may be that it has ended
  const instant invalid = boot_clock::now();
  CHECK(!a.current());
  REQUIRE(eventually([&] { return stopped_ns > 0; }));
  CHECK(invalid >= until);
  const duration late = instant::from_ns(stopped_ns) - until;
  MESSAGE("stopped ", late.seconds() * 1e3, " ms after the end of the lease");
  CHECK(late < duration(3s));
  way.mend();
  REQUIRE(log.wait(what::lost, 1));
  CHECK(log.entries().back().why.starts_with("the lease has expired"));
}

TEST_CASE("etcd: phantom leadership: a leader whose key was deleted by hand does not go on with its lease") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(options_for("a", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  cluster.erase(leader_key);
  const auto lost = log.wait(what::lost, 1);
  REQUIRE(lost);
  CHECK(lost->why.find("deleted") != std::string::npos);
  CHECK(!l->valid());
  const auto next = log.wait(what::elected, 2);
  REQUIRE(next);
  CHECK(next->token > l->token());
}

TEST_CASE(
    "etcd: phantom leadership: a lease that etcd has dropped is noticed with the next renewal, and the watch") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(options_for("a", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  const std::string leases = cluster.ask("/v3/lease/leases", "{}");
  const auto at = leases.find("\"ID\":\"") + 6;
  cluster.ask("/v3/lease/revoke", "{\"ID\":\"" + leases.substr(at, leases.find('"', at) - at) + "\"}");
  REQUIRE(log.wait(what::lost, 1));
  CHECK(log.wait(what::elected, 2));
}

TEST_CASE("etcd: unknown outcome: a transaction whose answer was lost is found again, not forgotten") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  way.lose_answers("request_put");
  election_log log;
  etcd_elector a(options_for("a", {way.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  CHECK(way.lost_answers() >= 1);
  CHECK(a.snapshot().unknown_outcomes == 1);
  CHECK(a.snapshot().campaigns == 1);
  CHECK(cluster.get(leader_key) == "a");
  CHECK(cluster.leases() == 1);
}

TEST_CASE("etcd: unknown outcome: nothing leads while it is unknown, and no lock is left behind") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  way.lose_answer_and_cut("request_put");
  election_log log;
  etcd_elector a(short_options_for("a", {way.endpoint()}, 4s));
  etcd_elector b(options_for("b", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  // The key is there, and nobody knows.
  REQUIRE(eventually([&] { return way.lost_answers() > 0; }));
  CHECK(cluster.get(leader_key) == "a");
  CHECK(!a.current());
  b.start(logged(log, "b"));
  REQUIRE(log.wait(what::elected, 1));
  CHECK(log.entries().front().node == "b");
  way.mend();
  REQUIRE(eventually([&] { return a.snapshot().state == etcd_elector_state::following; }));
  CHECK(cluster.get(leader_key) == "b");
  CHECK(eventually([&] { return cluster.leases() == 1; }));
  CHECK(log.count(what::elected) == 1);
}

TEST_CASE("etcd: a request that was long under way takes the key for nobody") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  etcd_elector a(short_options_for("a", {way.endpoint()}, 4s));
  etcd_elector b(short_options_for("b", {cluster.endpoint()}, 4s));
  b.start(logged(log, "b"));
  REQUIRE(log.wait(what::elected, 1));
  a.start(logged(log, "a"));
  REQUIRE(eventually([&] { return a.snapshot().state == etcd_elector_state::following; }));
  b.resign();
  way.cut();  // perhaps with a's transaction under way
  let_pass(1500ms);
  way.mend();
  REQUIRE(log.wait(what::elected, 2));
  // Whoever it is: the key is of who leads.
  CHECK(eventually([&] {
    const std::string leader = cluster.get(leader_key);
    return leader == (a.current() ? "a" : b.current() ? "b" : "?") && cluster.leases() == 1;
  }));
}

TEST_CASE("etcd: a TTL that etcd has raised is the one that counts") {
  etcd_cluster cluster({.election = 5000ms});
  election_log log;
  etcd_elector a(short_options_for("a", {cluster.endpoint()}, 1s));  // raised to 8
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  CHECK(l->valid_until() - boot_clock::now() > duration(1s));
  CHECK(l->valid_until() - boot_clock::now() < duration(8s));
}

TEST_CASE("etcd: a renewal that is under way when the lease expires does not extend it") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  auto o = short_options_for("a", {way.endpoint()});
  o.look_every = 1h;
  etcd_elector a(o);
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  // All renewals arrive, and live on at etcd; their answers do not.
  way.lose_answers("lease/keepalive", 1000);
  REQUIRE(eventually([&] { return !l->valid(); }));
  CHECK(way.lost_answers() > 0);
  way.lose_answers("", 0);
  const auto next = grant_of(a);
  REQUIRE(next);
  CHECK(!l->valid());
  CHECK(next->token() > l->token());
}

TEST_CASE("etcd: a leader that resigns keeps the lease until on_lost has returned, and then gives it back") {
  etcd_cluster cluster;
  std::atomic<bool> go_on{false};
  election_log log;
  auto o = options_for("a", {cluster.endpoint()});
  o.stand_back = 1min;
  etcd_elector a(o);
  a.start(logged(log, "a", [&] {
    while (!go_on) std::this_thread::sleep_for(1ms);
  }));
  REQUIRE(log.wait(what::elected, 1));
  const auto renewals = a.snapshot().renewals;
  a.resign();
  CHECK(eventually([&] { return a.snapshot().renewals > renewals; }));
  CHECK(cluster.get(leader_key) == "a");
  CHECK(!a.current());
  go_on = true;
  REQUIRE(log.wait(what::lost, 1));
  CHECK(eventually([&] { return cluster.get(leader_key) == "-" && cluster.leases() == 0; }));
}

TEST_CASE("etcd: an on_lost that does not return keeps the others out only for release_within") {
  etcd_cluster cluster;
  std::atomic<bool> go_on{false};
  election_log log;
  auto o = short_options_for("a", {cluster.endpoint()});
  o.release_within = 500ms;
  etcd_elector a(o);
  etcd_elector b(short_options_for("b", {cluster.endpoint()}));
  a.start(logged(log, "a", [&] {
    while (!go_on) std::this_thread::sleep_for(1ms);
  }));
  REQUIRE(log.wait(what::elected, 1));
  b.start(logged(log, "b"));
  a.resign();
  CHECK(log.wait(what::elected, 1, "b"));
  CHECK(log.count(what::lost, "a") == 0);
  go_on = true;
}

TEST_CASE("etcd: a hand-over to a node that is not there leaves the election open after a while") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(short_options_for("a", {cluster.endpoint()}, 4s));
  etcd_elector b(short_options_for("b", {cluster.endpoint()}, 4s));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  b.start(logged(log, "b"));
  REQUIRE(eventually([&] { return b.snapshot().state == etcd_elector_state::following; }));
  const auto begun = std::chrono::steady_clock::now();
  a.transfer_to("nobody");
  REQUIRE(eventually([&] { return cluster.get(heir_key) == "nobody"; }));
  CHECK(cluster.get(leader_key) == "-");
  REQUIRE(log.wait(what::elected, 2));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  MESSAGE("open again after ", took.count(), " s with a TTL of 4 s");
  CHECK(cluster.get(heir_key) == "-");
}

TEST_CASE("etcd: a candidate that comes while the election is reserved does not campaign") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector b(options_for("b", {cluster.endpoint()}));
  const std::string key = seawall::detail::to_base64(heir_key);
  cluster.ask("/v3/kv/put",
              "{\"key\":\"" + key + "\",\"value\":\"" + seawall::detail::to_base64("c") + "\"}");
  b.start(logged(log, "b"));
  let_pass(700ms);
  CHECK(b.snapshot().campaigns == 0);
  cluster.erase(heir_key);
  CHECK(log.wait(what::elected, 1));
}

TEST_CASE("etcd: two nodes of one name do not take each other's key for their own") {
  etcd_cluster cluster;
  election_log log;
  auto o = options_for("twin", {cluster.endpoint()});
  o.stand_back = 1min;
  etcd_elector first(o);
  etcd_elector second(o);
  first.start(logged(log, "first"));
  REQUIRE(log.wait(what::elected, 1));
  second.start(logged(log, "second"));
  REQUIRE(eventually([&] { return second.snapshot().state == etcd_elector_state::following; }));
  let_pass(600ms);  // it has looked once more
  CHECK(first.current());
  CHECK(!second.current());
  first.resign();
  const auto next = log.wait(what::elected, 2);
  REQUIRE(next);
  CHECK(next->node == "second");
}

TEST_CASE("etcd: a candidate that is destroyed while it waits leaves nothing behind") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(options_for("a", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  {
    etcd_elector b(options_for("b", {cluster.endpoint()}));
    b.start(logged(log, "b"));
    REQUIRE(eventually([&] { return b.snapshot().state == etcd_elector_state::following; }));
  }
  CHECK(cluster.leases() == 1);
  CHECK(log.count(what::elected) == 1);
}

TEST_CASE("etcd: a candidate without a server is destroyed at once, and one that waits for an answer") {
  const auto begun = std::chrono::steady_clock::now();
  election_log log;
  {
    etcd_elector a(options_for("a", {"http://127.0.0.1:1"}));
    a.start(logged(log, "a"));
    REQUIRE(eventually([&] { return a.snapshot().state == etcd_elector_state::unreachable; }));
    CHECK(a.snapshot().last_error.find("http://127.0.0.1:1/v3/kv/txn") != std::string::npos);
  }
  etcd_cluster cluster;
  cluster.suspend();
  {
    etcd_elector a(options_for("a", {cluster.endpoint()}));
    a.start(logged(log, "a"));
    let_pass(100ms);
  }
  cluster.resume();
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
  CHECK(log.entries().empty());
}

TEST_CASE("etcd: a writer with an old token writes nothing") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(options_for("a", {cluster.endpoint()}));
  etcd_elector b(options_for("b", {cluster.endpoint()}));
  seawall::etcd_fenced_writer writer(
      {.etcd = {.endpoints = {cluster.endpoint()}, .connect_timeout = 10s, .request_timeout = 10s},
       .election = "orders"});
  a.start(logged(log, "a"));
  const auto first = log.wait(what::elected, 1);
  REQUIRE(first);
  CHECK(writer.put("job", "of a", first->token).ok());
  b.start(logged(log, "b"));
  a.resign();
  const auto second = log.wait(what::elected, 2);
  REQUIRE(second);
  CHECK(writer.put("job", "of the next", second->token).ok());
  CHECK(writer.put("job", "of a, late", first->token).code() == absl::StatusCode::kFailedPrecondition);
  CHECK(cluster.get("job") == "of the next");
  CHECK(writer.put("job", "of nobody", 0).code() == absl::StatusCode::kFailedPrecondition);
  CHECK(writer.put("", "", second->token).code() == absl::StatusCode::kInvalidArgument);
  CHECK(writer.put(leader_key, "me", second->token).code() == absl::StatusCode::kInvalidArgument);
  cluster.kill_now();
  const absl::Status unknown = writer.put("job", "of b", second->token);
  CHECK(unknown.code() == absl::StatusCode::kUnavailable);
  CHECK(unknown.message().find(cluster.endpoint()) != std::string_view::npos);
}

TEST_CASE(
    "etcd: a leader that resigns while it is cut off is free at once, and the others are after its lease") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  etcd_elector a(short_options_for("a", {way.endpoint()}));
  etcd_elector b(options_for("b", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  b.start(logged(log, "b"));
  way.cut();
  const instant until = l->valid_until();
  a.resign();
  CHECK(!l->valid());
  REQUIRE(log.wait(what::lost, 1));
  const auto next = log.wait(what::elected, 1, "b");
  REQUIRE(next);
  CHECK(next->at >= until);
  // What it still had under way for its lease touches nothing of the next one's.
  way.mend();
  REQUIRE(eventually([&] { return a.snapshot().state == etcd_elector_state::following; }));
  CHECK(cluster.get(leader_key) == "b");
}

TEST_CASE("etcd: a leader that is cut off is destroyed in the time of some requests, not of its lease") {
  etcd_cluster cluster;
  tcp_proxy way(cluster.port());
  election_log log;
  auto o = options_for("a", {way.endpoint()});
  o.ttl = 1h;
  o.etcd.connect_timeout = o.etcd.request_timeout = 500ms;
  auto a = std::make_unique<etcd_elector>(o);
  a->start(logged(log, "a"));
  const auto l = grant_of(*a);
  REQUIRE(l);
  way.cut();
  const auto begun = std::chrono::steady_clock::now();
  a.reset();
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
  CHECK(!l->valid());
  CHECK(log.count(what::lost) == 1);
}

}  // namespace
