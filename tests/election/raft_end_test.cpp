// SPDX-License-Identifier: Apache-2.0
// The end of a replica, whatever it is at.
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "election/moody_files.hpp"
#include "election/raft_cluster.hpp"
#include "seawall/election/raft_elector.hpp"
#include "seawall/election/replicated_map.hpp"
#include <doctest/doctest.h>

namespace {

using namespace raft_test;
using namespace seawall;
using node = raft_cluster::node;

TEST_CASE("raft_elector: replicas that have never reached each other end") {
  raft_cluster c(3);
  for (node n = 1; n <= 3; ++n) c.network().cut_off(n);
  c.start_all();
  const auto asked = c[1].put("k", "v", steady_clock::now() + 700ms);
  CHECK(asked.status().code() == absl::StatusCode::kDeadlineExceeded);
  for (node n = 1; n <= 3; ++n) CHECK_FALSE(c[n].current());
  for (node n = 1; n <= 3; ++n) c.stop(n);
}

TEST_CASE("raft_elector: whoever hears of the end may ask for anything, and is refused at once") {
  std::array<std::atomic<raft_elector*>, 4> ending{};
  std::atomic<int> lost{0}, told{0};
  const auto ask = [&](node of) {
    raft_elector* const e = ending[of];
    if (e == nullptr) return;
    e->resign();
    e->transfer_to("a");
    CHECK_FALSE(e->put("k", "w", instant::never()).ok());
    CHECK_FALSE(e->get("k", instant::never()).ok());
    CHECK(e->get("k", instant::never(), map_consistency::local).ok());
    CHECK_FALSE(e->change_members({.voters = {1, 2, 3}, .learners = {}}, instant::never()).ok());
    (void)e->snapshot();
    ++told;
  };
  raft_cluster c(3);
  for (node n = 1; n <= 3; ++n) {
    c.start(n, {.on_elected = {},
                .on_lost = [&, n](std::string_view) { ask(n), ++lost; },
                .on_leader_changed = [&, n](const auto&) { ask(n); }});
  }
  const node l = c.leader();
  for (node n = 1; n <= 3; ++n) {
    if (n != l) c.network().cut_off(n);
  }
  // Under way until the end: then the thread for answers asks, as the one for callbacks does.
  for (int i = 0; i < 3; ++i)
    c[l].async_put("k", "v", instant::never(), [&](const absl::StatusOr<map_answer>& a) {
      CHECK(a.status().code() == absl::StatusCode::kUnavailable);
      ask(l);
    });
  ending[l] = &c[l];
  c.stop(l);
  CHECK(lost >= 1);
  CHECK(told >= 3);
}

TEST_CASE("raft_elector: who works until he is asked to stop is waited for, and told of his loss once") {
  struct user {
    std::atomic<int> elected{0}, lost{0};
    std::atomic<bool> working{false};
  };
  std::array<user, 4> users;
  raft_cluster c(3);
  for (node n = 1; n <= 3; ++n) {
    user& u = users[n];
    c.start(n, {.on_elected =
                    [&u](const leadership& l) {
                      u.working = true;
                      ++u.elected;
                      while (!l.stop().stop_requested()) std::this_thread::sleep_for(1ms);
                      u.working = false;
                    },
                .on_lost =
                    [&u](std::string_view) {
                      CHECK_FALSE(u.working);
                      ++u.lost;
                    },
                .on_leader_changed = {}});
  }
  for (int round = 0; round < 2; ++round) {
    const node l = c.leader();
    if (round == 1) {  // twice, and a third time by the end
      c[l].resign();
      c[l].resign();
    }
    c.stop(l);
    CHECK(users[l].elected > 0);
    CHECK(users[l].elected == users[l].lost);
    c.leader();
    c.start(l);
  }
}

TEST_CASE("raft_elector: a disk that hangs holds up the end, but nobody who waits") {
  moody_files files;
  std::atomic<int> elected{0}, lost{0}, told{0};
  raft_cluster c(3, [&](raft_elector_options& o) {
    o.raft.disk_limit = 300ms;
    if (o.self == 1) o.log.files = &files;
  });
  for (node n = 1; n <= 3; ++n) {
    c.start(n, {.on_elected = [&, n](const leadership&) { elected += n == 1; },
                .on_lost = [&, n](std::string_view) { lost += n == 1; },
                .on_leader_changed = {}});
  }
  c.lead(1);
  files.stall();
  for (node n = 2; n <= 3; ++n) c.network().cut_off(n);
  for (int i = 0; i < 5; ++i)
    c[1].async_put("k", "v", instant::never(), [&](const absl::StatusOr<map_answer>&) { ++told; });
  std::thread end([&] { c.stop(1); });
  CHECK(eventually([&] { return told == 5; }));
  CHECK(eventually([&] { return elected > 0 && lost == elected; }));
  files.go_on();
  end.join();
}

}  // namespace
