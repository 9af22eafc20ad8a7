// SPDX-License-Identifier: Apache-2.0
// Feature gates by themselves: levels, rollouts, kill switches.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/degradation.hpp"
#include "seawall/event.hpp"
#include "seawall/feature_gate.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

constexpr instant now;

struct transcript : listener {
  using listener::on;
  void on(const event::state_changed& e) noexcept override {
    lines.push_back(std::string(e.policy) + " " + std::string(e.name) + ": " + std::string(e.from) + " -> " +
                    std::string(e.to) + " (" + std::string(e.why) + ")");
  }
  std::vector<std::string> lines = {};
};

int served(feature_gate& g, int keys) {
  int n = 0;
  for (int i = 0; i < keys; ++i) n += g.allows("user-" + std::to_string(i), now);
  return n;
}

}  // namespace

// Computed with a program of its own. They never change: who is in a rollout stays in.
TEST_CASE("rollout: the place of a key is the same in every build, process and release") {
  static_assert(core::rollout_place("", "") == 0x4f2db50f124040cdU);
  static_assert(core::rollout_place("search", "user-1") == 0xbfa268103464f84fU);
  static_assert(core::rollout_place("search", "user-2") == 0x8dd7664aa3556547U);
  static_assert(core::rollout_place("search", "\xc3\xa9") == 0x51181647569a5155U);
}

// By the places above, whose upper halves are 74.9% and 55.4% of the way.
TEST_CASE("rollout: the upper half of the place is compared with the percentage, in every build alike") {
  const auto in = [](double percent, std::string_view key) {
    return feature_gate({.name = "search", .percent = percent}).allows(key, now);
  };
  CHECK_FALSE(in(74.8, "user-1"));
  CHECK(in(74.9, "user-1"));
  CHECK_FALSE(in(55.4, "user-2"));
  CHECK(in(55.5, "user-2"));
}

TEST_CASE("rollout: the name of the feature and the key are kept apart") {
  CHECK(core::rollout_place("ab", "c") != core::rollout_place("a", "bc"));
  CHECK(core::rollout_place("a", "") != core::rollout_place("", "a"));
}

TEST_CASE("feature gate: served at its level and better ones") {
  degradation d;
  feature_gate best(d, {.name = "recommendations"}), longer(d, {.name = "reviews", .up_to_level = 1});
  CHECK(best.allows("k", now));
  CHECK_FALSE(d.set(1, "", now));
  CHECK_FALSE(best.allows("k", now));
  CHECK(longer.allows("k", now));
  CHECK_FALSE(d.set(2, "", now));
  CHECK_FALSE(longer.allows("k", now));
  d.release(now);
  CHECK(best.allows("k", now));
}

TEST_CASE("feature gate: sees a step upwards that has become due") {
  degradation d({.hold = 10s});
  feature_gate g(d, {});
  auto s = d.signal("s");
  s.want(1, "", now);
  s.want(0, "", now);
  CHECK_FALSE(g.allows("k", now + 10s - 1ns));
  CHECK(g.allows("k", now + 10s));
}

TEST_CASE("feature gate: none at 0 percent, all at 100, without asking the key") {
  feature_gate none({.percent = 0}), all({.percent = 100}), few({.percent = 1e-9});
  CHECK(served(none, 1000) == 0);
  CHECK(served(all, 1000) == 1000);
  CHECK(served(few, 1000) == 0);
  random_source draws(1);
  CHECK_FALSE(none.allows(draws, now));
  CHECK(all.allows(draws, now));
}

TEST_CASE("feature gate: without keys, the share is drawn") {
  feature_gate g({.name = "f", .percent = 25});
  random_source draws(1);
  int n = 0;
  for (int i = 0; i < 100'000; ++i) n += g.allows(draws, now);
  CHECK(n == doctest::Approx(25'000).epsilon(0.03));
}

TEST_CASE("feature gate: the kill switch ends it at any level and share, and reviving gives back what was") {
  feature_gate g({.name = "search", .percent = 40});
  const int before = served(g, 1000);
  g.kill("wrong prices", now);
  CHECK(served(g, 1000) == 0);
  CHECK_FALSE(g.set_percent(100, "", now));  // changes what it will be
  CHECK(served(g, 1000) == 0);
  CHECK_FALSE(g.set_percent(40, "", now));
  g.revive("fixed", now);
  CHECK(served(g, 1000) == before);
}

TEST_CASE("feature gate: each change is told with its reason, and what changes nothing is not") {
  transcript t;
  degradation d;
  feature_gate g(d, {.name = "search", .percent = 5, .events = &t});
  CHECK_FALSE(g.set_percent(25, "looks good", now));
  CHECK_FALSE(g.set_percent(25, "again", now));
  g.kill("wrong prices", now);
  g.kill("really", now);
  g.revive("fixed", now);
  CHECK_FALSE(g.reconfigure({.name = "search", .up_to_level = 1, .events = &t}, now));
  CHECK(t.lines ==
        std::vector<std::string>{
            "feature_gate search: 5% up to 'full' -> 25% up to 'full' (looks good)",
            "feature_gate search: 25% up to 'full' -> killed (wrong prices)",
            "feature_gate search: killed -> 25% up to 'full' (fixed)",
            "feature_gate search: 25% up to 'full' -> 100% up to 'no recommendations' (reconfigured)"});
  CHECK(g.snapshot(now).why == "reconfigured");
}

TEST_CASE("feature gate never: a change is told without a reason") {
  transcript t;
  feature_gate g({.name = "search", .events = &t});
  g.kill();
  CHECK(t.lines == std::vector<std::string>{"feature_gate search: 100% -> killed (by hand)"});
  CHECK(g.snapshot(now).why == "by hand");
}

TEST_CASE("feature gate: a percentage that is none is refused, and nothing changes") {
  feature_gate g({.percent = 5});
  for (const double bad : {-0.1, 100.1})
    CHECK(g.set_percent(bad, "", now)->range == "must be at least 0 and at most 100");
  CHECK(g.snapshot(now).percent == 5);
  CHECK(g.reconfigure({.up_to_level = 1}, now)->text("feature_gate") ==
        "feature_gate: up_to_level is 1; must be at most 0, the worst level");
}
