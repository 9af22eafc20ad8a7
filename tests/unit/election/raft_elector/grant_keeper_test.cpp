// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/raft_elector/grant_keeper.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "seawall/election/elector.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall;
using namespace std::chrono_literals;
using detail::core_facts;
using detail::grant_demand;
using detail::grant_keeper;
using detail::tenure;
using kind = grant_demand::kind;

/// A keeper, its tenure, and a user who takes in what he is told when the test says so.
struct setting {
  struct shared_clock {
    instant at = instant::from_ns(1'000'000'000);
    instant now() const { return at; }
  };

  std::shared_ptr<shared_clock> clock = std::make_shared<shared_clock>();
  tenure grants{lease_clock(clock)};
  grant_keeper keeper{grants, 1s};
  std::vector<std::string> told;
  core_facts core{.term = 5};

  void pass(duration d) { clock->at = clock->at + d; }
  kind look() {
    core.now = clock->now();
    return keeper.look(core).what;
  }
  /// The core leads, with a lease of 300 ms from now.
  void lead() {
    core.leads = core.caught_up = true;
    core.lease = clock->now() + 300ms;
  }
  void tell() {
    const election_callbacks callbacks{
        .on_elected = [&](const leadership& l) { told.push_back("elected " + std::to_string(l.token())); },
        .on_lost = [&](std::string_view why) { told.push_back("lost: " + std::string(why)); },
        .on_leader_changed = {}};
    while (grants.deliver(callbacks)) {
    }
  }
};

}  // namespace

TEST_CASE("grant_keeper: a grant begins with the lease, is extended, and ends with the leadership") {
  setting s;
  CHECK(s.look() == kind::nothing);
  CHECK(s.keeper.wake_at() == instant::never());
  s.lead();
  CHECK(s.look() == kind::nothing);
  REQUIRE(s.grants.current());
  CHECK(s.grants.current()->token() == 5);
  CHECK(s.keeper.count() == 1);
  s.pass(200ms);
  s.lead();
  CHECK(s.look() == kind::nothing);
  CHECK(s.keeper.wake_at() == s.clock->now() + 300ms);
  s.pass(200ms);
  CHECK(s.grants.current());
  s.core.leads = false;
  s.core.lease = std::nullopt;
  s.core.term = 6;
  CHECK(s.look() == kind::nothing);
  CHECK_FALSE(s.grants.current());
  s.tell();
  CHECK(s.told.size() == 2);
  CHECK(s.keeper.count() == 1);
}

TEST_CASE("grant_keeper: no grant before everything that was committed has been applied") {
  setting s;
  s.lead();
  s.core.caught_up = false;
  s.look();
  CHECK_FALSE(s.grants.current());
  s.core.caught_up = true;
  s.look();
  CHECK(s.grants.current());
}

TEST_CASE("grant_keeper: a lease that has expired is not brought back by a later one, and the core lets go") {
  setting s;
  s.lead();
  s.look();
  s.pass(400ms);
  s.lead();
  CHECK(s.look() == kind::resign);
  CHECK_FALSE(s.grants.current());
  s.tell();
  // Not in the same term, whatever the core says.
  s.lead();
  CHECK(s.look() == kind::nothing);
  CHECK_FALSE(s.grants.current());
  s.core.term = 7;
  s.lead();
  s.look();
  CHECK(s.grants.current()->token() == 7);
}

TEST_CASE("grant_keeper: a core that has lost its lease alone makes the user lose his, and lets go") {
  setting s;
  s.lead();
  s.look();
  s.core.lease = std::nullopt;
  CHECK(s.look() == kind::resign);
  CHECK_FALSE(s.grants.current());
}

TEST_CASE("grant_keeper: who gives up has stopped, and been told so, before the core lets go") {
  for (const kind how : {kind::resign, kind::transfer}) {
    setting s;
    CHECK_FALSE(s.keeper.give_up({.what = how, .to = 3}, "resigned"));  // nothing to give up
    CHECK_FALSE(s.keeper.gives_up());
    s.lead();
    s.look();
    s.tell();
    const leadership held = *s.grants.current();
    CHECK(s.keeper.give_up({.what = how, .to = 3}, "resigned"));
    CHECK_FALSE(held.valid());
    CHECK(held.stop().stop_requested());
    for (int i = 0; i < 20; ++i) {  // for as long as it takes: the lease goes on meanwhile
      s.pass(200ms);
      s.lead();
      CHECK(s.look() == kind::nothing);
    }
    CHECK(s.keeper.gives_up());
    s.tell();
    CHECK(s.told.back() == "lost: resigned");
    CHECK(s.look() == how);
    CHECK_FALSE(s.keeper.gives_up());
    CHECK(s.look() == kind::nothing);  // once
  }
}

TEST_CASE(
    "grant_keeper: who gives up just before the lease expires does not let go before his loss was taken in") {
  setting s;
  s.lead();
  s.look();
  s.tell();
  s.keeper.give_up({.what = kind::resign}, "resigned");
  s.pass(400ms);
  CHECK(s.look() == kind::nothing);
  s.tell();
  CHECK(s.look() == kind::resign);
}

TEST_CASE("grant_keeper: a transfer that nobody has taken up ends in a resignation") {
  setting s;
  s.lead();
  s.look();
  s.tell();
  s.keeper.give_up({.what = kind::transfer, .to = 3}, "transferred");
  s.tell();
  CHECK(s.look() == kind::transfer);
  s.pass(900ms);
  s.lead();
  CHECK(s.look() == kind::nothing);
  CHECK(s.keeper.wake_at() == s.clock->now() + 100ms);
  s.pass(100ms);
  s.lead();
  CHECK(s.look() == kind::resign);
  CHECK(s.look() == kind::nothing);
}

TEST_CASE("grant_keeper: a user who does not take in his loss does not keep others from leading") {
  setting s;
  s.lead();
  s.look();
  s.tell();
  s.core = {.term = 6};
  s.look();  // lost; not told yet
  s.core.term = 8;
  s.lead();
  CHECK(s.look() == kind::nothing);
  CHECK_FALSE(s.grants.current());
  s.pass(1s);
  s.lead();
  CHECK(s.look() == kind::resign);
  s.tell();
  s.core.term = 10;
  s.lead();
  s.look();
  CHECK(s.grants.current());
}

TEST_CASE("grant_keeper: who has given up and does not lead any more is not made to let go later") {
  setting s;
  s.lead();
  s.look();
  s.keeper.give_up({.what = kind::resign}, "resigned");
  s.core = {.term = 6};
  CHECK(s.look() == kind::nothing);
  CHECK_FALSE(s.keeper.gives_up());
  s.tell();
  s.core.term = 7;
  s.lead();
  CHECK(s.look() == kind::nothing);
  CHECK(s.grants.current());
}

TEST_CASE("grant_keeper: who gives up again has his first way, and his loss is still taken in before") {
  setting s;
  s.lead();
  s.look();
  s.tell();
  CHECK(s.keeper.give_up({.what = kind::transfer, .to = 3}, "transferred"));
  CHECK_FALSE(s.keeper.give_up({.what = kind::resign}, "resigned"));
  CHECK(s.keeper.gives_up());
  CHECK(s.look() == kind::nothing);
  CHECK_FALSE(s.keeper.give_up({.what = kind::resign}, "resigned"));
  s.lead();
  CHECK(s.look() == kind::nothing);
  s.tell();
  CHECK(s.told.back() == "lost: transferred");
  CHECK(s.look() == kind::transfer);
}
