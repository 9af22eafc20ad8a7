// SPDX-License-Identifier: Apache-2.0
// The ladder by itself: what signals want, what is set by hand, when it goes up again, and what it tells.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/degradation.hpp"
#include "seawall/event.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

instant at(duration d) { return instant() + d; }

/// "12s full -> static (health: down)".
class transcript : public listener {
 public:
  using listener::on;
  void on(const event::state_changed& e) noexcept override {
    lines.push_back(to_text(e.at - instant()) + " " + std::string(e.from) + " -> " + std::string(e.to) +
                    " (" + std::string(e.why) + ")");
    policies.emplace_back(e.policy);
    if (read_back != nullptr) seen_level = read_back->level();
  }
  std::vector<std::string> lines = {};
  std::vector<std::string> policies = {};
  const degradation* read_back = nullptr;
  std::uint32_t seen_level = 99;
};
using lines = std::vector<std::string>;

degradation_options told(listener& events) { return {.name = "shop", .hold = 10s, .events = &events}; }

}  // namespace

TEST_CASE("degradation: a ladder begins at its best level, and says what its levels are called") {
  degradation d;
  CHECK(d.level() == 0);
  CHECK(d.levels() == 4);
  CHECK(d.level_name(at(0s)) == "full");
  CHECK(d.level_named("read-only") == 2);
  CHECK_FALSE(d.level_named("read only"));
  CHECK(d.writable(at(0s)));
}

TEST_CASE(
    "degradation: downwards at once, upwards a step at a time, after the hold, at the instant it is due") {
  transcript t;
  degradation d(told(t));
  auto health = d.signal("health");
  health.want(3, "down", at(1s));
  CHECK(d.level() == 3);
  health.want(0, "up", at(5s));
  CHECK(d.level(at(15s - 1ns)) == 3);
  CHECK(d.level(at(15s)) == 2);
  CHECK(d.level(at(25s - 1ns)) == 2);
  // Nobody asks for a long time: the steps were made when they were due.
  CHECK(d.level(at(100s)) == 0);
  CHECK(t.lines == lines{"1s full -> static (health: down)", "15s static -> read-only (recovering)",
                         "25s read-only -> no recommendations (recovering)",
                         "35s no recommendations -> full (recovering)"});
  CHECK(t.policies.front() == "degradation");
}

TEST_CASE("degradation: a wish that comes back within the hold begins it anew: no flapping") {
  degradation d({.hold = 10s});
  auto s = d.signal("flapping");
  for (int i = 0; i < 20; ++i) {
    s.want(1, "", at(9s * i));
    s.want(0, "", at(9s * i + 1s));
    CHECK(d.level(at(9s * i + 8s)) == 1);
  }
  CHECK(d.level(at(9s * 19 + 11s)) == 0);
}

TEST_CASE("degradation: a milder wish does not begin the hold anew, a wish for the level itself does") {
  degradation d({.hold = 10s});
  auto s = d.signal("s");
  s.want(3, "", at(0s));
  s.want(0, "", at(1s));
  s.want(1, "", at(9s));  // still better than 3
  CHECK(d.level(at(11s)) == 2);
  CHECK(d.level(at(21s)) == 1);
  CHECK(d.level(at(1h)) == 1);
  s.want(2, "", at(2h));
  s.want(0, "", at(2h + 1s));
  s.want(2, "", at(2h + 10s));
  s.want(0, "", at(2h + 11s));
  CHECK(d.level(at(2h + 20s)) == 2);
  CHECK(d.level(at(2h + 21s)) == 1);
}

TEST_CASE("degradation: the worst wish of several wins, and a dropped handle takes its wish along") {
  degradation d({.hold = 10s});
  auto mild = d.signal("mild");
  std::optional<degradation_signal> bad = d.signal("bad");
  mild.want(1, "", at(0s));
  bad->want(2, "", at(0s));
  CHECK(d.level() == 2);
  bad.reset();
  CHECK(d.level() == 2);
  CHECK(d.level(at(5s)) == 2);  // it hears of it now
  CHECK(d.level(at(15s - 1ns)) == 2);
  CHECK(d.level(at(15s)) == 1);
  CHECK(d.snapshot(at(15s)).signals.size() == 1);
}

TEST_CASE("degradation never: a change is told without a reason") {
  transcript t;
  degradation d(told(t));
  auto nameless = d.signal("");
  nameless.want(1, "", at(0s));
  CHECK_FALSE(d.set(2, "", at(0s)));
  CHECK(t.lines ==
        lines{"0s full -> no recommendations (a signal)", "0s no recommendations -> read-only (by hand)"});
}

TEST_CASE("degradation: a moved signal is one signal, and one that was moved from wants nothing") {
  degradation d;
  auto a = d.signal("a");
  auto b = std::move(a);
  CHECK_FALSE(a);
  a.want(3, "", at(0s));
  CHECK(d.level() == 0);
  b.want(1, "", at(0s));
  CHECK(d.level() == 1);
  b = degradation_signal();
  CHECK(d.snapshot(at(1s)).signals.empty());
}

TEST_CASE("degradation: signals are bounded in number, and their places are used again") {
  degradation d({.max_signals = 2});
  auto a = d.signal("a"), b = d.signal("b"), c = d.signal("c");
  CHECK(a);
  CHECK(b);
  CHECK_FALSE(c);
  c.want(3, "", at(0s));
  CHECK(d.level() == 0);
  a.drop();
  CHECK(d.signal("again"));
}

TEST_CASE("degradation: a wish beyond the worst level is the worst level") {
  degradation d;
  auto s = d.signal("s");
  s.want(99, "", at(0s));
  CHECK(d.level() == 3);
}

TEST_CASE("degradation: what is set by hand holds at once, in both directions, whatever signals want") {
  transcript t;
  degradation d(told(t));
  auto s = d.signal("health");
  s.want(1, "slow", at(1s));
  CHECK_FALSE(d.set(0, "it is not", at(2s)));
  CHECK(d.level() == 0);
  s.want(3, "", at(3s));
  CHECK(d.level() == 0);
  CHECK_FALSE(d.set_read_only("migration", at(4s)));
  CHECK(d.level() == 2);
  CHECK_FALSE(d.writable(at(4s)));
  d.release(at(5s));
  CHECK(d.level() == 3);
  CHECK(t.lines == lines{"1s full -> no recommendations (health: slow)",
                         "2s no recommendations -> full (by hand: it is not)",
                         "4s full -> read-only (by hand: migration)", "5s read-only -> static (released)"});
}

TEST_CASE(
    "degradation: the hand does not disturb what signals do: released, it is where they would have it") {
  degradation d({.hold = 10s});
  auto s = d.signal("s");
  s.want(3, "", at(0s));
  s.want(0, "", at(1s));
  CHECK_FALSE(d.set(1, "", at(2s)));
  CHECK(d.level(at(20s)) == 1);
  d.release(at(22s));  // steps were due at 11 s and 21 s
  CHECK(d.level() == 1);
  CHECK(d.level(at(31s)) == 0);
}

TEST_CASE("degradation: signals move it between the bounds set by hand") {
  degradation d({.hold = 10s});
  auto s = d.signal("s");
  CHECK_FALSE(d.bound(1, 2, "", at(0s)));
  CHECK(d.level() == 1);
  s.want(3, "", at(1s));
  CHECK(d.level() == 2);
  s.want(0, "", at(2s));
  CHECK(d.level(at(12s)) == 2);  // automatic: 2
  CHECK(d.level(at(22s)) == 1);
  CHECK(d.level(at(32s)) == 1);
  const auto seen = d.snapshot(at(32s));
  CHECK(seen.automatic == 0);
  CHECK(seen.best == 1);
  CHECK(seen.worst == 2);
  CHECK(seen.by_hand);
}

TEST_CASE("degradation: bad levels by hand are refused, and change nothing") {
  degradation d;
  CHECK(d.set(4, "", at(0s))->text("degradation") == "degradation: worst is 4; must be at most 3");
  CHECK(d.bound(2, 1, "", at(0s))->text("degradation") == "degradation: best is 2; must be at most worst, 1");
  CHECK(d.level() == 0);
  CHECK_FALSE(d.snapshot(at(0s)).by_hand);
  degradation never({.levels = {{"on"}, {"off"}}});
  CHECK(never.set_read_only("", at(0s))->field == "levels");
  CHECK_FALSE(never.set(1, "", at(0s)));
  CHECK(never.writable(at(0s)));
}

TEST_CASE("degradation: no hold and large steps: straight back to what is wanted") {
  transcript t;
  degradation one_by_one({.hold = 0s, .events = &t}), at_once({.hold = 10s, .step = 16});
  auto a = one_by_one.signal("a"), b = at_once.signal("b");
  a.want(3, "", at(1s));
  a.want(1, "", at(2s));
  CHECK(one_by_one.level() == 1);
  CHECK(t.lines.size() == 3);
  b.want(3, "", at(1s));
  b.want(1, "", at(2s));
  CHECK(at_once.level(at(12s)) == 1);
}

TEST_CASE("degradation: time never runs backwards") {
  degradation d({.hold = 10s});
  auto s = d.signal("s");
  s.want(1, "", at(100s));
  s.want(0, "", at(50s));  // taken for 100 s
  CHECK(d.level(at(60s)) == 1);
  CHECK(d.level(at(110s)) == 0);
}

TEST_CASE("degradation: nothing is told that did not change") {
  transcript t;
  degradation d(told(t));
  auto s = d.signal("s");
  s.want(0, "fine", at(0s));
  s.want(1, "a", at(1s));
  s.want(1, "b", at(2s));
  CHECK_FALSE(d.set(1, "as it is", at(3s)));
  d.release(at(4s));
  CHECK(t.lines == lines{"1s full -> no recommendations (s: a)"});
}

TEST_CASE("degradation: listeners are called with no lock held, and see the new level") {
  transcript t;
  degradation d(told(t));
  t.read_back = &d;
  CHECK_FALSE(d.set(2, "", at(0s)));
  CHECK(t.seen_level == 2);
}

TEST_CASE("degradation: a snapshot is right at its instant, traffic or not, and says what comes next") {
  degradation d({.name = "shop", .hold = 10s});
  auto s = d.signal("brownout");
  s.want(2, "slow", at(1s));
  s.want(0, "", at(3s));
  auto seen = d.snapshot(at(4s));
  CHECK(seen.name == "shop");
  CHECK(seen.level == 2);
  CHECK(seen.level_name == "read-only");
  CHECK(seen.read_only);
  CHECK(seen.why == "brownout: slow");
  CHECK(seen.since == at(1s));
  CHECK(seen.next_step == at(13s));
  CHECK(seen.transitions == 1);
  CHECK_FALSE(seen.by_hand);
  REQUIRE(seen.signals.size() == 1);
  CHECK(seen.signals[0].name == "brownout");
  seen = d.snapshot(at(1h));
  CHECK(seen.level == 0);
  CHECK(seen.why == "recovering");
  CHECK(seen.since == at(23s));
  CHECK(seen.next_step == instant::never());
  CHECK(seen.transitions == 3);
}

TEST_CASE("degradation: new options keep the level and the wishes; a shorter hold may be over already") {
  transcript t;
  degradation d(told(t));
  auto s = d.signal("s");
  s.want(1, "", at(0s));
  s.want(0, "", at(1s));
  auto o = told(t);
  o.hold = 2s;
  CHECK_FALSE(d.reconfigure(o));
  CHECK(d.level() == 1);
  CHECK(d.level(at(5s)) == 0);
  CHECK(t.lines.back() == "3s no recommendations -> full (recovering)");

  o.max_signals = 3;
  CHECK(d.reconfigure(o)->text("degradation") == "degradation: max_signals is 3; cannot be changed: 16");
  o.max_signals = 16;
  o.levels = {{"full"}};
  CHECK(d.reconfigure(o)->text("degradation") == "degradation: levels is 1; entries: cannot be changed");
}
