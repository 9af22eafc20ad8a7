// SPDX-License-Identifier: Apache-2.0
// A server that is not etcd, or not in its right mind.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
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

/// A server that answers one thing with nonsense, and a candidate that believes it is etcd.
struct believer {
  believer(const std::string& path, const nonsense& n, const etcd_elector_options& like) : name(n.name) {
    server.answer(path, [answer = n.answer](const std::string&) { return answer; });
    auto o = like;
    o.etcd.endpoints = {server.endpoint()};
    elector = std::make_unique<etcd_elector>(o);
    elector->start(logged(log, "a"));
  }

  const std::string name;
  fake_etcd server;
  election_log log;
  std::unique_ptr<etcd_elector> elector;  // first to go
};

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
  std::vector<std::unique_ptr<believer>> all;
  for (const nonsense& n : all_nonsense())
    all.push_back(std::make_unique<believer>("/v3/lease/keepalive", n, short_options_for("a", {})));
  std::vector<seawall::leadership> grants;
  for (const auto& b : all) {
    const auto l = grant_of(*b->elector);
    REQUIRE(l);
    grants.push_back(*l);
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& b = all[i];
    CAPTURE(b->name);
    REQUIRE(eventually([&] { return !grants[i].valid(); }));
    CHECK(b->elector->snapshot().renewals == 0);
    const auto lost = b->log.wait(what::lost, 1);
    REQUIRE(lost);
    CHECK(lost->why.starts_with("the lease has expired"));
  }
}

TEST_CASE(
    "etcd nonsense: what comes through a watch that is none is not believed, and asks no server to death") {
  std::vector<std::unique_ptr<believer>> all;
  auto o = options_for("a", {});
  o.look_every = 1h;
  const auto begun = std::chrono::steady_clock::now();
  for (const nonsense& n : all_nonsense()) all.push_back(std::make_unique<believer>("/v3/watch", n, o));
  for (const auto& b : all) {
    CAPTURE(b->name);
    REQUIRE(b->log.wait(what::elected, 1));
    CHECK(eventually([&] { return b->server.asked("/v3/watch") >= 3; }));
    CHECK(b->elector->current());
    const int asked = b->server.asked("/v3/watch");
    CHECK(asked <= 3 + (std::chrono::steady_clock::now() - begun) / 200ms);
  }
}

TEST_CASE("etcd nonsense: a watch that tells old news again is not believed") {
  const auto event = [](const std::string& what) {
    return R"({"result":{"header":{"revision":"20"},"events":[)" + what + "]}}\n";
  };
  const std::string put = R"({"kv":)" + fake_etcd::leader("b", "12", "7") + "}";
  const std::string erased = R"({"type":"DELETE","kv":{"key":")" + seawall::detail::to_base64(leader_key) +
                             R"(","mod_revision":"10"}})";
  fake_etcd server;
  server.answer("/v3/kv/txn", [](const std::string&) {
    return fake_etcd::ok(R"({"header":{"revision":"9"},"responses":[{"response_range":{"kvs":[)" +
                         fake_etcd::leader("b", "9", "7") + "]}}]}");
  });
  server.tell(event(put) + event(erased));
  auto o = options_for("a", {server.endpoint()});
  o.look_every = 1h;
  std::atomic<int> changes{0};
  etcd_elector a(o);
  a.start({.on_leader_changed = [&](const std::optional<std::string>& l) { changes += l == "b" ? 1 : 100; }});
  REQUIRE(eventually([&] { return server.asked("/v3/watch") >= 1; }));
  std::this_thread::sleep_for(300ms);
  CHECK(a.snapshot().campaigns == 0);
  CHECK(a.snapshot().leader == "b");
  CHECK(changes == 1);
}

TEST_CASE("etcd nonsense: who loses to another node of its own name has lost") {
  std::atomic<bool> taken{false};
  fake_etcd server;
  server.answer("/v3/kv/txn", [&](const std::string& b) {
    if (b.find("request_put") != std::string::npos) taken = true;
    return fake_etcd::ok(R"({"header":{"revision":"9"},"responses":[{"response_range":{"kvs":[)" +
                         (taken ? fake_etcd::leader("a", "9", "7") : "") + "]}}]}");
  });
  election_log log;
  etcd_elector a(options_for("a", {server.endpoint()}));
  a.start(logged(log, "a"));
  REQUIRE(eventually([&] { return a.snapshot().state == etcd_elector_state::following; }));
  CHECK(taken);
  CHECK_FALSE(a.current());
  CHECK(a.snapshot().grants == 0);
}

TEST_CASE("etcd nonsense: a watch from a revision that was compacted is opened again, from a newer one") {
  std::atomic<int> revision{9};
  std::string from;
  std::mutex mutex;
  fake_etcd server;
  server.answer("/v3/kv/txn", [&](const std::string&) {
    return fake_etcd::ok(R"({"header":{"revision":")" + std::to_string(revision++) +
                         R"("},"responses":[{"response_range":{"kvs":[)" + fake_etcd::leader("b", "9", "7") +
                         "]}}]}");
  });
  server.answer("/v3/watch", [&](const std::string& b) -> std::string {
    const std::lock_guard<std::mutex> lock(mutex);
    from += fake_etcd::field(b, "start_revision") + " ";
    return "HTTP/1.1 200 OK\r\n\r\n"
           R"({"result":{"canceled":true,"compact_revision":"17"}})"
           "\n";
  });
  auto o = options_for("a", {server.endpoint()});
  o.look_every = 1h;
  etcd_elector a(o);
  a.start({});
  REQUIRE(eventually([&] { return server.asked("/v3/watch") >= 3; }));
  const std::lock_guard<std::mutex> lock(mutex);
  CHECK(from.starts_with("10 11 12 "));
  CHECK(a.snapshot().last_error.find("compacted") != std::string::npos);
}

TEST_CASE("etcd nonsense: a login that is refused in the middle is renewed, and the request repeated") {
  std::atomic<int> refusals{3};
  fake_etcd server;
  server.answer("/v3/auth/authenticate", [](const std::string&) {
    return fake_etcd::ok(R"({"header":{"revision":"5"},"token":"t.1"})");
  });
  server.answer("/v3/lease/keepalive", [&](const std::string& b) {
    if (refusals-- > 0) {
      const std::string no = R"({"error":"etcdserver: invalid auth token","code":16})";
      return "HTTP/1.1 401 Unauthorized\r\nContent-Length: " + std::to_string(no.size()) + "\r\n\r\n" + no;
    }
    return fake_etcd::ok(R"({"result":{"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"10"}})");
  });
  election_log log;
  auto o = options_for("a", {server.endpoint()});
  o.etcd.username = "u";
  o.etcd.password = "p";
  etcd_elector a(o);
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  REQUIRE(eventually([&] { return a.snapshot().renewals > 0; }));
  CHECK(l->valid());
  CHECK(server.asked("/v3/auth/authenticate") >= 3);
}

TEST_CASE("etcd nonsense: an endpoint that cannot do what is asked, as a learner, is left for the next one") {
  for (const int code : {9, 12}) {
    CAPTURE(code);
    fake_etcd learner;
    learner.answer("/v3/kv/txn", [code](const std::string&) {
      const std::string no =
          R"({"error":"etcdserver: rpc not supported for learner","code":)" + std::to_string(code) + "}";
      return "HTTP/1.1 400 Bad Request\r\nContent-Length: " + std::to_string(no.size()) + "\r\n\r\n" + no;
    });
    fake_etcd good;
    election_log log;
    etcd_elector a(options_for("a", {learner.endpoint(), good.endpoint()}));
    a.start(logged(log, "a"));
    REQUIRE(log.wait(what::elected, 1));
  }
}

TEST_CASE(
    "etcd nonsense: own lease duration instead of the record's: a shorter one that was granted counts") {
  fake_etcd server;
  server.answer("/v3/lease/grant", [](const std::string& b) {
    return fake_etcd::ok(R"({"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"4"})");
  });
  server.answer("/v3/lease/keepalive", [](const std::string& b) {
    return fake_etcd::ok(R"({"result":{"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"3"}})");
  });
  election_log log;
  auto o = options_for("a", {server.endpoint()});
  o.ttl = 60s;
  etcd_elector a(o);
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  CHECK(l->valid_until() - boot_clock::now() < duration(4s));
  const int renewals = server.asked("/v3/lease/keepalive");
  REQUIRE(eventually([&] { return server.asked("/v3/lease/keepalive") >= renewals + 2; }));
  CHECK(l->valid_until() - boot_clock::now() < duration(4s));
}

TEST_CASE("etcd nonsense: a lease counts from when it was asked for, not from when the answer came") {
  fake_etcd server;
  const auto late = [](std::string answer) {
    std::this_thread::sleep_for(800ms);
    return answer;
  };
  server.answer("/v3/lease/grant", [&](const std::string& b) {
    return late(fake_etcd::ok(R"({"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"6"})"));
  });
  server.answer("/v3/lease/keepalive", [&](const std::string& b) {
    return late(fake_etcd::ok(R"({"result":{"ID":")" + fake_etcd::field(b, "ID") + R"(","TTL":"6"}})"));
  });
  election_log log;
  etcd_elector a(options_for("a", {server.endpoint()}));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  const instant until = l->valid_until();
  CHECK(until - boot_clock::now() < duration(5200ms));
  instant renewed;
  REQUIRE(eventually([&] { return (renewed = l->valid_until()) > until; }));
  CHECK(renewed - boot_clock::now() < duration(5200ms));
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
  auto o = options_for("a", {slow.endpoint(), good.endpoint()});
  o.etcd.connect_timeout = o.etcd.request_timeout = 600ms;
  etcd_elector a(o);
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  CHECK(eventually([&] { return a.snapshot().endpoint == good.endpoint(); }));
}

TEST_CASE("etcd nonsense: a token that is older than the last one is not handed out") {
  fake_etcd server;  // the first token is 6
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
