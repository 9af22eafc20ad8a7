// SPDX-License-Identifier: Apache-2.0
// The brownout by itself: when the dimmer moves, by what, and what it tells. That it keeps its set point is a matter for
// tests/property/brownout.cpp.
#include "seawall/brownout.hpp"

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "seawall/attempt_timeout.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "support/many_callers.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

struct transcript : listener {
  using listener::on;
  void on(const event::limit_changed& e) noexcept override {
    CHECK(e.policy == "brownout");
    CHECK(e.from != e.to);
    moved.push_back(e.to);
  }
  void on(const event::state_changed& e) noexcept override { whys.emplace_back(e.why); }
  std::vector<double> moved = {};
  std::vector<std::string> whys = {};
};

/// Periods of a second, in each of which so many requests take the same time.
class server {
 public:
  explicit server(brownout& b) : brownout_(b) {}
  void seconds(int n, duration took, int requests = 100) {
    for (int i = 0; i < n * requests; ++i) {
      now_ = now_ + duration(1s) / requests;
      brownout_.observe(took, now_);
    }
  }

 private:
  brownout& brownout_;
  instant now_;
};

}  // namespace

TEST_CASE(
    "brownout: while latencies are below the set point all optional content is served, without a draw") {
  brownout b({.set_point = 100ms});
  server s(b);
  s.seconds(30, 20ms);
  CHECK(b.dimmer() == 1);
  random_source draws(1), untouched(1);
  for (int i = 0; i < 100; ++i) CHECK(b.serve_optional(draws));
  CHECK(draws.next() == untouched.next());
}

TEST_CASE(
    "brownout: above the set point the dimmer goes down, to its least, and comes back; nothing winds up") {
  brownout b({.set_point = 100ms, .dimmer_min = 0.2});
  server s(b);
  s.seconds(5, 20ms);
  s.seconds(3, 300ms);
  CHECK(b.dimmer() < 1);
  s.seconds(600, 300ms);
  CHECK(b.dimmer() == 0.2);
  // Ten minutes at the stop, and still it moves with the first period that is better.
  s.seconds(2, 30ms);
  CHECK(b.dimmer() > 0.2);
  s.seconds(60, 30ms);
  CHECK(b.dimmer() == 1);
}

TEST_CASE("brownout: the share that is served is the dimmer") {
  brownout b({.set_point = 100ms, .dimmer_min = 0.3});
  server s(b);
  s.seconds(600, 1s);
  REQUIRE(b.dimmer() == 0.3);
  random_source draws(7);
  int served = 0;
  for (int i = 0; i < 100'000; ++i) served += b.serve_optional(draws);
  CHECK(served == doctest::Approx(30'000).epsilon(0.03));
}

TEST_CASE("brownout: a period with too few requests goes on, and a pause moves nothing") {
  brownout b({.set_point = 100ms, .min_samples = 50});
  server s(b);
  s.seconds(2, 300ms, 100);
  s.seconds(1, 300ms, 10);
  const auto periods = b.snapshot().periods;
  s.seconds(3, 300ms, 10);
  CHECK(b.snapshot().periods == periods);
  s.seconds(2, 300ms, 10);
  CHECK(b.snapshot().periods == periods + 1);
  b.observe(300ms, instant() + 24h);
  CHECK(b.snapshot().periods == periods + 1);
}

TEST_CASE("brownout: the percentile is that of the period, to a part of a bin") {
  brownout b({.set_point = 100ms, .percentile = 0.9});
  instant now;
  b.observe(1ms, now);  // begins the first period
  for (int i = 1; i <= 10'000; ++i) b.observe(duration(1ms) * i / 50, now + duration(100us) * i);
  b.observe(1ms, now + 1s + 1ns);
  CHECK(b.snapshot().latency.seconds() == doctest::Approx(0.180).epsilon(0.01));
}

TEST_CASE("brownout: drives a ladder, with a gap between down and up, and its events say why") {
  transcript t;
  degradation ladder({.hold = 5s, .events = &t});
  brownout b({.name = "brownout", .set_point = 100ms});
  CHECK_FALSE(b.drive(ladder, {.level = 2, .below = 0.1, .above = 0.9}));
  server s(b);
  s.seconds(5, 20ms);
  CHECK(ladder.level() == 0);
  s.seconds(100, 400ms);
  CHECK(ladder.level() == 2);
  CHECK(b.snapshot().drives_ladder);
  CHECK(t.whys.back() == "brownout: little optional content is left");
  while (b.dimmer() < 0.85) s.seconds(1, 20ms);
  CHECK(b.snapshot().drives_ladder);
  s.seconds(10, 20ms);
  CHECK_FALSE(b.snapshot().drives_ladder);
  CHECK(ladder.level(instant() + 1h) == 0);
}

TEST_CASE("brownout never: the ladder is left with an earlier wish, told after a later one") {
  // What another thread does while this one is on its way to the ladder.
  struct meanwhile : listener {
    using listener::on;
    void on(const event::limit_changed& e) noexcept override {
      if (e.to > 0.1 || met) return;
      met = true;
      requests->seconds(100, 20ms);
    }
    server* requests = nullptr;
    bool met = false;
  } events;
  degradation ladder({.hold = 0s});
  brownout b({.set_point = 100ms, .events = &events});
  CHECK_FALSE(b.drive(ladder));
  server s(b);
  events.requests = &s;
  while (!events.met) s.seconds(1, 400ms);
  CHECK(b.dimmer() == 1);
  CHECK_FALSE(b.snapshot().drives_ladder);
  CHECK(ladder.level() == 0);
}

TEST_CASE("brownout: a ladder without room, or without that level, is refused") {
  degradation full({.max_signals = 1});
  const auto taken = full.signal("other");
  brownout b;
  CHECK(b.drive(full)->field == "max_signals");
  degradation two({.levels = {{"on"}, {"off"}}});
  CHECK(b.drive(two, {.level = 2})->text("brownout") == "brownout: level is 2; must be at most 1");
  CHECK(b.drive(two, {.below = 0.5, .above = 0.5})->field == "above");
  CHECK(b.drive(two, {.below = -0.1})->field == "below");
  CHECK(two.snapshot().signals.empty());
}

TEST_CASE("brownout: every move is told, with no lock held") {
  transcript t;
  brownout b({.set_point = 100ms, .events = &t});
  server s(b);
  s.seconds(5, 20ms);
  CHECK(t.moved.empty());
  s.seconds(10, 300ms);
  REQUIRE_FALSE(t.moved.empty());
  CHECK(t.moved.back() == b.dimmer());
}

TEST_CASE("brownout: new options keep the dimmer, and raise it to a higher least one") {
  brownout b({.set_point = 100ms});
  server s(b);
  s.seconds(20, 300ms);
  const double before = b.dimmer();
  REQUIRE(before < 0.9);
  CHECK_FALSE(b.reconfigure({.set_point = 400ms}));
  CHECK(b.dimmer() == before);
  CHECK_FALSE(b.reconfigure({.set_point = 400ms, .dimmer_min = 0.95}));
  CHECK(b.dimmer() == 0.95);
  CHECK(b.reconfigure({.set_point = 0ms})->field == "set_point");
}

TEST_CASE("brownout: its layers measure what a request takes, and leave out what is optional") {
  testing::virtual_clock clock;
  brownout b({.set_point = 100ms});
  const auto optional = compose(fallback(absl::StatusOr<int>(0)), degrade(b));
  const auto request = compose(measure(b));
  int with = 0, without = 0;
  for (int i = 0; i < 4000; ++i) {
    clock.advance(10ms);
    (void)testing::run(clock, request, [&](const attempt& a) -> absl::Status {
      clock.advance(300ms);
      const auto part = optional.run(a, []() -> absl::StatusOr<int> { return 1; });
      ++(*part == 1 ? with : without);
      return absl::OkStatus();
    });
  }
  CHECK(b.snapshot().latency.seconds() == doctest::Approx(0.3).epsilon(0.04));
  CHECK(b.dimmer() < 0.1);
  CHECK(with > 10);
  CHECK(without > 1000);
}

TEST_CASE("brownout: what was turned away is no measurement, what ran out of time is") {
  testing::virtual_clock clock;
  brownout b({.set_point = 100ms});
  degradation ladder;
  CHECK_FALSE(ladder.set_read_only("", clock.now()));
  const auto refused = compose(measure(b), require_writable(ladder));
  for (int i = 0; i < 1000; ++i) {
    clock.advance(10ms);
    (void)testing::run(clock, refused, [] { return absl::OkStatus(); });
  }
  CHECK(b.snapshot().periods == 0);
  seawall_test::many_callers late(compose(measure(b), attempt_timeout({.after = 300ms})));
  for (int i = 0; i < 100; ++i) {
    late.call();
    late.pass(300ms);
  }
  CHECK(b.snapshot().latency.seconds() == doctest::Approx(0.3).epsilon(0.04));
}

TEST_CASE("brownout: a call is drawn for once, whatever a retry outside does") {
  testing::virtual_clock clock;
  brownout b({.set_point = 100ms, .dimmer_min = 0.5});
  server s(b);
  s.seconds(600, 1s);
  REQUIRE(b.dimmer() == 0.5);
  const auto p = compose(retry({.max_attempts = 20, .backoff = {.initial = 1ms, .max = 1ms}}), degrade(b));
  int in = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    random_source draws(seed);
    int attempts = 0;
    (void)testing::run(clock, p, {.random = &draws}, idempotent([&] {
                         return ++attempts < 20 ? absl::UnavailableError("") : absl::OkStatus();
                       }));
    CHECK((attempts == 0 || attempts == 20));
    in += attempts != 0;
  }
  CHECK(in > 10);
  CHECK(in < 30);
}
