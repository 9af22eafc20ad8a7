// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "election/support.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace election_test;

struct row {
  void (*spoil)(transport_options&);
  const char* field;
  const char* value;
  const char* range;
};

TEST_CASE("transport options: bad ones are refused with field, value and range") {
  const row table[] = {
      {[](auto& o) { o.self = 0; }, "self", "0", "must not be 0"},
      {[](auto& o) { o.cluster = std::string(65, 'c'); }, "cluster", "65 bytes", "must be at most 64"},
      {[](auto& o) { o.listen_host = "somewhere"; }, "listen_host", "somewhere", "must be an address"},
      {[](auto& o) { o.codec.max_entries = 0; }, "codec.max_entries", "0",
       "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.reconnect.initial = 2s; }, "reconnect.initial", "2s", nullptr},
      {[](auto& o) { o.max_queue_messages = 0; }, "max_queue_messages", "0",
       "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.max_queue_bytes = 1'048'579; }, "max_queue_bytes", "1048579",
       "must be at least 1048580 and at most 1073741824"},
      {[](auto& o) { o.messages_per_second = 0; }, "messages_per_second", "0",
       "must be at least 1 and at most 1000000000"},
      {[](auto& o) { o.message_burst = 0; }, "message_burst", "0",
       "must be at least 1 and at most 1000000000"},
      {[](auto& o) { o.bytes_per_second = 1023; }, "bytes_per_second", "1023",
       "must be at least 1024 and at most 1000000000"},
      {[](auto& o) { o.byte_burst = 1'048'579; }, "byte_burst", "1048579",
       "must be at least 1048580 and at most 1073741824"},
      {[](auto& o) { o.max_strangers = 0; }, "max_strangers", "0", "must be at least 1 and at most 10000"},
      {[](auto& o) { o.max_strangers_per_address = 65; }, "max_strangers_per_address", "65",
       "must be at least 1 and at most 64"},
      {[](auto& o) { o.handshakes_per_second = 0; }, "handshakes_per_second", "0",
       "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.handshakes_per_second_of_all = 0; }, "handshakes_per_second_of_all", "0",
       "must be at least 1 and at most 1000000"},
      {[](auto& o) { o.stale_after = 0s; }, "stale_after", "0s", "must be at least 1ms and at most 1h"},
      {[](auto& o) { o.handshake_timeout = 2min; }, "handshake_timeout", "2min",
       "must be at least 10ms and at most 1min"},
      {[](auto& o) { o.idle_timeout = 19ms; }, "idle_timeout", "19ms",
       "must be at least 20ms and at most 1h"},
      {[](auto& o) { o.peers[0].id = 0; }, "peers[0].id", "0", "must not be 0, nor the own one"},
      {[](auto& o) { o.peers[0].id = 1; }, "peers[0].id", "1", "must not be 0, nor the own one"},
      {[](auto& o) { o.peers[1].id = 2; }, "peers[1].id", "2", "must not be there twice"},
      {[](auto& o) { o.peers[0].host = ""; }, "peers[0].host", "0",
       "must have at least 1 byte and at most 255"},
      {[](auto& o) { o.peers[0].port = 0; }, "peers[0].port", "0", "must be at least 1"},
      {[](auto& o) { o.peers[1].identity = ""; }, "peers[1].identity", "empty", nullptr},
      {[](auto& o) { o.peers[1].identity = "DNS:*.example"; }, "peers[1].identity", "DNS:*.example", nullptr},
      {[](auto& o) { o.peers[1].identity = "DNS:NODE-2.example"; }, "peers[1].identity", "DNS:NODE-2.example",
       "must not be another member's"},
      {[](auto& o) { o.peers.resize(101); }, "peers", "101", "must be at most 100"},
  };
  asio::io_context io;
  for (const row& r : table) {
    CAPTURE(r.field);
    CAPTURE(r.value);
    transport_options o{.self = 1,
                        .peers = {{.id = 2, .host = "h", .port = 1, .identity = identity_of(2)},
                                  {.id = 3, .host = "h", .port = 1, .identity = identity_of(3)}}};
    REQUIRE_FALSE(validate(o));
    r.spoil(o);
    const auto error = validate(o);
    REQUIRE(error);
    CHECK(error->field == r.field);
    CHECK(error->value == r.value);
    if (r.range != nullptr) CHECK(error->range == r.range);
    const std::string text = error->text("raft_transport");
    CHECK_THROWS_WITH_AS(transport(io, o, nullptr), text.c_str(), std::invalid_argument);
    CHECK(transport::create(io, o, nullptr).status() == absl::InvalidArgumentError(text));
  }
}

TEST_CASE(
    "transport options: certificates that are missing, no PEM, or do not belong together are refused by name") {
  const authority ca;
  asio::io_context io;
  const auto refusal = [&](const tls_options& tls) {
    transport_options o = options_of(1);
    o.tls = tls;
    const absl::Status s = transport::create(io, o, nullptr).status();
    CHECK(s.code() == (s.ok() ? absl::StatusCode::kOk : absl::StatusCode::kInvalidArgument));
    return std::string(s.message());
  };
  const tls_options good = ca.tls({.names = identity_of(1)});
  CHECK(refusal(good) == "");
  tls_options t = good;
  t.ca = "";
  CHECK(refusal(t) == "raft_transport: tls.ca is 0 bytes; must be there, and have at most 1048576 bytes");
  t = good;
  t.certificate = "nonsense";
  CHECK(refusal(t).starts_with("raft_transport: tls.certificate is "));
  t = good;
  t.private_key = ca.tls({}).private_key;
  CHECK(refusal(t).starts_with("raft_transport: tls.private_key is "));
  t = good;
  t.private_key_file = "/nowhere/key.pem";
  CHECK(
      refusal(t) ==
      "raft_transport: tls.private_key_file is /nowhere/key.pem; must be there, and have at most 1048576 bytes");
}

TEST_CASE("transport identity: what it may look like") {
  using form = detail::certificate_identity::form;
  const auto is = [](const char* text, form how, const std::string& value) {
    return detail::parse_identity(text) == detail::certificate_identity{how, value};
  };
  CHECK(is("DNS:Node.Example", form::dns, "node.example"));
  CHECK(is("URI:spiffe://C/1", form::uri, "spiffe://C/1"));
  std::string hex = "SHA256:", bytes;
  for (int i = 0; i < 32; ++i) hex += "aF", bytes += '\xaf';
  CHECK(is(hex.c_str(), form::sha256, bytes));
  for (const std::string& bad :
       {std::string(""), std::string("DNS:"), std::string("node.example"), std::string("dns:x"),
        std::string("DNS:*"), std::string("IP:127.0.0.1"), hex + "0", hex.substr(0, hex.size() - 1) + "g",
        std::string("DNS:a\0b", 7), "DNS:" + std::string(600, 'x')})
    CHECK_FALSE(detail::parse_identity(bad));
}

TEST_CASE("transport identity: a zero byte in a certificate's name ends nothing") {
  const authority ca;
  const auto wanted = *detail::parse_identity("DNS:node-1.example");
  CHECK(detail::carries(ca.issue({.names = "DNS:other,DNS:node-1.example"}).x509.get(), wanted));
  CHECK_FALSE(detail::carries(ca.issue({.names = "URI:node-1.example"}).x509.get(), wanted));
  CHECK_FALSE(detail::carries(ca.issue({}).x509.get(), wanted));
  CHECK_FALSE(detail::carries(nullptr, wanted));
  // SEQUENCE { [2] "node-1.example\0.attacker" }
  const std::string name("node-1.example\0.attacker", 24);
  std::string der = "DER:30:1A:82:18";
  for (const unsigned char c : name) {
    der += ':';
    for (const unsigned digit : {c / 16U, c % 16U}) der += "0123456789ABCDEF"[digit];
  }
  CHECK_FALSE(detail::carries(ca.issue({.names = der}).x509.get(), wanted));
}

}  // namespace
