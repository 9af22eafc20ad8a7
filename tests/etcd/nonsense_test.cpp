// SPDX-License-Identifier: Apache-2.0
// A server that is not etcd, or not in its right mind.
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "etcd/fake_etcd.hpp"
#include "etcd/support.hpp"
#include "seawall/adapt/etcd.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;
using seawall::etcd_elector_state;

struct nonsense {
  const char* name;
  std::string answer;
};

std::vector<nonsense> all_nonsense() {
  const auto ok = &fake_etcd::ok;
  return {
      {"nothing", ""},
      {"no HTTP", "hello\r\n\r\n"},
      {"an empty body", ok("")},
      {"no JSON", ok("{\"header\":")},
      {"a list", ok("[1,2,3]")},
      {"a number", ok("7")},
      {"text after the object", ok("{}{}")},
      {"an object with nothing in it", ok("{}")},
      {"wrong kinds", ok(R"({"header":[],"ID":{},"TTL":[],"result":7,"responses":"x","succeeded":"yes"})")},
      {"a revision below zero", ok(R"({"header":{"revision":"-3"},"responses":[]})")},
      {"a number too large",
       ok(R"({"header":{"revision":"99999999999999999999"},"TTL":"99999999999999999999","responses":[]})")},
      {"a key that was not asked for",
       ok(R"({"header":{"revision":"6"},"responses":[{"response_range":{"kvs":[{"key":"eA==","create_revision":"1","mod_revision":"1"}]}}]})")},
      {"a key that is no base64",
       ok(R"({"header":{"revision":"6"},"responses":[{"response_range":{"kvs":[{"key":"%%%%","create_revision":"1","mod_revision":"1"}]}}]})")},
      {"deep nesting", ok(std::string(100'000, '['))},
      {"a body without end", "HTTP/1.1 200 OK\r\n\r\n" + std::string(std::size_t{2} << 20U, 'x')},
      {"a header without end", "HTTP/1.1 200 OK\r\nX: " + std::string(std::size_t{2} << 20U, 'x')},
      {"many headers",
       [] {
         std::string s = "HTTP/1.1 200 OK\r\n";
         for (int i = 0; i < 200'000; ++i) s += "X: y\r\n";
         return s;
       }()},
      {"chunks that are none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"},
      {"less than was promised", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}"},
      {"a redirection", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"},
      {"an error page", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"},
      {"an error that is no object", "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nnull"},
  };
}

TEST_CASE("etcd nonsense: whatever is answered to a read, nobody campaigns") {
  for (const nonsense& n : all_nonsense()) {
    CAPTURE(n.name);
    fake_etcd server;
    server.answer("/v3/kv/txn", [&](const std::string&) { return n.answer; });
    election_log log;
    {
      etcd_elector a(options_for("a", {server.endpoint()}));
      a.start(logged(log, "a"));
      CHECK(eventually([&] { return a.snapshot().failures >= 2; }));
      CHECK(!a.snapshot().last_error.empty());
      CHECK(a.snapshot().campaigns == 0);
    }
    CHECK(log.entries().empty());
  }
}

TEST_CASE("etcd nonsense: whatever is answered to a grant, nobody leads") {
  for (const nonsense& n : all_nonsense()) {
    CAPTURE(n.name);
    fake_etcd server;
    server.answer("/v3/lease/grant", [&](const std::string&) { return n.answer; });
    election_log log;
    {
      etcd_elector a(options_for("a", {server.endpoint()}));
      a.start(logged(log, "a"));
      CHECK(eventually([&] { return a.snapshot().campaigns >= 2; }));
    }
    CHECK(log.entries().empty());
    CHECK(server.asked("/v3/lease/revoke") >= 1);
  }
}

TEST_CASE("etcd nonsense: whatever is answered to renewals, the lease ends when it would have") {
  const std::vector<nonsense> all = all_nonsense();
  for (std::size_t i = 0; i < all.size(); i += 7) {
    CAPTURE(all[i].name);
    fake_etcd server;
    server.answer("/v3/lease/keepalive", [&](const std::string&) { return all[i].answer; });
    election_log log;
    etcd_elector a(options_for("a", {server.endpoint()}));
    a.start(logged(log, "a"));
    const auto elected = log.wait(what::elected, 1);
    REQUIRE(elected);
    const auto lost = log.wait(what::lost, 1);
    REQUIRE(lost);
    CHECK(lost->at - elected->at < duration(2500ms));
    CHECK(lost->at - elected->at > duration(1s));
  }
}

TEST_CASE(
    "etcd nonsense: what comes through a watch that is none is not believed, and asks no server to death") {
  const std::vector<nonsense> all = all_nonsense();
  for (std::size_t i = 0; i < all.size(); i += 2) {
    const nonsense& n = all[i];
    CAPTURE(n.name);
    fake_etcd server;
    server.answer("/v3/watch", [&](const std::string&) { return n.answer; });
    election_log log;
    auto o = options_for("a", {server.endpoint()});
    o.look_every = 1h;
    etcd_elector a(o);
    a.start(logged(log, "a"));
    REQUIRE(log.wait(what::elected, 1));
    std::this_thread::sleep_for(450ms);
    CHECK(a.current());
    CHECK(server.asked("/v3/watch") <= 6);
  }
}

TEST_CASE(
    "etcd nonsense: own lease duration instead of the record's: a shorter one that was granted counts") {
  fake_etcd server;
  server.answer("/v3/lease/grant", [](const std::string& b) {
    return fake_etcd::ok(R"({"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"3"})");
  });
  server.answer("/v3/lease/keepalive", [](const std::string& b) {
    return fake_etcd::ok(R"({"result":{"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"1"}})");
  });
  election_log log;
  auto o = options_for("a", {server.endpoint()});
  o.ttl = 60s;
  etcd_elector a(o);
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  const auto l = a.current();
  REQUIRE(l);
  CHECK(l->valid_until() - boot_clock::now() < duration(3s));
  const int renewals = server.asked("/v3/lease/keepalive");
  REQUIRE(eventually([&] { return server.asked("/v3/lease/keepalive") >= renewals + 3; }));
  CHECK(l->valid_until() - boot_clock::now() < duration(3s));
}

TEST_CASE("etcd nonsense: a lease counts from when it was asked for, not from when the answer came") {
  fake_etcd server;
  const auto late = [](std::string answer) {
    std::this_thread::sleep_for(500ms);
    return answer;
  };
  server.answer("/v3/lease/grant", [&](const std::string& b) {
    return late(fake_etcd::ok(R"({"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"2"})"));
  });
  server.answer("/v3/lease/keepalive", [&](const std::string& b) {
    return late(fake_etcd::ok(R"({"result":{"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"2"}})"));
  });
  election_log log;
  etcd_elector a(options_for("a", {server.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  const auto l = a.current();
  REQUIRE(l);
  instant until = l->valid_until();
  CHECK(until - boot_clock::now() < duration(1500ms));
  for (int renewals = 0; renewals < 2; ++renewals) {
    const instant before = until;
    REQUIRE(eventually([&] { return (until = l->valid_until()) > before; }));
    CHECK(until - boot_clock::now() < duration(1500ms));
  }
}

TEST_CASE("etcd nonsense: a lease of an hour and a second is not believed, nor one for another lease") {
  for (const char* answer : {R"(","TTL":"3601"})", R"(0","TTL":"2"})", R"(","TTL":"0"})", R"("})"}) {
    CAPTURE(answer);
    fake_etcd server;
    server.answer("/v3/lease/grant", [&](const std::string& b) {
      return fake_etcd::ok(R"({"ID":")" + fake_etcd::field(b, "ID") + answer);
    });
    election_log log;
    etcd_elector a(options_for("a", {server.endpoint()}));
    a.start(logged(log, "a"));
    CHECK(eventually([&] { return a.snapshot().campaigns >= 2; }));
    CHECK(log.entries().empty());
  }
}

TEST_CASE("etcd nonsense: a server that answers too late is left for the next one") {
  fake_etcd slow;
  for (const char* path : {"/v3/kv/txn", "/v3/lease/grant"})
    slow.answer(path, [](const std::string&) {
      std::this_thread::sleep_for(1s);
      return std::string();
    });
  fake_etcd good;
  election_log log;
  etcd_elector a(options_for("a", {slow.endpoint(), good.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  CHECK(a.snapshot().endpoint == good.endpoint());
}

TEST_CASE("etcd nonsense: a token that is older than the last one is not handed out") {
  fake_etcd server;  // always revision 6
  election_log log;
  auto o = options_for("a", {server.endpoint()});
  etcd_elector a(o);
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  // Nobody leads, and whoever campaigns wins, as of the same revision.
  server.answer("/v3/kv/txn", [](const std::string&) {
    return fake_etcd::ok(R"({"header":{"revision":"6"},"succeeded":true,"responses":[]})");
  });
  a.resign();
  REQUIRE(log.wait(what::lost, 1));
  const auto before = a.snapshot().campaigns;
  REQUIRE(eventually([&] { return a.snapshot().campaigns >= before + 2; }));
  CHECK(!a.current());
  CHECK(log.count(what::elected) == 1);
  CHECK(a.snapshot().last_error.find("not newer") != std::string::npos);
}

}  // namespace
