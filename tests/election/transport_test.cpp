// SPDX-License-Identifier: Apache-2.0
// What a transport is for: messages between members, whatever happens to the connections.
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "election/support.hpp"
#include "seawall/event.hpp"
#include <doctest/doctest.h>

namespace {

using namespace election_test;

TEST_CASE("transport: messages go both ways over mutual TLS, in order and as they were") {
  const authority ca;
  pair p(secured(1, ca), secured(2, ca));
  REQUIRE(p.connected());
  for (log_index i = 1; i <= 300; ++i) {
    p.a->send(command(1, 2, i * 100, i));
    p.b->send(heartbeat(2, 1, i));
  }
  REQUIRE(eventually([&] { return p.a.count() == 300 && p.b.count() == 300; }));
  const auto at_a = p.a.received(), at_b = p.b.received();
  for (log_index i = 1; i <= 300; ++i) {
    CHECK(at_b[i - 1] == command(1, 2, i * 100, i));
    CHECK(at_a[i - 1] == heartbeat(2, 1, i));
  }
  CHECK(p.a.about(2).sent_messages == 300);
  CHECK(p.b.about(1).received_messages == 300);
  CHECK(p.b.about(1).received_bytes == p.a.about(2).sent_bytes);
}

TEST_CASE("transport: the largest message there may be arrives, one byte more is refused by send") {
  const authority ca;
  pair p(secured(1, ca), secured(2, ca));
  REQUIRE(p.connected());
  const std::size_t most = codec_options{}.max_message_bytes;
  const std::size_t rest = frame(command(1, 2, 0)).size() - length_bytes;
  p.a->send(command(1, 2, most - rest + 1));
  CHECK(p.a->stats().unsendable == 1);
  CHECK(p.a->stats().last_refusal == "message: length is 1048577; must be at most 1048576");
  p.a->send(command(1, 2, most - rest));
  REQUIRE(eventually([&] { return p.b.count() == 1; }));
  CHECK(p.b.received()[0] == command(1, 2, most - rest));
}

TEST_CASE("transport: identities by DNS name, URI and public key; peers by name of host") {
  const authority ca;
  transport_options one = options_of(1), two = options_of(2), three = options_of(3);
  one.tls = ca.tls({.names = "URI:spiffe://c/1", .usage = "serverAuth,clientAuth"});
  two.tls = ca.tls({.names = "DNS:other.example,DNS:Two.Example"});
  const auto third = ca.issue({});
  three.tls = {.ca = ca.pem(), .certificate = third.certificate, .private_key = third.key};
  member a(one), b(two), c(three);
  const std::string hash = detail::public_key_hash(third.x509.get());
  std::string hex = "SHA256:";
  for (const unsigned char byte : hash) {
    for (const unsigned digit : {byte / 16U, byte % 16U}) hex += "0123456789ABCDEF"[digit];
  }
  const transport_peer at_a{1, "localhost", a->port(), "URI:spiffe://c/1"};
  const transport_peer at_b{2, "127.0.0.1", b->port(), "DNS:two.EXAMPLE"};
  const transport_peer at_c{3, "127.0.0.1", c->port(), hex};
  CHECK_FALSE(a->set_peers({at_b, at_c}));
  CHECK_FALSE(b->set_peers({at_a, at_c}));
  CHECK_FALSE(c->set_peers({at_a, at_b}));
  const auto all = [](const member& m, node_id x, node_id y) {
    return m.about(x).reachable && m.about(y).reachable;
  };
  CHECK(eventually([&] { return all(a, 2, 3) && all(b, 1, 3) && all(c, 1, 2); }));
}

TEST_CASE("transport: plain text on loopback, with a checksum") {
  pair p(plain_text(1), plain_text(2));
  REQUIRE(p.connected());
  CHECK(p.talks());
  stranger s(p.b->port());
  s.say(hello(3, 2, {.checksum = true})).say(frame(command(3, 2, 10), {.checksum = true}));
  std::string flipped = frame(command(3, 2, 10, 2), {.checksum = true});
  flipped[60] = static_cast<char>(flipped[60] ^ 1);
  s.say(flipped);
  CHECK(s.is_hung_up_on());
  CHECK(p.b.about(3).violations == 1);
  CHECK(p.b.about(3).received_messages == 1);
  CHECK(eventually([&] { return p.b.about(3).last_hang_up.starts_with("message: checksum is "); }));
}

TEST_CASE("transport: a peer that is killed and comes back is connected again, both ways") {
  const authority ca;
  member a(secured(1, ca));
  auto two = secured(2, ca);
  auto b = std::make_unique<member>(two);
  two.listen_port = (*b)->port();
  a->set_peers({b->as_peer(2)});
  for (int i = 0; i < 5; ++i) {
    (*b)->set_peers({a.as_peer(1)});
    REQUIRE(eventually([&] { return a.about(2).reachable && b->about(1).reachable; }));
    REQUIRE(eventually([&] {
      a->send(heartbeat(1, 2));
      return b->count() > 0;
    }));
    b.reset();
    REQUIRE(eventually([&] { return !a.about(2).reachable && !a.about(2).heard; }));
    // The port is free as soon as it has gone.
    b = std::make_unique<member>(two);
  }
  CHECK(a.about(2).connections >= 5);
}

TEST_CASE("transport: one that comes back is called at once, not when the back-off says so") {
  const authority ca;
  auto one = secured(1, ca);
  one.reconnect = {.initial = 10min, .max = 10min, .jitter = seawall::jitter::none};
  member a(one);
  auto two = secured(2, ca);
  {
    member b(two);
    two.listen_port = b->port();
    b->set_peers({a.as_peer(1)});
    a->set_peers({b.as_peer(2)});
    REQUIRE(eventually([&] { return a.about(2).reachable; }));
  }
  REQUIRE(eventually([&] { return a.about(2).failures > 0; }));
  member b(two);
  b->set_peers({a.as_peer(1)});
  CHECK(eventually([&] { return a.about(2).reachable; }));
}

TEST_CASE("transport: a peer that accepts and then says nothing is given up") {
  auto one = plain_text(1);
  one.idle_timeout = 100ms;
  member a(one);
  asio::io_context io;
  tcp::acceptor mute(io, {asio::ip::address_v4::loopback(), 0});
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = mute.local_endpoint().port()}});
  tcp::socket s = mute.accept();
  asio::write(s, asio::buffer(welcome(2, 1, {.checksum = true})));
  REQUIRE(eventually([&] { return a.about(2).connections == 1; }));
  CHECK(eventually([&] { return a.about(2).last_failure == "nothing came in time"; }));
  CHECK(eventually([&] { return !a.about(2).reachable; }));
  // And is called again.
  CHECK(mute.accept().is_open());
}

TEST_CASE("transport: a peer that has called and then says nothing is given up") {
  auto one = plain_text(1);
  one.idle_timeout = 100ms;
  member a(one);
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = 1}});
  stranger s(a->port());
  s.say(hello(2, 1, {.checksum = true}));
  CHECK(eventually([&] { return a.about(2).heard; }));
  CHECK(s.is_hung_up_on());
  CHECK(eventually([&] { return !a.about(2).heard; }));
}

TEST_CASE("transport: a connection on which nobody has anything to say stays") {
  const authority ca;
  auto one = secured(1, ca), two = secured(2, ca);
  one.idle_timeout = two.idle_timeout = 2s;
  pair p(one, two);
  REQUIRE(p.connected());
  std::this_thread::sleep_for(2500ms);
  CHECK(p.a.about(2).connections == 1);
  CHECK(p.b.about(1).connections == 1);
}

TEST_CASE("transport: a handler that blocks for longer than the idle time-out costs no connection") {
  const authority ca;
  auto one = secured(1, ca), two = secured(2, ca);
  one.idle_timeout = 2s;
  two.idle_timeout = 6s;  // says something every 1.5 s
  pair p(one, two);
  REQUIRE(p.connected());
  // On the context's only thread, as a slow disk would.
  asio::post(p.a.io(), [] { std::this_thread::sleep_for(3s); });
  std::this_thread::sleep_for(4s);
  CHECK(p.a.about(2).connections == 1);
  CHECK(p.b.about(1).connections == 1);
}

TEST_CASE("transport: bytes that come one at a time are a message in the end") {
  member a(plain_text(1));
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = 1}});
  stranger s(a->port());
  s.socket().set_option(tcp::no_delay(true));
  const codec_options codec{.checksum = true};
  for (const char c : hello(2, 1, codec) + frame(command(2, 1, 30), codec) + frame(heartbeat(2, 1), codec))
    s.say({&c, 1});
  REQUIRE(eventually([&] { return a.count() == 2; }));
  CHECK(a.received()[0] == command(2, 1, 30));
}

TEST_CASE("transport: the newest connection of a peer counts") {
  member a(plain_text(1));
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = 1}});
  const codec_options codec{.checksum = true};
  stranger first(a->port());
  first.say(hello(2, 1, codec)).say(frame(heartbeat(2, 1, 1), codec));
  REQUIRE(eventually([&] { return a.count() == 1; }));
  stranger second(a->port());
  second.say(hello(2, 1, codec)).say(frame(heartbeat(2, 1, 2), codec));
  REQUIRE(eventually([&] { return a.count() == 2; }));
  CHECK(first.is_hung_up_on());
  CHECK(a.about(2).heard);
  second.say(frame(heartbeat(2, 1, 3), codec));
  CHECK(eventually([&] { return a.count() == 3; }));
}

TEST_CASE("transport: what waits for a peer that is away is bounded, and not sent when it is stale") {
  auto one = plain_text(1);
  one.max_queue_messages = 100;
  one.stale_after = 50ms;
  member a(one);
  transport_options two = plain_text(2);
  {
    member b(two);
    two.listen_port = b->port();
  }
  a->set_peers({{.id = 2, .host = "127.0.0.1", .port = two.listen_port}});
  for (int i = 0; i < 1000; ++i) a->send(command(1, 2, 10));
  CHECK(a.about(2).queued_messages == 100);
  CHECK(a.about(2).dropped_newest == 900);
  std::this_thread::sleep_for(100ms);
  member b(two);
  b->set_peers({a.as_peer(1)});
  REQUIRE(eventually([&] { return a.about(2).reachable; }));
  CHECK(eventually([&] { return a.about(2).dropped_stale == 100; }));
  CHECK(b.count() == 0);
  CHECK(eventually([&] {
    a->send(heartbeat(1, 2));
    return b.count() > 0;
  }));
}

TEST_CASE("transport: what cannot be sent is counted, and says why") {
  member a(plain_text(1));
  a->send(heartbeat(1, 2));
  CHECK(a->stats().unknown_peer == 1);
  a->send(heartbeat(2, 1));
  CHECK(a->stats().last_refusal == "message: from is 2; must be this member, 1");
  message m = heartbeat(1, 2);
  m.granted = true;
  a->send(m);
  CHECK(a->stats().last_refusal == "message: granted is 1; must not be there in a message of kind append");
  CHECK(a->stats().unsendable == 2);
}

TEST_CASE("transport: peers that are taken off the list are hung up on, others stay") {
  const authority ca;
  pair p(secured(1, ca), secured(2, ca));
  member c(secured(3, ca));
  c->set_peers({p.a.as_peer(1)});
  p.a->set_peers({p.b.as_peer(2), c.as_peer(3)});
  REQUIRE(eventually([&] { return p.a.about(3).reachable && p.a.about(3).heard && c.about(1).reachable; }));
  REQUIRE(p.connected());
  const auto before = p.a.about(2).connections;
  CHECK_FALSE(p.a->set_peers({p.b.as_peer(2)}));
  CHECK(eventually([&] { return !c.about(1).reachable; }));
  CHECK(eventually([&] { return p.a->stats().last_refusal == "its certificate is no member's"; }));
  CHECK(p.a->stats().peers.size() == 1);
  CHECK(p.a.about(2).connections == before);
  const auto error = p.a->set_peers({p.b.as_peer(2), p.b.as_peer(2)});
  REQUIRE(error);
  CHECK(error->text("peers") == "peers: peers[1].id is 2; must not be there twice");
  CHECK(p.talks());
}

TEST_CASE(
    "transport: certificates are exchanged without a restart, and who is not trusted any more is not connected") {
  const authority old_ca, new_ca;
  pair p(secured(1, old_ca), secured(2, old_ca));
  REQUIRE(p.connected());
  const auto bad = p.a->reload({.ca = "nothing", .certificate = "x", .private_key = "y"});
  REQUIRE(bad);
  CHECK(bad->field == "tls.ca");
  const auto swapped = p.a->reload({.ca = old_ca.pem(),
                                    .certificate = old_ca.tls({}).certificate,
                                    .private_key = old_ca.tls({}).private_key});
  REQUIRE(swapped);
  CHECK(swapped->field == "tls.private_key");
  CHECK(p.talks());

  // First both trust both, then each has a new one, then nobody trusts the old one.
  const std::string both = old_ca.pem() + new_ca.pem();
  const auto with = [&](const authority& by, node_id id, const std::string& ca) {
    tls_options t = by.tls({.names = identity_of(id)});
    t.ca = ca;
    return t;
  };
  CHECK_FALSE(p.a->reload(with(old_ca, 1, both)));
  CHECK_FALSE(p.b->reload(with(old_ca, 2, both)));
  CHECK_FALSE(p.a->reload(with(new_ca, 1, both)));
  CHECK(p.talks());
  CHECK_FALSE(p.b->reload(with(new_ca, 2, new_ca.pem())));
  CHECK(p.talks());
  CHECK_FALSE(p.a->reload(with(new_ca, 1, new_ca.pem())));
  CHECK(p.talks());
  CHECK_FALSE(p.a->reload(with(old_ca, 1, old_ca.pem())));
  CHECK(eventually([&] { return !p.a.about(2).reachable && !p.b.about(1).reachable; }));
}

TEST_CASE("transport: a listener is told when a peer can be reached and when no longer") {
  const authority ca;
  std::atomic<int> up{0}, down{0};
  seawall::listening events([&](const seawall::event::state_changed& e) {
    if (e.policy != "raft_transport" || e.name != "test" || e.key != "2") return;
    if (e.to == "reachable") ++up;
    if (e.to == "unreachable" && !e.why.empty()) ++down;
  });
  auto one = secured(1, ca);
  one.events = &events;
  member a(one);
  {
    member b(secured(2, ca));
    b->set_peers({a.as_peer(1)});
    a->set_peers({b.as_peer(2)});
    CHECK(eventually([&] { return up == 1; }));
  }
  CHECK(eventually([&] { return down == 1; }));
}

}  // namespace
