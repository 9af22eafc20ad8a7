// SPDX-License-Identifier: Apache-2.0
// A cluster whose members are killed, stand still or are cut off; and candidates that are processes of their own.
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "etcd/support.hpp"
#include "seawall/adapt/etcd.hpp"
#include "seawall/random.hpp"
#include <doctest/doctest.h>

namespace {

using namespace etcd_test;
using seawall::etcd_elector_state;

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

TEST_CASE(
    "etcd outage: a server that stands still ends the leadership, and another grant follows when it goes on") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(short_options_for("a", {cluster.endpoint()}));
  etcd_elector b(short_options_for("b", {cluster.endpoint()}));
  const observer watching({[&] { return a.current(); }, [&] { return b.current(); }});
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  b.start(logged(log, "b"));
  cluster.suspend();
  REQUIRE(eventually([&] { return !l->valid() && !a.current() && !b.current(); }));
  std::this_thread::sleep_for(500ms);
  CHECK(!a.current());
  CHECK(!b.current());
  const std::size_t before = log.count(what::elected);
  cluster.resume();
  const auto next = log.wait(what::elected, before + 1);
  REQUIRE(next);
  CHECK(next->token > l->token());
  CHECK(watching.overlaps() == 0);
}

TEST_CASE("etcd outage: a server that is killed and back within the lease does not cost the leadership") {
  etcd_cluster cluster;
  election_log log;
  etcd_elector a(options_for("a", {cluster.endpoint()}));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  cluster.restart();
  const auto renewals = a.snapshot().renewals;
  REQUIRE(eventually([&] { return a.snapshot().renewals > renewals; }));
  CHECK(l->valid());
  CHECK(log.entries().size() == 1);
  // And the watch is there again.
  cluster.erase(leader_key);
  CHECK(log.wait(what::lost, 1));
}

TEST_CASE("etcd outage: one of three members fails, in each way, and the next one is asked") {
  etcd_cluster cluster({.members = 3});
  election_log log;
  std::vector<std::string> rotated = cluster.endpoints();
  // Each candidate's first endpoint is the one that fails.
  const std::size_t first = cluster.leading_member();
  REQUIRE(first < 3);
  std::rotate(rotated.begin(), rotated.begin() + static_cast<std::ptrdiff_t>(first), rotated.end());
  auto o = options_for("b", rotated);
  o.look_every = 1h;
  etcd_elector a(options_for("a", rotated));
  etcd_elector b(o);
  const observer watching({[&] { return a.current(); }, [&] { return b.current(); }});
  a.start(logged(log, "a"));
  REQUIRE(log.wait(what::elected, 1));
  b.start(logged(log, "b"));
  REQUIRE(eventually([&] { return b.snapshot().state == etcd_elector_state::following; }));
  const auto l = a.current();
  REQUIRE(l);
  cluster.kill_now(first);
  REQUIRE(
      eventually([&] { return a.snapshot().endpoint != rotated[0] && b.snapshot().endpoint != rotated[0]; }));
  const auto renewals = a.snapshot().renewals;
  REQUIRE(eventually([&] { return a.snapshot().renewals > renewals || log.count(what::lost) > 0; }));
  CHECK(l->valid());
  CHECK(log.entries().size() == 1);
  // The watch has moved on, too: nothing else tells b, which does not look.
  const auto begun = std::chrono::steady_clock::now();
  a.resign();
  REQUIRE(log.wait(what::elected, 1, "b"));
  MESSAGE("elected ", seconds_since(begun) * 1e3,
          " ms after the other one has resigned, of three members one is dead");
  CHECK(watching.overlaps() == 0);
}

TEST_CASE("etcd outage: a member that has lost its cluster is not believed, and not waited for") {
  etcd_cluster cluster({.members = 3});
  election_log log;
  etcd_elector a(short_options_for("a", {cluster.endpoint(0)}));
  a.start(logged(log, "a"));
  const auto l = grant_of(a);
  REQUIRE(l);
  cluster.kill_now(1);
  cluster.kill_now(2);
  REQUIRE(eventually(
      [&] { return !l->valid() && a.snapshot().state == etcd_elector_state::unreachable && !a.current(); }));
  MESSAGE(a.snapshot().last_error);
  cluster.restart(1);
  const auto next = grant_of(a);
  REQUIRE(next);
  CHECK(next->token() > l->token());
}

/// Three candidates, each with a way of its own to one server, and what may happen to them.
class disturbed_election {
 public:
  disturbed_election() {
    for (const char* node : {"a", "b", "c"}) {
      ways_.push_back(std::make_unique<tcp_proxy>(cluster_.port()));
      auto o = short_options_for(node, {ways_.back()->endpoint()});
      o.stand_back = 100ms;
      all_.push_back(std::make_unique<etcd_elector>(o));
    }
    for (const auto& e : all_) e->start(logged(log_, e->node()));
  }

  std::vector<observer::candidate> candidates() const {
    std::vector<observer::candidate> c;
    for (const auto& e : all_) c.push_back([e = e.get()] { return e->current(); });
    return c;
  }
  void disturb(seawall::random_source& random) {
    const std::size_t i = random.up_to(2);
    // Whoever does not lead has nothing to resign from.
    switch (random.up_to(9)) {
      case 0: return ways_[i]->cut();
      case 1:
      case 2:
        for (const auto& e : all_) e->resign();
        return;
      case 3:
        for (const auto& e : all_) e->transfer_to(all_[i]->node());
        return;
      case 4: return ways_[i]->lose_answers("request_put");
      case 5: return ways_[i]->lose_answers("lease/");
      case 6: return stand_still(std::chrono::milliseconds(random.up_to(300)));
      default: return mend();
    }
  }
  void mend() {
    for (const auto& w : ways_) w->mend();
  }
  /// All are gone afterwards.
  void end() { all_.clear(); }
  bool has_leader() const {
    return std::any_of(all_.begin(), all_.end(), [](const auto& e) { return e->current().has_value(); });
  }
  election_log& log() { return log_; }
  const etcd_cluster& cluster() const { return cluster_; }

 private:
  void stand_still(std::chrono::milliseconds so_long) {
    cluster_.suspend();
    std::this_thread::sleep_for(so_long);
    cluster_.resume();
  }

  etcd_cluster cluster_;
  election_log log_;
  std::vector<std::unique_ptr<tcp_proxy>> ways_;
  std::vector<std::unique_ptr<etcd_elector>> all_;
};

TEST_CASE("etcd outage: cuts, pauses and resignations at random: never two at once, every loss told once") {
  const char* const setting = std::getenv("SEAWALL_ETCD_SECONDS");
  const double seconds = setting == nullptr ? 4 : std::atof(setting);
  const std::uint64_t seed = seawall::detail::entropy_seed();
  seawall::random_source random(seed);
  disturbed_election e;
  observer watching(e.candidates());
  const auto begun = std::chrono::steady_clock::now();
  while (seconds_since(begun) < seconds) {
    e.disturb(random);
    std::this_thread::sleep_for(std::chrono::milliseconds(random.up_to(300)));
  }
  e.mend();
  CHECK(eventually([&] { return e.has_leader(); }));
  watching.end();
  e.end();
  MESSAGE("seed ", seed, ": ", e.log().count(what::elected), " grants, ", watching.looks(),
          " looks of the observer");
  CHECK(watching.overlaps() == 0);
  CHECK(e.log().contradiction() == "");
  CHECK(eventually([&] { return e.cluster().leases() == 0; }));
}

/// A candidate in a process of its own, that says what it is told, and asks all the time whether it leads.
class candidate_process {
 public:
  /// Nothing of this process may have threads yet.
  candidate_process(const std::string& node, const etcd_cluster& cluster, std::chrono::seconds ttl) {
    int ends[2];
    void* const shared = ::mmap(nullptr, sizeof(std::atomic<std::int64_t>), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (::pipe(ends) != 0 || shared == MAP_FAILED) throw std::runtime_error("pipe");
    led_ns_ = new (shared) std::atomic<std::int64_t>(0);
    from_ = ends[0];
    pid_ = ::fork();
    if (pid_ != 0) {
      ::close(ends[1]);
      return;
    }
#if defined(__linux__)
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    etcd_elector e(short_options_for(node, cluster.endpoints(), ttl));
    const auto say = [to = ends[1]](char c) { return ::write(to, &c, 1); };
    e.start({.on_elected = [=](const seawall::leadership&) { say('+'); },
             .on_lost = [=](std::string_view) { say('-'); }});
    for (;; std::this_thread::sleep_for(100us)) {
      const std::int64_t before = boot_clock::now().ns();
      if (e.current()) led_ns_->store(before);
    }
  }
  ~candidate_process() {
    kill_now();
    ::close(from_);
    ::munmap(led_ns_, sizeof *led_ns_);
  }
  candidate_process(const candidate_process&) = delete;
  candidate_process& operator=(const candidate_process&) = delete;

  /// The next thing that it says; 0: nothing in half a minute.
  char next() const {
    pollfd p{from_, POLLIN, 0};
    char c = 0;
    return ::poll(&p, 1, 30'000) == 1 && ::read(from_, &c, 1) == 1 ? c : '\0';
  }
  /// It has led at that instant, or after it.
  instant led_at() const { return instant::from_ns(led_ns_->load()); }
  void suspend() const { ::kill(pid_, SIGSTOP); }
  void resume() const { ::kill(pid_, SIGCONT); }
  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  int from_ = -1;
  std::atomic<std::int64_t>* led_ns_ = nullptr;
};

TEST_CASE("etcd outage: the leader's process is killed, and another one leads after the lease") {
  std::vector<double> took;
  const char* const setting = std::getenv("SEAWALL_ETCD_KILLS");
  const int kills = setting == nullptr ? 2 : std::atoi(setting);
  const etcd_cluster cluster({.members = 3});
  for (int i = 0; i < kills; ++i) {
    candidate_process a("a", cluster, 2s);
    REQUIRE(a.next() == '+');
    election_log log;
    etcd_elector b(short_options_for("b", cluster.endpoints()));
    b.start(logged(log, "b"));
    REQUIRE(eventually([&] { return b.snapshot().state == etcd_elector_state::following; }));
    // At some moment between two renewals.
    std::this_thread::sleep_for(std::chrono::milliseconds(seawall::thread_random().up_to(700)));
    const auto begun = std::chrono::steady_clock::now();
    a.kill_now();
    REQUIRE(log.wait(what::elected, 1));
    took.push_back(seconds_since(begun));
  }
  std::sort(took.begin(), took.end());
  MESSAGE("from kill -9 to the next grant, TTL 2 s, three members: median ", took[took.size() / 2],
          " s, least ", took.front(), ", most ", took.back(), ", of ", took.size());
}

TEST_CASE(
    "etcd outage: the leader's process sleeps through the end of its lease, and knows it when it wakes") {
  const etcd_cluster cluster;
  candidate_process a("a", cluster, 2s);
  REQUIRE(a.next() == '+');
  election_log log;
  etcd_elector b(options_for("b", cluster.endpoints()));
  b.start(logged(log, "b"));
  REQUIRE(eventually([&] { return a.led_at() > instant(); }));
  a.suspend();
  const auto elected = log.wait(what::elected, 1);
  REQUIRE(elected);
  a.resume();
  CHECK(a.next() == '-');
  CHECK(b.current());
  CHECK(a.led_at() <= elected->at);
}

}  // namespace
