// SPDX-License-Identifier: Apache-2.0
// What listeners hear: one event for each transition, with no lock held.
#include <atomic>
#include <string>
#include <vector>

#include "support/hand_driven_breaker.hpp"
#include "support/threads.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

struct recorder final : listener {
  void on(const event::state_changed& e) noexcept override {
    heard.push_back(std::string(e.from).append(" -> ").append(e.to).append(": ").append(e.why));
    at.push_back(e.at);
  }
  std::vector<std::string> heard;
  std::vector<instant> at;
};

using words = std::vector<std::string>;

circuit_breaker_options heard_by(listener& l) {
  auto options = trips_at_two();
  options.events = &l;
  return options;
}

}  // namespace

TEST_CASE("circuit_breaker: tells of each transition once, with its cause") {
  recorder r;
  hand_driven b(heard_by(r));
  b.failures(2);
  b.pass(10s);
  b.failures(1);
  b.pass(10s);
  b.successes(1);
  CHECK(r.heard == words{"closed -> open: consecutive failures", "open -> half_open: open time over",
                         "half_open -> open: probe failed", "open -> half_open: open time over",
                         "half_open -> closed: probes succeeded"});
  CHECK(b.seen().transitions == 5);
}

TEST_CASE("circuit_breaker: tells which rule tripped it") {
  struct rule {
    const char* name;
    circuit_breaker_options options;
  };
  const circuit_breaker_options::time_window off{.failure_rate = 0};
  const rule rules[] = {
      {"failure rate", {.over_time = {.failure_rate = 0.5, .minimum_calls = 1}}},
      {"failure rate", {.over_time = off, .last_calls = {.calls = 1}}},
      {"slow-call rate", {.over_time = {.failure_rate = 0, .minimum_calls = 1}, .slow = {.limit = 1s}}},
      {"failures in period", {.over_time = off, .failures_in_period = {.failures = 1, .within = 1s}}},
      {"consecutive failures", {.over_time = off, .consecutive_failures = 1}},
      {"rule of the user", {.over_time = off, .trip_when = [](const breaker_counts&) { return true; }}}};
  for (const auto& [name, rule_options] : rules) {
    recorder r;
    auto options = rule_options;
    options.events = &r;
    hand_driven b(options);
    auto p = b.acquire();
    b.pass(1s);
    p.failure(b.now);
    CHECK(r.heard == words{std::string("closed -> open: ") + name});
  }
}

TEST_CASE("circuit_breaker: tells of what is done by hand") {
  recorder r;
  hand_driven b(heard_by(r));
  b.breaker.isolate(b.now);
  b.breaker.disable(b.now);
  b.breaker.metrics_only(b.now);
  b.breaker.force_open(b.now);
  b.breaker.reset(b.now);
  b.breaker.restore({.state = breaker_state::isolated}, b.now);
  CHECK(r.heard == words{"closed -> isolated: by hand", "isolated -> disabled: by hand",
                         "disabled -> metrics_only: by hand", "metrics_only -> open: by hand",
                         "open -> closed: by hand", "closed -> isolated: restored"});
}

TEST_CASE("circuit_breaker: a reset of a closed breaker, or a control twice, is no transition") {
  recorder r;
  hand_driven b(heard_by(r));
  b.breaker.reset(b.now);
  b.breaker.isolate(b.now);
  b.breaker.isolate(b.now);
  CHECK(r.heard.size() == 1);
}

TEST_CASE("circuit_breaker: two transitions at one instant are told in order") {
  recorder r;
  hand_driven b(heard_by(r));
  b.failures(2);
  b.pass(10s);
  b.open();  // the open time is over, and it opens again
  CHECK(r.heard == words{"closed -> open: consecutive failures", "open -> half_open: open time over",
                         "half_open -> open: by hand"});
}

TEST_CASE("circuit_breaker: an event carries the instant, the policy, the name and the key") {
  bool told = false;
  listening l([&](const event::state_changed& e) {
    told = true;
    CHECK(e.policy == "circuit_breaker");
    CHECK(e.name == "subject");
    CHECK(e.key == "eu-1");
    CHECK(e.at == instant() + 5s);
  });
  circuit_breaker b(heard_by(l), 1, "eu-1");
  b.force_open(instant() + 5s);
  CHECK(told);
}

TEST_CASE("circuit_breaker: looking tells nobody; a tick does") {
  recorder r;
  hand_driven b(heard_by(r));
  b.failures(2);
  b.pass(10s);
  CHECK(b.state() == breaker_state::half_open);
  CHECK(r.heard.size() == 1);
  b.breaker.tick(b.now);
  CHECK(r.heard.size() == 2);
  CHECK(r.at.back() == b.now);
}

TEST_CASE("circuit_breaker: a listener may call back") {
  circuit_breaker* subject = nullptr;
  int opened = 0;
  listening l([&](const event::state_changed& e) {
    CHECK(subject->snapshot(e.at).name == "subject");
    if (e.to != "open") return;
    ++opened;
    subject->reset(e.at);
  });
  hand_driven b(heard_by(l));
  subject = &b.breaker;
  b.failures(4);
  CHECK(opened == 2);
  CHECK(b.state() == breaker_state::closed);
}

TEST_CASE("circuit_breaker: a new listener hears what comes after the reconfiguration") {
  recorder first;
  recorder second;
  hand_driven b(heard_by(first));
  b.open();
  REQUIRE_FALSE(b.breaker.reconfigure(heard_by(second)));
  b.breaker.reset(b.now);
  CHECK(first.heard.size() == 1);
  CHECK(second.heard.size() == 1);
}

TEST_CASE("circuit_breaker: threads that trip it together trip it once") {
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> trips{0};
    listening l([&](const event::state_changed&) { ++trips; });
    hand_driven b(heard_by(l));
    auto permits = b.acquire_many(8);
    on_threads(8, [&](int t) { permits[static_cast<std::size_t>(t)].failure(b.now); });
    REQUIRE(trips == 1);
    REQUIRE(b.seen().trips == 1);
  }
}
