// SPDX-License-Identifier: Apache-2.0
// What is said and understood, and which options are refused; no server.
#include "seawall/adapt/etcd/messages.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd.hpp"
#include "seawall/adapt/etcd/base64.hpp"
#include "seawall/random.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall;
using namespace std::chrono_literals;
using seawall::detail::etcd_answers;
using seawall::detail::etcd_election_keys;
using seawall::detail::etcd_requests;
using seawall::detail::from_base64;
using seawall::detail::to_base64;

const etcd_election_keys keys("p/", "e");

TEST_CASE("base64: the vectors of RFC 4648, both ways") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    CHECK(to_base64(plain) == text);
    CHECK(from_base64(text) == plain);
  }
}

TEST_CASE("base64: all bytes of all lengths come back") {
  random_source random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random.up_to(255)));
    CHECK(from_base64(to_base64(bytes)) == bytes);
  }
}

TEST_CASE("base64: what is not canonical is refused") {
  for (const char* text :
       {"Z", "Zg", "Zg=", "=", "====", "Z===", "Zh==", "Zm9=", "Zm 9", "Zg==Zg==", "Zm9v\n", "Zm-_"})
    CHECK_MESSAGE(!from_base64(text), text);
}

TEST_CASE("etcd messages: a view has who leads and for whom it is reserved") {
  const etcd_answers read(keys);
  const auto v = read.view(
      R"({"header":{"revision":"9"},"responses":[)"
      R"({"response_range":{"kvs":[{"key":"cC9lL2xlYWRlcg==","create_revision":"4","mod_revision":"5","value":"bg==","lease":"77"}]}},)"
      R"({"response_range":{"kvs":[{"key":"cC9lL2hlaXI=","create_revision":"7","mod_revision":"7","value":"bQ=="}]}}]})");
  REQUIRE(v);
  CHECK(v->revision == 9);
  CHECK(!v->succeeded);
  REQUIRE(v->leader);
  CHECK(v->leader->value == "n");
  CHECK(v->leader->create_revision == 4);
  CHECK(v->leader->lease == 77);
  REQUIRE(v->heir);
  CHECK(v->heir->value == "m");
  CHECK(v->heir->lease == 0);
}

TEST_CASE("etcd messages: a key from the future, or without a revision, makes it no view") {
  const etcd_answers read(keys);
  for (const char* fields :
       {R"("create_revision":"10","mod_revision":"10")", R"("create_revision":"6","mod_revision":"5")",
        R"("mod_revision":"5")", R"("create_revision":"4")",
        R"("create_revision":"4","mod_revision":"5","lease":"x")",
        R"("create_revision":"4","mod_revision":"5","value":"x")",
        R"("create_revision":4.5,"mod_revision":"5")"}) {
    CHECK_MESSAGE(
        !read.view(
            R"({"header":{"revision":"9"},"responses":[{"response_range":{"kvs":[{"key":"cC9lL2xlYWRlcg==",)" +
            std::string(fields) + "}]}}]}"),
        fields);
  }
}

TEST_CASE("etcd messages: a renewal without a TTL is a lease that is gone, not an answer that is none") {
  CHECK(etcd_answers::renewed_ttl(R"({"result":{"header":{},"ID":"7"}})", 7) == duration());
  CHECK(etcd_answers::renewed_ttl(R"({"result":{"ID":"7","TTL":"3"}})", 7) == duration(3s));
  CHECK(etcd_answers::renewed_ttl(R"({"result":{"ID":7,"TTL":3}})", 7) == duration(3s));
  for (const char* body : {R"({"result":{"ID":"8","TTL":"3"}})", R"({"result":{"TTL":"3"}})",
                           R"({"ID":"7","TTL":"3"})", R"({"error":{"message":"x"}})",
                           R"({"result":{"ID":"7","TTL":"3601"}})", R"({"result":{"ID":"7","TTL":"-1"}})"})
    CHECK_MESSAGE(!etcd_answers::renewed_ttl(body, 7), body);
}

TEST_CASE("etcd messages: a watch tells of deletions and of what is put, and passes over other keys") {
  const etcd_answers read(keys);
  const auto n =
      read.news(R"({"result":{"header":{"revision":"9"},"events":[)"
                R"({"type":"DELETE","kv":{"key":"cC9lL2xlYWRlcg==","mod_revision":"9"}},)"
                R"({"kv":{"key":"cC9lL2hlaXI=","create_revision":"9","mod_revision":"9","value":"bQ=="}},)"
                R"({"kv":{"key":"eA==","create_revision":"9","mod_revision":"9"}}]}})");
  REQUIRE(n);
  REQUIRE(n->changes.size() == 2);
  CHECK(n->changes[0].of_leader);
  CHECK(n->changes[0].deleted);
  CHECK(!n->changes[1].of_leader);
  CHECK(n->changes[1].entry.value == "m");
  CHECK(!n->cancelled);
}

TEST_CASE("etcd messages: a watch that was cancelled, or has failed, says so") {
  const etcd_answers read(keys);
  CHECK(read.news(R"({"result":{"canceled":true,"compact_revision":"12"}})")->cancelled);
  const auto n = read.news(R"({"error":{"grpc_code":14,"message":"etcdserver: no leader"}})");
  REQUIRE(n);
  CHECK(n->cancelled);
  CHECK(n->why == "etcdserver: no leader");
  CHECK(!read.news("{}"));
  CHECK(!read.news(R"({"result":{"events":[{"type":"BOIL","kv":{"key":"eA==","mod_revision":"1"}}]}})"));
}

TEST_CASE("etcd messages: a login token that would break a header is none") {
  CHECK(etcd_answers::auth_token(R"({"token":"abc.17"})") == "abc.17");
  for (const char* body : {R"({"token":"a\r\nX: y"})", R"({"token":""})", R"({"token":7})", "{}"})
    CHECK_MESSAGE(!etcd_answers::auth_token(body), body);
}

TEST_CASE("etcd messages: a password with anything in it stays within its string") {
  const std::string text = etcd_requests::log_in("a\"b", "\xff\",\"name\":\"root");
  const auto back = nlohmann::json::parse(text, nullptr, false);
  REQUIRE(back.is_object());
  CHECK(back.size() == 2);
  CHECK(back["name"] == "a\"b");
}

etcd_elector_options good() { return {.election = "e", .node = "n"}; }

TEST_CASE("etcd options: each bad one is refused, and by its name") {
  struct row {
    const char* field;
    std::function<void(etcd_elector_options&)> spoil;
  };
  const row rows[] = {
      {"election", [](auto& o) { o.election = ""; }},
      {"election", [](auto& o) { o.election = std::string(513, 'x'); }},
      {"prefix", [](auto& o) { o.prefix = std::string(513, 'x'); }},
      {"node", [](auto& o) { o.node = ""; }},
      {"node", [](auto& o) { o.node = std::string(257, 'x'); }},
      {"ttl", [](auto& o) { o.ttl = 0s; }},
      {"ttl", [](auto& o) { o.ttl = 1500ms; }},
      {"ttl", [](auto& o) { o.ttl = 3601s; }},
      {"etcd.request_timeout", [](auto& o) { o.ttl = 2s; }},
      {"max_clock_drift", [](auto& o) { o.max_clock_drift = -0.1; }},
      {"max_clock_drift", [](auto& o) { o.max_clock_drift = 0.2; }},
      {"look_every", [](auto& o) { o.look_every = 99ms; }},
      {"stand_back", [](auto& o) { o.stand_back = -1s; }},
      {"release_within", [](auto& o) { o.release_within = 2h; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints.clear(); }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints.assign(17, "http://h:1"); }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"h:1"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"ftp://h:1"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"http://"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"http://:1"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"http://h:1/path"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"http://me:secret@h:1"}; }},
      {"etcd.endpoints", [](auto& o) { o.etcd.endpoints = {"http://h:1?x"}; }},
      {"etcd.endpoints",
       [](auto& o) {
         o.etcd.endpoints = {"http://10.0.0.1:1"};
         o.etcd.username = "u";
         o.etcd.password = "p";
       }},
      {"etcd.username", [](auto& o) { o.etcd.password = "p"; }},
      {"etcd.key_file", [](auto& o) { o.etcd.cert_file = "c"; }},
      {"etcd.cert_file", [](auto& o) { o.etcd.key_file = "k"; }},
      {"etcd.connect_timeout", [](auto& o) { o.etcd.connect_timeout = 2s; }},
      {"etcd.connect_timeout", [](auto& o) { o.etcd.connect_timeout = 0s; }},
      {"etcd.request_timeout", [](auto& o) { o.etcd.request_timeout = 2min; }},
      {"etcd.max_response_bytes", [](auto& o) { o.etcd.max_response_bytes = 100; }},
      {"etcd.backoff_initial", [](auto& o) { o.etcd.backoff_initial = 0s; }},
      {"etcd.backoff_max", [](auto& o) { o.etcd.backoff_max = 2min; }},
  };
  CHECK(!validate(good()));
  for (const row& r : rows) {
    etcd_elector_options o = good();
    r.spoil(o);
    const auto error = validate(o);
    REQUIRE_MESSAGE(error, r.field);
    CHECK(error->field == r.field);
    CHECK(!etcd_elector::create(o).ok());
  }
}

TEST_CASE("etcd options: a password goes over https, over loopback, and elsewhere only when that is said") {
  etcd_elector_options o = good();
  o.etcd.username = "u";
  o.etcd.password = "p";
  for (const char* e : {"https://10.0.0.1:1", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"}) {
    o.etcd.endpoints = {e};
    CHECK_MESSAGE(!validate(o), e);
  }
  o.etcd.endpoints = {"http://127.evil.example:1"};
  CHECK(validate(o));
  o.etcd.password_in_plain_text = true;
  CHECK(!validate(o));
}

}  // namespace
