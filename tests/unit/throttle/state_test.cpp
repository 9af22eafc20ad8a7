// SPDX-License-Identifier: Apache-2.0
// Events, reconfiguring, one for each key.
#include <memory>
#include <string>
#include <vector>

#include "seawall/keyed.hpp"
#include "support/hand_driven_throttle.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

struct recorder final : listener {
  void on(const event::state_changed& e) noexcept override {
    heard.push_back(
        std::string(e.policy).append(" ").append(e.name).append(e.key).append(": ").append(e.from));
    heard.back().append(" -> ").append(e.to).append(", ").append(e.why);
    if (calls_back != nullptr) calls_back->snapshot(e.at);
  }
  std::vector<std::string> heard;
  adaptive_throttle* calls_back = nullptr;
};

using words = std::vector<std::string>;

throttle_options heard_by(listener& l) {
  auto o = without_floor();
  o.events = &l;
  return o;
}

}  // namespace

TEST_CASE("throttle: tells when it begins and when it ceases to reject, once each, and may be called back") {
  recorder r;
  hand_driven_throttle t(heard_by(r));
  r.calls_back = &t.throttle;
  t.refusals(10);
  CHECK(r.heard.empty());  // nobody was rejected yet
  for (int i = 0; i < 5; ++i) t.admits(0.0, 0.01);
  CHECK(r.heard == words{"throttle subject: passing -> throttling, too few requests are accepted"});
  t.accepts(100);
  t.pass(9s);
  CHECK(t.admits());
  CHECK(r.heard.size() == 1);  // within the width of a bucket
  CHECK(t.seen().throttling);
  t.pass(1s);
  CHECK_FALSE(t.seen().throttling);
  CHECK(t.admits());
  CHECK(r.heard.size() == 2);
  CHECK(r.heard.back() == "throttle subject: throttling -> passing, no call rejected lately");
  t.pass(60s);
  t.admits();
  CHECK(r.heard.size() == 2);
  CHECK(t.seen().transitions == 2);
}

TEST_CASE("throttle: does not flap while it rejects now and then") {
  recorder r;
  hand_driven_throttle t(heard_by(r));
  t.accepts(1000);
  t.refusals(1001);
  for (int i = 0; i < 100; ++i) {
    t.refusals(1);
    t.admits(0.0, 1e-4);  // rejected
    t.accepts(2);
    t.admits(0.5, 1.0);
    t.pass(1s);
    if (i % 10 == 0) t.refusals(1);
  }
  CHECK(r.heard.size() == 1);
}

TEST_CASE("throttle: reconfiguring keeps the window, and is in force with the next call") {
  hand_driven_throttle t;
  t.accepts(10);
  t.refusals(15);
  auto o = without_floor();
  o.multiplier = 4;
  CHECK_FALSE(t.admits(0.0, 0.01));
  REQUIRE_FALSE(t.throttle.reconfigure(o));
  CHECK(t.admits(0.0, 0.01));
  CHECK(t.seen().requests == 26);
  REQUIRE_FALSE(t.throttle.reconfigure(without_floor()));
  CHECK_FALSE(t.admits(0.0, 0.01));
}

TEST_CASE("throttle: a window made shorter forgets at once what is older") {
  hand_driven_throttle t;
  t.accepts(1000);
  t.pass(60s);
  t.refusals(400);
  CHECK(t.admits(0.0, 0.01));
  auto o = without_floor();
  o.window = 12s;
  REQUIRE_FALSE(t.throttle.reconfigure(o));
  CHECK_FALSE(t.admits(0.0, 0.01));
}

TEST_CASE("throttle: refuses bad options when reconfigured, and changes nothing") {
  hand_driven_throttle t;
  auto o = without_floor();
  o.multiplier = 0.5;
  const auto bad = t.throttle.reconfigure(o);
  REQUIRE(bad);
  CHECK(bad->field == "multiplier");
  o = without_floor();
  o.buckets = 3;
  const auto fixed = t.throttle.reconfigure(o);
  REQUIRE(fixed);
  CHECK(fixed->text("throttle") == "throttle: buckets is 3; cannot be changed: 12");
  t.accepts(1);
  t.refusals(1);
  CHECK(t.admits(0.0, 0.01));
}

TEST_CASE("throttle: a permit survives reconfiguring and moving the throttle") {
  adaptive_throttle t(without_floor());
  const instant now = instant::from_ns(1);
  auto p = t.try_acquire(now);
  REQUIRE_FALSE(t.reconfigure(without_floor()));
  adaptive_throttle moved = std::move(t);
  p.accepted(now);
  CHECK(moved.snapshot(now).accepts == 1);
}

TEST_CASE(
    "throttle: one key that is refused does not throttle the others, and a clean one may be forgotten") {
  keyed<adaptive_throttle> shards(without_floor(), {.max_keys = 2});
  const instant now = instant::from_ns(1);
  for (int i = 0; i < 100; ++i) shards.get("dead", now)->machine().settle(over_quota(), now);
  CHECK(shards.get("dead", now)->snapshot(now).rejection_probability > 0.98);
  CHECK(shards.get("well", now)->snapshot(now).rejection_probability == 0);
  CHECK(shards.get("third", now)->snapshot(now).requests == 0);
  CHECK(shards.size() == 2);
  CHECK(shards.get("dead", now)->snapshot(now).requests == 100);  // had something to lose
}
