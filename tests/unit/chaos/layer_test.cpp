// SPDX-License-Identifier: Apache-2.0
// The layer: events, predicates, calls that go while they are held, drivers in which things overlap.
#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/any_pipeline.hpp"
#include "seawall/chaos.hpp"
#include "seawall/exec/async.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;
using namespace std::chrono_literals;

namespace {

constexpr instant t0 = instant::from_ns(1'000'000'000);

struct recorder final : listener {
  void on(const event::fault_injected& e) noexcept override {
    heard.push_back(std::string(e.name).append(": ").append(e.fault));
  }
  std::vector<std::string> heard;
};

chaos_options hanging() { return {.enabled = true, .faults = {{.kind = fault_kind::hang, .rate = 1}}}; }

}  // namespace

TEST_CASE("chaos: tells its own listener and that of the call of each fault, and of nothing else") {
  recorder own, of_call;
  chaos c({.name = "storm", .enabled = true, .script = "fail, ok after 1ms, wrong, ok", .events = &own});
  testing::virtual_clock clock;
  const auto p = compose(inject(c, 7));
  for (int i = 0; i < 5; ++i)
    testing::run(clock, p, call_options{.events = &of_call}, [] {
      return absl::StatusOr<int>(1);
    }).IgnoreError();
  CHECK(own.heard == std::vector<std::string>{"storm: failure", "storm: latency", "storm: result"});
  CHECK(of_call.heard == own.heard);
}

TEST_CASE("chaos: hits the calls that it is meant for: by key, by attribute") {
  chaos c({.enabled = true, .faults = {{.rate = 1}}, .applies_to = [](const call& one) {
             return one.key() == "eu-1" || one.attribute("tenant") == "acme";
           }});
  testing::virtual_clock clock;
  const auto p = compose(inject(c));
  const auto ok = [&](const call_options& o) {
    return testing::run(clock, p, o, [] { return absl::OkStatus(); }).ok();
  };
  const attribute acme[] = {{"tenant", "acme"}};
  CHECK(ok({}));
  CHECK(ok({.key = "us-1"}));
  CHECK_FALSE(ok({.key = "eu-1"}));
  CHECK_FALSE(ok({.attributes = acme}));
  CHECK(c.snapshot().calls == 2);
}

TEST_CASE("chaos: a held call that is given up, or whose frame dies, gives its place back") {
  chaos c(hanging());
  const auto p = compose(inject(c));
  {
    hand_driven_call one(p, t0), other(p, t0);
    CHECK_FALSE(one.start(t0));
    CHECK_FALSE(other.start(t0));
    CHECK(c.snapshot().active == 2);
    CHECK_FALSE(one.asks_for_attempt());
    one.cancel();
    CHECK(c.snapshot().active == 1);
    CHECK(one.frame.wake_at() == instant::never());
  }
  CHECK(c.snapshot().active == 0);
}

TEST_CASE("chaos: a held call is looked at again at its time, and not before") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::latency, .rate = 1, .delay = 10ms}}});
  const auto p = compose(inject(c));
  hand_driven_call one(p, t0);
  one.start(t0);
  CHECK(one.frame.wake_at() == t0 + duration(10ms));
  CHECK_FALSE(one.on_time(t0 + duration(9ms)));
  CHECK_FALSE(one.asks_for_attempt());
  CHECK_FALSE(one.on_time(t0 + duration(10ms)));
  CHECK(one.asks_for_attempt());
  CHECK(c.snapshot().active == 0);
  CHECK(one.finish(t0 + duration(11ms), verdict::ok()).v.success);
}

TEST_CASE("chaos: a call whose result is being made up is held until it has it, or is given up") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::result, .rate = 1}}});
  const auto p = compose(inject(c, 7));
  hand_driven_call one(p, t0), other(p, t0);
  one.start(t0);
  other.start(t0);
  CHECK(c.snapshot().active == 2);
  CHECK(one.finish(t0, verdict::ok()).v.success);
  CHECK(c.snapshot().active == 1);
  other.cancel();
  CHECK(c.snapshot().active == 0);
}

TEST_CASE("chaos: a caller that goes while it is held is told so at once") {
  chaos c(hanging());
  testing::virtual_clock clock;
  std::stop_source stop;
  clock.at(clock.now() + duration(5ms), [&] { stop.request_stop(); });
  const absl::Status s = testing::run(clock, compose(inject(c)), call_options{.stop = stop.get_token()},
                                      [] { return absl::OkStatus(); });
  CHECK(s.code() == absl::StatusCode::kCancelled);
  CHECK(clock.elapsed() == duration(5ms));
  CHECK(c.snapshot().active == 0);
}

TEST_CASE("chaos: switched off, calls go the short way; switched on, at once the long one") {
  chaos c({.faults = {{.rate = 1}}});
  testing::virtual_clock clock;
  const any_pipeline<absl::StatusOr<int>> dynamic = compose(retry({.max_attempts = 1}), inject(c, 7));
  const auto run = [&] {
    return testing::run(clock, dynamic, idempotent([] { return absl::StatusOr<int>(1); })).ok();
  };
  CHECK(run());
  c.enable();
  CHECK_FALSE(run());
  c.disable();
  CHECK(run());
}

TEST_CASE("chaos: asynchronous calls are held without a thread, and wrong answers need no attempt") {
  testing::virtual_scheduler loop;
  chaos c({.enabled = true, .script = "wrong after 20ms, ok after 10ms, ok"});
  const auto p = compose(inject(c, 7));
  std::vector<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    p.start(
        loop, [](attempt, completion<absl::StatusOr<int>> done) { done(1); },
        [&](const absl::StatusOr<int>& r) {
          seen.push_back(std::to_string(*r) + " at " + to_text(loop.now() - instant()));
        });
  }
  loop.run();
  CHECK(seen == std::vector<std::string>{"1 at 0s", "1 at 10ms", "7 at 20ms"});
}
