// SPDX-License-Identifier: Apache-2.0
// Who is no member, is another member than it says, or sends what no member sends: nothing of it reaches a handler, and two
// members that talk to each other do not notice.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "election/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace election_test;

/// A pair that talks, and somebody at the door of its first member.
struct siege {
  explicit siege(const std::function<void(transport_options&)>& change = nullptr)
      : members(with(change, 1), with(change, 2)) {
    REQUIRE(members.connected());
    REQUIRE(members.talks());
  }
  transport_options with(const std::function<void(transport_options&)>& change, node_id id) const {
    transport_options o = secured(id, ca);
    if (change) change(o);
    return o;
  }

  /// Nobody but the peer was heard, and the pair has talked over the same connections all the time.
  void check_undisturbed() {
    CHECK(members.talks());
    for (const message& m : members.a.received()) CHECK(m.from == 2);
    for (const message& m : members.b.received()) CHECK(m.from == 1);
    CHECK(members.a.about(2).connections == 1);
    CHECK(members.b.about(1).connections == 1);
    CHECK(members.a.about(2).violations == 0);
    CHECK(members.b.about(1).violations == 0);
  }
  bool refusals_are(std::uint64_t n) {
    return eventually([&] { return members.a->stats().refused >= n; }) && members.a->stats().strangers == 0;
  }
  std::string last_refusal() { return members.a->stats().last_refusal; }
  std::uint16_t port() { return members.a->port(); }

  const authority ca;
  pair members;
};

// In OpenSSL's words, which change from release to release.
std::string verdict(long code) {
  return std::string("its certificate: ") + X509_verify_cert_error_string(code);
}

// Whoever gets that far says hello as member 3, and sends messages that would be believed.
void try_to_be_heard(tls_stranger& s) {
  s.say(hello(3, 1) + frame(command(3, 1, 10)) + frame(heartbeat(3, 1)));
  CHECK(s.is_hung_up_on());
}

TEST_CASE("intruders: without a certificate, of another CA, expired, not valid yet, of no member") {
  siege s;
  const authority other;
  struct row {
    const char* who;
    tls_options tls;
    std::string refusal;
  };
  const row table[] = {
      {"no certificate", {.ca = s.ca.pem()}, ""},
      {"another CA", other.tls({.names = identity_of(3)}), "its certificate: "},
      {"expired", s.ca.tls({.names = identity_of(3), .from_seconds = -7200, .to_seconds = -60}),
       verdict(X509_V_ERR_CERT_HAS_EXPIRED)},
      {"not valid yet", s.ca.tls({.names = identity_of(3), .from_seconds = 60}),
       verdict(X509_V_ERR_CERT_NOT_YET_VALID)},
      {"not for clients", s.ca.tls({.names = identity_of(3), .usage = "serverAuth"}),
       verdict(X509_V_ERR_INVALID_PURPOSE)},
      {"a key that is too short", s.ca.tls({.names = identity_of(3), .rsa_bits = 1024}),
       verdict(X509_V_ERR_EE_KEY_TOO_SMALL)},
      {"signed by a member, who is no CA",
       s.ca.signed_by(s.ca.issue({.names = identity_of(2), .common_name = "member 2"}),
                      {.names = identity_of(3)}),
       "its certificate: "},
      {"right CA, no member", s.ca.tls({.names = "DNS:node-4.example"}), "its certificate is no member's"},
      {"right CA, no name", s.ca.tls({}), "its certificate is no member's"},
      {"no name but the common one", s.ca.tls({.common_name = "node-3.example"}),
       "its certificate is no member's"},
      {"a name that only begins so", s.ca.tls({.names = "DNS:node-3.example.attacker"}),
       "its certificate is no member's"},
      {"a wildcard", s.ca.tls({.names = "DNS:*.example"}), "its certificate is no member's"},
      {"the name as a URI", s.ca.tls({.names = "URI:node-3.example"}), "its certificate is no member's"},
      {"two members' names", s.ca.tls({.names = identity_of(2) + "," + identity_of(3)}),
       "its certificate is no member's"},
  };
  // Nothing else is wrong with them.
  tls_stranger right(s.port(), s.ca.tls({.names = identity_of(3)}));
  CHECK(right.say(hello(3, 1)).hear(welcome(1, 3).size()) == welcome(1, 3));
  std::uint64_t refused = 0;
  for (const row& r : table) {
    CAPTURE(std::string(r.who));
    tls_stranger t(s.port(), r.tls);
    try_to_be_heard(t);
    REQUIRE(s.refusals_are(++refused));
    CAPTURE(s.last_refusal());
    CHECK(s.last_refusal().starts_with(r.refusal));
  }
  CHECK(s.members.a.about(3).received_messages == 0);
  s.check_undisturbed();
}

TEST_CASE("intruders: a member that says it is another one, or calls another one or another cluster") {
  siege s;
  const tls_options third = s.ca.tls({.names = identity_of(3)});
  struct row {
    std::string hello;
    const char* refusal;
  };
  const row table[] = {
      {hello(2, 1), "the certificate of 3 says that it is 2"},
      {hello(1, 1), "hello from 1, who is no member"},
      {hello(9, 1), "hello from 9, who is no member"},
      {hello(3, 2), "hello to 2 of another cluster, or another member of it"},
      {hello(3, 1, {}, "d"), "hello to 1 of another cluster, or another member of it"},
      {welcome(3, 1), "hello from 3, who is no member"},
      {frame(heartbeat(3, 1)), "frame: kind is 4; must be at least 128 here"},
      {hello(3, 1, {.checksum = true}), "frame: version is 129; must be 1"},
      {std::string("\x81\0\0\0", 4), "frame: length is 129; must be at least 1 and at most 128"},
      {std::string("\xff\xff\xff\xff", 4), "frame: length is 4294967295; must be at least 1 and at most 128"},
      {std::string("\0\0\0\0", 4), "frame: length is 0; must be at least 1 and at most 128"},
  };
  std::uint64_t refused = 0;
  for (const row& r : table) {
    CAPTURE(std::string(r.refusal));
    tls_stranger t(s.port(), third);
    t.say(r.hello + frame(command(2, 1, 10)));
    CHECK(t.is_hung_up_on());
    REQUIRE(s.refusals_are(++refused));
    CHECK(s.last_refusal() == r.refusal);
  }
  CHECK(s.members.a.about(3).received_messages == 0);
  s.check_undisturbed();
}

TEST_CASE("intruders: TLS 1.2, though with a member's certificate") {
  siege s;
  const tls_options third = s.ca.tls({.names = identity_of(3)});
  tls_stranger t(s.port(), third, TLS1_2_VERSION);
  CHECK(t.over());
  REQUIRE(s.refusals_are(1));
  tls_stranger newer(s.port(), third, TLS1_3_VERSION);
  CHECK_FALSE(newer.over());
  s.check_undisturbed();
}

TEST_CASE("intruders: nobody is given a session to resume, in which no certificate would be shown") {
  siege s;
  tls_stranger t(s.port(), s.ca.tls({.names = identity_of(3)}));
  CHECK(t.say(hello(3, 1)).hear(welcome(1, 3).size()) == welcome(1, 3));
  CHECK_FALSE(t.may_resume());
}

TEST_CASE("intruders: plain bytes at a door that wants TLS") {
  siege s;
  const std::string giant = "\xff\xff\xff\xff";
  std::uint64_t refused = 0;
  for (const std::string& bytes : {hello(3, 1) + frame(command(3, 1, 10)), giant + std::string(5000, 'x'),
                                   std::string("GET / HTTP/1.1\r\n\r\n"), std::string(20'000, '\0'),
                                   std::string("\x16\x03\x01\xff\xff") + std::string(70'000, '\1')}) {
    stranger t(s.port());
    t.say(bytes);
    CHECK(t.is_hung_up_on());
    REQUIRE(s.refusals_are(++refused));
  }
  s.check_undisturbed();
}

TEST_CASE("intruders: those who connect and say nothing, or a byte now and then, are gone in time") {
  siege s([](transport_options& o) { o.handshake_timeout = 500ms; });
  stranger mute(s.port());
  stranger slow(s.port());
  tls_stranger polite(s.port(), s.ca.tls({.names = identity_of(3)}));  // ... but without a hello
  std::thread trickle([&] {
    const std::string client_hello =
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(500, '\7');
    for (std::size_t i = 0; i < client_hello.size() && !slow.over(); ++i) {
      slow.say(client_hello.substr(i, 1));
      std::this_thread::sleep_for(10ms);
    }
  });
  CHECK(eventually([&] { return s.members.a->stats().strangers > 0; }));
  CHECK(mute.is_hung_up_on());
  CHECK(polite.is_hung_up_on());
  trickle.join();
  CHECK(slow.over());
  CHECK(s.refusals_are(3));
  CHECK(s.last_refusal() == "nothing came in time");
  s.check_undisturbed();
}

TEST_CASE("intruders: as many as there can be hold up no member") {
  siege s([](transport_options& o) {
    o.max_strangers = 8;
    o.max_strangers_per_address = 8;
    o.handshakes_per_second = 1'000'000;
  });
  std::vector<std::unique_ptr<stranger>> crowd;
  for (int i = 0; i < 300; ++i) {
    crowd.push_back(std::make_unique<stranger>(s.port()));
    CHECK(s.members.a->stats().strangers <= 8);
  }
  CHECK(eventually([&] { return s.members.a->stats().pushed_out >= 292; }));
  // All of them are there, and a member comes nevertheless.
  member c(secured(3, s.ca));
  c->set_peers({s.members.a.as_peer(1)});
  CHECK(eventually([&] { return c.about(1).reachable; }));
  s.check_undisturbed();
}

TEST_CASE("intruders: one address that calls too often is turned away at once") {
  siege s([](transport_options& o) { o.handshakes_per_second = 20; });
  for (int i = 0; i < 200; ++i) stranger(s.port()).say("nonsense");
  CHECK(eventually([&] { return s.members.a->stats().turned_away >= 100; }));
  s.check_undisturbed();
}

TEST_CASE("intruders: a member that sends what no member sends is hung up on, and heard until then") {
  siege s;
  const tls_options third = s.ca.tls({.names = identity_of(3)});
  message spoofed = command(2, 1, 10);
  message misdirected = command(3, 2, 10);
  message senseless = frame(heartbeat(3, 1)).empty() ? message{} : heartbeat(3, 1);
  std::string unknown = frame(senseless);
  unknown[length_bytes + 1] = 99;
  struct row {
    std::string bytes;
    const char* refusal;
  };
  const row table[] = {
      {frame(spoofed), "message: from is 2; must be the peer, 3"},
      {frame(misdirected), "message: to is 2; must be this member, 1"},
      {unknown, "message: kind is 99; must be at most 10"},
      {hello(3, 1), "message: kind is 128; must be at most 10, or 130"},
      {std::string("\x01\x00\x10\x00", 4),
       "message: length is 1048577; must be at least 1 and at most 1048576"},
      {std::string("\xff\xff\xff\xff", 4),
       "message: length is 4294967295; must be at least 1 and at most 1048576"},
      {std::string(1000, '\0'), "message: length is 0; must be at least 1 and at most 1048576"},
      {std::string(1000, '\1'), "message: length is 16843009; must be at least 1 and at most 1048576"},
  };
  std::uint64_t violations = 0;
  for (const row& r : table) {
    CAPTURE(std::string(r.refusal));
    tls_stranger t(s.port(), third);
    t.say(hello(3, 1)).say(r.bytes).say(frame(heartbeat(3, 1)));
    CHECK(t.is_hung_up_on());
    REQUIRE(eventually([&] { return s.members.a.about(3).violations == violations + 1; }));
    ++violations;
    CHECK(eventually([&] { return s.members.a.about(3).last_hang_up == r.refusal; }));
  }
  CHECK(s.members.a.about(3).received_messages == 0);
  s.check_undisturbed();
}

TEST_CASE("intruders: a frame that never ends costs what it has sent, and no more than the idle time-out") {
  siege s([](transport_options& o) { o.idle_timeout = 300ms; });
  tls_stranger t(s.port(), s.ca.tls({.names = identity_of(3)}));
  t.say(hello(3, 1)).say(std::string("\x00\x00\x10\x00", 4) + "abc");
  CHECK(t.is_hung_up_on());
  CHECK(s.members.a.about(3).received_messages == 0);
  CHECK(s.members.talks());
}

TEST_CASE("intruders: a member that floods is heard at its rate, the others at theirs") {
  siege s([](transport_options& o) {
    o.messages_per_second = 500;
    o.message_burst = 100;
  });
  tls_stranger t(s.port(), s.ca.tls({.names = identity_of(3)}));
  std::string flood;
  for (int i = 0; i < 5000; ++i) flood += frame(heartbeat(3, 1));
  const auto begun = std::chrono::steady_clock::now();
  std::thread sends([&] { t.say(hello(3, 1)).say(flood); });
  REQUIRE(eventually([&] { return s.members.a.about(3).received_messages > 300; }));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto heard = s.members.a.about(3).received_messages;
  CHECK(static_cast<double>(heard) <= 100 + 500 * seconds + 5);
  CHECK(s.members.a.about(3).pauses > 0);
  // The other member's messages do not wait for those.
  const auto of_peer = [&] { return s.members.a.about(2).received_messages; };
  const auto before = of_peer();
  for (int i = 0; i < 20; ++i) s.members.b->send(heartbeat(2, 1));
  CHECK(eventually([&] { return of_peer() >= before + 20; }));
  CHECK(s.members.a.about(3).received_messages < 5000);
  s.members.a->set_peers({s.members.b.as_peer(2)});
  sends.join();
}

// Somebody who answers in a member's place.
class false_member {
 public:
  explicit false_member(const tls_options& tls) : context_(asio::ssl::context::tls_server) {
    context_.use_certificate_chain(asio::buffer(tls.certificate));
    context_.use_private_key(asio::buffer(tls.private_key), asio::ssl::context::pem);
    SSL_CTX_set_num_tickets(context_.native_handle(), 0);
  }
  std::uint16_t port() { return acceptor_.local_endpoint().port(); }
  /// How many bytes a caller says after the handshake, which is welcomed.
  std::size_t hear(const std::string& answer) {
    asio::ssl::stream<tcp::socket> s(acceptor_.accept(), context_);
    asio::error_code ec;
    s.handshake(asio::ssl::stream_base::server, ec);
    if (!ec) asio::write(s, asio::buffer(answer), ec);
    std::size_t sum = 0;
    char bytes[1000];
    while (!ec) sum += s.read_some(asio::buffer(bytes), ec);
    return sum;
  }

 private:
  asio::io_context io_;
  asio::ssl::context context_;
  tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
};

TEST_CASE("intruders: who answers in a member's place is told nothing") {
  const authority ca, other;
  struct row {
    const char* who;
    tls_options tls;
    std::string error;
  };
  const row table[] = {
      {"of another CA", other.tls({.names = identity_of(2)}), "its certificate: "},
      {"expired", ca.tls({.names = identity_of(2), .from_seconds = -7200, .to_seconds = -60}),
       verdict(X509_V_ERR_CERT_HAS_EXPIRED)},
      {"not for servers", ca.tls({.names = identity_of(2), .usage = "clientAuth"}),
       verdict(X509_V_ERR_INVALID_PURPOSE)},
      {"no member", ca.tls({.names = "DNS:node-4.example"}),
       "its certificate is not that of DNS:node-2.example"},
      {"another member", ca.tls({.names = identity_of(3)}),
       "its certificate is not that of DNS:node-2.example"},
      {"two members' names", ca.tls({.names = identity_of(2) + "," + identity_of(3)}),
       "its certificate is not that of DNS:node-2.example"},
  };
  for (const row& r : table) {
    CAPTURE(std::string(r.who));
    false_member f(r.tls);
    member a(secured(1, ca));
    a->set_peers({{.id = 2, .host = "127.0.0.1", .port = f.port(), .identity = identity_of(2)},
                  {.id = 3, .host = "127.0.0.1", .port = 1, .identity = identity_of(3)}});
    a->send(command(1, 2, 100));
    CHECK(f.hear(welcome(2, 1)) == 0);
    CHECK(eventually([&] { return a.about(2).last_failure.starts_with(r.error); }));
    CHECK(a.about(2).connections == 0);
    CHECK(a.about(2).sent_messages == 0);
  }
}

TEST_CASE("intruders: a member that answers with nonsense is hung up on, and called again later") {
  const authority ca;
  const tls_options second = ca.tls({.names = identity_of(2)});
  struct row {
    std::string answer;
    const char* failure;
    std::uint64_t connections;
  };
  const row table[] = {
      {"nonsense", "frame: length is 1936617326; must be at least 1 and at most 128", 0},
      {welcome(3, 1), "its answer is not a welcome", 0},
      {welcome(2, 3), "its answer is not a welcome", 0},
      {hello(2, 1), "its answer is not a welcome", 0},
      {welcome(2, 1) + frame(heartbeat(2, 1)), "frame: kind is 4; must be at least 128 here", 1},
      {welcome(2, 1) + welcome(2, 1), "said something else than that it is there", 1},
  };
  for (const row& r : table) {
    CAPTURE(std::string(r.failure));
    false_member f(second);
    auto one = secured(1, ca);
    one.idle_timeout = 1h;  // it is not for want of words
    member a(one);
    a->set_peers({{.id = 2, .host = "127.0.0.1", .port = f.port(), .identity = identity_of(2)}});
    f.hear(r.answer);
    CHECK(eventually([&] { return a.about(2).failures > 0; }));
    CHECK(a.about(2).last_failure == r.failure);
    CHECK(a.about(2).connections == r.connections);
    CHECK(a.count() == 0);
    f.hear(r.answer);
  }
}

TEST_CASE("intruders: plain text is spoken on loopback only, unless on any network is asked for") {
  auto o = plain_text(1);
  o.listen_host = "0.0.0.0";
  CHECK(validate(o)->text("t") ==
        "t: listen_host is 0.0.0.0; must be a loopback address, or plain text be asked for on any network");
  o.security = transport_security::plain_text_on_any_network;
  CHECK_FALSE(validate(o));
  o = plain_text(1);
  for (const char* const host : {"192.0.2.1", "node-2.example", "::", "::ffff:192.0.2.1"}) {
    o.peers = {{.id = 2, .host = host, .port = 1}};
    CHECK(validate(o)->field == "peers[0].host");
  }
  for (const char* const host : {"127.0.0.2", "::1", "localhost", "::ffff:127.0.0.1"}) {
    o.peers = {{.id = 2, .host = host, .port = 1}};
    CHECK_FALSE(validate(o));
  }
}

}  // namespace
