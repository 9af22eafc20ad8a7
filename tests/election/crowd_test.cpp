// SPDX-License-Identifier: Apache-2.0
// More of everything than there is room for: callers, addresses, descriptors, delays. Members that talk go on talking, and one that
// comes back gets in.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "election/support.hpp"
#include "seawall/election/transport/outgoing.hpp"
#include "seawall/election/transport/wire.hpp"
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <doctest/doctest.h>

namespace {

using namespace election_test;

/// Members 1 and 2, who talk, and a third that can come at any time.
struct crowd {
  explicit crowd(const std::function<void(transport_options&)>& change)
      : members(with(change, 1), with(change, 2)), third(secured(3, ca)) {
    REQUIRE(members.connected());
  }
  transport_options with(const std::function<void(transport_options&)>& change, node_id id) const {
    transport_options o = secured(id, ca);
    change(o);
    return o;
  }
  bool third_comes() {
    third->set_peers({members.a.as_peer(1)});
    return eventually([&] { return third.about(1).reachable; });
  }
  void check_undisturbed() {
    CHECK(members.talks());
    CHECK(members.a.about(2).connections == 1);
    CHECK(members.b.about(1).connections == 1);
  }
  transport_stats now() { return members.a->stats(); }
  std::uint16_t port() { return members.a->port(); }

  const authority ca;
  pair members;
  member third;
};

#ifdef __linux__  // where all of 127.0.0.0/8 is this machine

asio::ip::address elsewhere(unsigned i) { return asio::ip::address_v4(0x7f010001U + i % 60'000); }

TEST_CASE("crowd: callers from a thousand addresses are turned away, a member is not") {
  struct row {
    const char* what;
    std::uint32_t of_one, of_all;
  };
  // With few for each address, those that share a bucket have emptied all of them.
  for (const row& r : {row{"overall", 50, 1}, row{"each", 1, 1'000'000}}) {
    CAPTURE(std::string(r.what));
    crowd c([&](transport_options& o) {
      o.handshakes_per_second = r.of_one;
      o.handshakes_per_second_of_all = r.of_all;
    });
    std::atomic<bool> done{false};
    std::thread knocks([&] {
      for (unsigned i = 0; !done; ++i) stranger(c.port(), elsewhere(i)).say("nonsense");
    });
    CHECK(eventually([&] { return c.now().turned_away >= 100; }));
    CHECK(c.third_comes());
    done = true;
    knocks.join();
    c.check_undisturbed();
  }
}

TEST_CASE("crowd: strangers from elsewhere do not push out one that calls from a member's address") {
  crowd c([](transport_options& o) {
    o.max_strangers = o.max_strangers_per_address = 4;
    o.handshakes_per_second = o.handshakes_per_second_of_all = 1'000'000;
  });
  stranger perhaps_a_member(c.port());
  REQUIRE(eventually([&] { return c.now().strangers == 1; }));
  std::vector<std::unique_ptr<stranger>> others;
  for (unsigned i = 0; i < 100; ++i) others.push_back(std::make_unique<stranger>(c.port(), elsewhere(i)));
  CHECK(eventually([&] { return c.now().pushed_out >= 97; }));
  CHECK(perhaps_a_member.is_still_connected());
  CHECK(c.now().strangers <= 4);
  c.check_undisturbed();
}

#endif

// The undefined-behaviour sanitizer opens a pipe to look at an object: with it, nothing at all works without descriptors.
#if defined(__SANITIZE_ADDRESS__)
#define SEAWALL_TEST_NEEDS_DESCRIPTORS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SEAWALL_TEST_NEEDS_DESCRIPTORS 1
#endif
#endif
#ifndef SEAWALL_TEST_NEEDS_DESCRIPTORS

/// No descriptor is left in this process, but those that are closed meanwhile.
class no_descriptors {
 public:
  no_descriptors() {
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(lowest_free);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_CASE(
    "crowd: without a descriptor left nobody is accepted, members talk, and it is tried again until there is one") {
  crowd c([](transport_options& o) { o.handshakes_per_second = 1'000'000; });
  // They have theirs already, and wait in the kernel's queue. More than a member closes now and then.
  asio::io_context io;
  std::vector<tcp::socket> callers;
  for (int i = 0; i < 10; ++i) callers.emplace_back(io, tcp::v4());
  bool tried_again = false, talked = false;
  std::uint64_t failures = 0;
  std::chrono::steady_clock::duration took{};
  {
    const no_descriptors none;
    const auto begun = std::chrono::steady_clock::now();
    const std::uint64_t before = c.now().accept_failures;
    for (auto& s : callers) s.connect({asio::ip::address_v4::loopback(), c.port()});
    tried_again = eventually([&] { return c.now().accept_failures >= before + 5; });
    failures = c.now().accept_failures - before;
    took = std::chrono::steady_clock::now() - begun;
    talked = c.members.talks();
  }
  CHECK(tried_again);
  CHECK(failures <= static_cast<std::uint64_t>(took / 20ms) + 1);  // it does not spin
  CHECK(talked);
  CHECK(c.third_comes());
  c.check_undisturbed();
}

TEST_CASE("crowd: a member that cannot open a socket calls again until it can") {
  const authority ca;
  member a(secured(1, ca)), b(secured(2, ca));
  {
    const no_descriptors none;
    a->set_peers({b.as_peer(2)});
    CHECK(eventually([&] { return a.about(2).failures >= 2; }));
    CHECK(a.about(2).last_failure == std::generic_category().message(EMFILE));
  }
  b->set_peers({a.as_peer(1)});
  CHECK(eventually([&] { return a.about(2).reachable; }));
}

#endif

TEST_CASE("crowd: a peer that sends more than it may loses no connection, neither its own nor that to it") {
  crowd c([](transport_options& o) {
    o.messages_per_second = 500;
    o.message_burst = 100;
    o.idle_timeout = 4s;  // the peer says that it is there every second
  });
  for (int i = 0; i < 1000; ++i) c.members.b->send(heartbeat(2, 1));
  CHECK(eventually([&] { return c.members.a.about(2).received_messages >= 900; }));
  CHECK(c.members.a.about(2).pauses > 0);
  c.check_undisturbed();
}

TEST_CASE("crowd: a context that is always late hangs up all the same") {
  asio::io_context io;
  const auto w = std::make_shared<detail::wire>(tcp::socket(io), nullptr);
  w->set_deadline(seawall::steady_clock::now() + 5ms);
  asio::co_spawn(io, detail::wire::watch(w, 5ms), asio::detached);
  const auto be_late = [&] {
    io.poll();
    std::this_thread::sleep_for(20ms);
    io.poll();
  };
  be_late();
  CHECK(w->is_open());  // it has slept through the deadline
  w->set_deadline(seawall::steady_clock::now() + 5ms);
  be_late();
  CHECK(w->is_open());  // and through another one
  for (int i = 0; i < 3; ++i) be_late();
  CHECK_FALSE(w->is_open());
}

TEST_CASE("crowd: a host with several addresses is called at another one after each failure") {
  const tcp::endpoint x(asio::ip::make_address("::1"), 1), y(asio::ip::make_address("127.0.0.1"), 1);
  const auto first = [&](std::uint32_t failures) {
    std::vector<tcp::endpoint> ends{x, y};
    detail::begin_elsewhere(ends, failures);
    CHECK(ends.size() == 2);
    return ends.front();
  };
  CHECK(first(0) == x);
  CHECK(first(1) == y);
  CHECK(first(2) == x);
  std::vector<tcp::endpoint> none;
  detail::begin_elsewhere(none, 3);
  CHECK(none.empty());
}

TEST_CASE("crowd: a program that is started meanwhile holds neither the port nor a connection") {
  crowd c([](transport_options&) {});
  REQUIRE(c.third_comes());
  const auto is_ours = [&](const sockaddr_in& at) {
    const std::uint16_t port = ntohs(at.sin_port);
    return at.sin_family == AF_INET && (port == c.port() || port == c.members.b->port());
  };
  int seen = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    sockaddr_in here{}, there{};
    socklen_t size = sizeof here, other_size = sizeof there;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size) != 0) continue;
    static_cast<void>(::getpeername(fd, reinterpret_cast<sockaddr*>(&there), &other_size));
    if (!is_ours(here) && !is_ours(there)) continue;
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    ++seen;
  }
  CHECK(seen >= 6);  // two that listen, both ends of two connections at least
}

}  // namespace
