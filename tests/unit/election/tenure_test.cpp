// SPDX-License-Identifier: Apache-2.0
#include "seawall/election/tenure.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/election/elector.hpp"
#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace seawall;
using namespace std::chrono_literals;
using seawall::detail::tenure;

struct hand_clock {
  instant at = instant::from_ns(1'000'000'000);
  instant now() const noexcept { return at; }
};

/// A tenure, its clock, and what its user was told.
struct fixture {
  std::shared_ptr<hand_clock> clock = std::make_shared<hand_clock>();
  tenure t{lease_clock(clock)};
  std::vector<std::string> told;
  election_callbacks callbacks{
      .on_elected = [this](const leadership& l) { told.push_back("elected " + std::to_string(l.token())); },
      .on_lost = [this](std::string_view why) { told.push_back("lost " + std::string(why)); },
      .on_leader_changed =
          [this](std::optional<std::string> l) { told.push_back("leader " + l.value_or("-")); }};

  instant in(duration d) const { return clock->at + d; }
  void pass(duration d) { clock->at = clock->at + d; }
  void deliver_all() {
    while (t.deliver(callbacks)) {
    }
  }
};

using list = std::vector<std::string>;

TEST_CASE("lease_end: takes the drift of both clocks off, and nothing where there is none") {
  const instant sent = instant::from_ns(5'000'000'000);
  CHECK(lease_end(sent, 10s, 0) == sent + 10s);
  CHECK(lease_end(sent, 10s, 0.1) < sent + duration(8182ms));
  CHECK(lease_end(sent, 10s, 0.1) > sent + duration(8180ms));
}

TEST_CASE("leadership: valid until the instant, not at it, and with a margin so much shorter") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  const auto l = f.t.current();
  REQUIRE(l);
  CHECK(l->valid());
  CHECK(l->valid(2s));
  CHECK(!l->valid(3s));
  CHECK(l->valid());  // a margin that is not met ends nothing
  f.pass(3s);
  CHECK(!l->valid());
  CHECK(!f.t.current());
}

TEST_CASE("leadership: once it was seen expired, a renewal that comes later does not bring it back") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  const auto l = f.t.current();
  const instant sent = f.clock->at;
  f.pass(3s);
  CHECK(!l->valid());
  CHECK(!f.t.renew(sent, 10s, 0));
  CHECK(!l->valid());
  CHECK(!f.t.current());
}

TEST_CASE(
    "leadership: a renewal that is answered after the expiry does not count, though nobody looked meanwhile") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  const instant sent = f.clock->at;
  f.pass(4s);
  CHECK(!f.t.renew(sent, 10s, 0));
  CHECK(!f.t.current());
}

TEST_CASE("leadership: a renewal counts from when it was sent, and an older one does not shorten it") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  const instant first = f.clock->at;
  f.pass(1s);
  const instant second = f.clock->at;
  f.pass(1s);
  CHECK(f.t.renew(second, 3s, 0));
  CHECK(*f.t.until() == second + 3s);
  CHECK(f.t.renew(first, 3s, 0));
  CHECK(*f.t.until() == second + 3s);
}

TEST_CASE("leadership: outlives its elector, and the clock with it") {
  std::optional<leadership> l;
  {
    fixture f;
    REQUIRE(f.t.begin(1, f.in(3s)));
    l = f.t.current();
  }
  CHECK(l->valid());
}

TEST_CASE("tenure: a grant that is over before it begins is none") {
  fixture f;
  CHECK(!f.t.begin(1, f.clock->at));
  f.deliver_all();
  CHECK(f.told.empty());
  CHECK(f.t.settled());
}

TEST_CASE("tenure: the end stops the work and ends the validity before anybody is told of it") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  const auto l = f.t.current();
  bool was_valid = true;
  std::stop_callback stopped(l->stop(), [&] { was_valid = l->valid(); });
  CHECK(f.t.end("resigned"));
  CHECK(!was_valid);
  CHECK(l->stop().stop_requested());
  CHECK(f.told.empty());
}

TEST_CASE("tenure: one loss for each election, whoever ends it how often") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  f.pass(3s);
  CHECK(f.t.expire("expired"));
  CHECK(!f.t.expire("expired again"));
  CHECK(!f.t.end("resigned"));
  f.deliver_all();
  CHECK(f.told == list{"elected 1", "lost expired"});
}

TEST_CASE("tenure: no loss without an election") {
  fixture f;
  CHECK(!f.t.end("resigned"));
  CHECK(!f.t.expire("expired"));
  f.deliver_all();
  CHECK(f.told.empty());
}

TEST_CASE("tenure: what has not run out does not expire") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  CHECK(!f.t.expire("expired"));
  CHECK(f.t.current());
}

TEST_CASE("tenure: no new grant before the loss of the last one was taken in") {
  fixture f;
  REQUIRE(f.t.begin(1, f.in(3s)));
  CHECK(!f.t.begin(2, f.in(3s)));
  f.t.end("resigned");
  CHECK(!f.t.settled());
  CHECK(!f.t.begin(2, f.in(3s)));
  CHECK(f.t.deliver(f.callbacks));  // the election
  CHECK(!f.t.begin(2, f.in(3s)));
  f.callbacks.on_lost = [&](std::string_view) {
    CHECK(!f.t.settled());
    CHECK(!f.t.begin(2, f.in(3s)));
    f.told.push_back("lost");
  };
  CHECK(f.t.deliver(f.callbacks));
  CHECK(f.t.settled());
  CHECK(f.t.begin(2, f.in(3s)));
  f.deliver_all();
  CHECK(f.told == list{"elected 1", "lost", "elected 2"});
}

TEST_CASE("tenure: a token that is not newer than all before is refused") {
  fixture f;
  CHECK(!f.t.begin(0, f.in(3s)));
  REQUIRE(f.t.begin(7, f.in(3s)));
  f.t.end("resigned");
  f.deliver_all();
  CHECK(!f.t.begin(7, f.in(3s)));
  CHECK(!f.t.begin(6, f.in(3s)));
  CHECK(f.t.begin(8, f.in(3s)));
}

TEST_CASE("tenure: only the last change of leader is told, and none that came to nothing") {
  fixture f;
  f.t.note_leader("a");
  f.t.note_leader("b");
  f.deliver_all();
  f.t.note_leader("c");
  f.t.note_leader("b");
  f.deliver_all();
  f.t.note_leader(std::nullopt);
  f.deliver_all();
  CHECK(f.told == list{"leader b", "leader -"});
}

TEST_CASE("tenure: elections and losses are told before who leads now") {
  fixture f;
  f.t.note_leader("me");
  REQUIRE(f.t.begin(1, f.in(3s)));
  f.t.end("lost");
  f.deliver_all();
  CHECK(f.told == list{"elected 1", "lost lost", "leader me"});
}

TEST_CASE("tenure: a callback may end the grant, and is told of the loss afterwards") {
  fixture f;
  f.callbacks.on_elected = [&](const leadership& l) {
    CHECK(f.t.end("resigned"));
    CHECK(!l.valid());
    f.told.push_back("elected");
  };
  REQUIRE(f.t.begin(1, f.in(3s)));
  f.deliver_all();
  CHECK(f.told == list{"elected", "lost resigned"});
  CHECK(f.t.settled());
}

TEST_CASE("tenure: functions that are not there are not called, and nothing waits for them") {
  fixture f;
  f.callbacks = {};
  REQUIRE(f.t.begin(1, f.in(3s)));
  f.t.end("resigned");
  f.t.note_leader("a");
  f.deliver_all();
  CHECK(f.t.settled());
  CHECK(!f.t.has_news());
}

TEST_CASE("boot_clock: goes on") {
  const instant before = boot_clock::now();
  CHECK(before > instant());
  CHECK(boot_clock::now() >= before);
}

}  // namespace
