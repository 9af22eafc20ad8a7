// SPDX-License-Identifier: Apache-2.0
// The layer: what a rejection says, what it costs those outside, one admission for each key, watermarks.
#include <string>
#include <utility>
#include <vector>

#include "seawall/admission.hpp"
#include "seawall/any_pipeline.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/format.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "support/hand_driven_admission.hpp"
#include "unit/support.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace seawall_test;

namespace {

const auto ok = [] { return absl::OkStatus(); };

}  // namespace

TEST_CASE("admission: a rejection names policy, instance and reason, and is silent about the dependency") {
  hand_driven_admission a(room_for_one());
  for (int i = 0; i < 4; ++i) a.comes();
  hand_driven_call call(a.pipe, a.now);
  CHECK(call.start(a.now).v == verdict{.health = health::silent, .again = again::always});
  // A call that cannot wait.
  admission b({.name = "requests", .max_concurrent = 1});
  const auto pipe = compose(admit(b));
  absl::Status inner;
  CHECK(pipe.run([&] {
              auto p = b.try_acquire();
              CHECK_FALSE(p);
              return absl::OkStatus();
            })
            .ok());
}

TEST_CASE("admission: what is rejected in a line says so in words, or by code alone") {
  admission_options o = {.name = "requests", .max_concurrent = 1, .max_wait = 1ms};
  for (const auto detail : {rejection_detail::full, rejection_detail::code_only}) {
    o.rejections = detail;
    admission a(o);
    auto held = a.try_acquire();
    const absl::Status s = compose(admit(a)).run(ok);
    CHECK(s.code() == absl::StatusCode::kResourceExhausted);
    if (detail == rejection_detail::code_only) {
      CHECK(s.message().empty());
      continue;
    }
    CHECK(contains(s, "admission 'requests'"));
    const auto why = rejection_of(s);
    REQUIRE(why);
    CHECK(why->policy == "admission");
    CHECK(why->why == reason::wait_timed_out);
  }
}

TEST_CASE("admission: a breaker outside does not count rejections") {
  admission a({.max_concurrent = 1, .max_wait = 1ms});
  auto held = a.try_acquire();
  circuit_breaker outside({.over_time = {.failure_rate = 0}, .consecutive_failures = 1});
  CHECK_FALSE(compose(breaker(outside), admit(a)).run(ok).ok());
  CHECK(outside.snapshot().state == breaker_state::closed);
}

TEST_CASE("admission: each key has a limit and a line of its own") {
  keyed<admission> each({.name = "requests", .max_concurrent = 1, .max_wait = 1ms});
  const auto pipe = compose(admit(each));
  absl::Status same, other;
  CHECK(pipe.run({.key = "x"},
                 [&] {
                   same = pipe.run({.key = "x"}, ok);
                   other = pipe.run({.key = "y"}, ok);
                   return absl::OkStatus();
                 })
            .ok());
  CHECK(contains(same, "x"));
  CHECK_FALSE(same.ok());
  CHECK(other.ok());
  CHECK(each.get("x")->idle(instant()));
  CHECK(each.size() == 2);
}

TEST_CASE("admission: from a configuration, its own or one that is shared") {
  admission shared({.name = "shared"});
  auto built = any_pipeline<absl::Status>::from({.layers = {admission_options{.name = "own"}, &shared}});
  REQUIRE(built.ok());
  int inside = 0;
  CHECK(built
            ->run(non_idempotent([&] {
              inside = static_cast<int>(shared.snapshot().in_flight);
              return absl::OkStatus();
            }))
            .ok());
  CHECK(inside == 1);
  CHECK_FALSE(any_pipeline<absl::Status>::from({.layers = {admission_options{.max_concurrent = 0}}}).ok());
}

TEST_CASE("admission: each passing of a watermark is told once, and not under a lock") {
  std::vector<std::string> told;
  admission* subject = nullptr;
  listening hears([&](const event::state_changed& e) {
    told.push_back(std::string(e.to) + " (" + std::string(e.why) + ")");
    CHECK(e.policy == "admission");
    CHECK(subject->snapshot().name == "subject");  // whoever hears it may ask
  });
  auto o = room_for_one();
  o.max_waiting = 4;
  o.high_watermark = 0.75;
  o.low_watermark = 0.25;
  o.events = &hears;
  hand_driven_admission a(o);
  subject = &a.admission;
  for (int i = 0; i < 3; ++i) a.comes();
  CHECK(told.empty());
  a.comes();
  CHECK(told == std::vector<std::string>{"high (high watermark)"});
  CHECK(a.seen().level == queue_level::high);
  a.callers.front().finish();  // two wait: between the marks
  a.let_all_look();
  CHECK(told.size() == 1);
  SUBCASE("by one that ends") { (++a.callers.begin())->finish(); }
  SUBCASE("by one that goes") { a.callers.back().cancel(); }
  CHECK(told.back() == "low (low watermark)");
  CHECK(told.size() == 2);
}

TEST_CASE("admission: a snapshot in words") {
  hand_driven_admission a(room_for_one());
  a.comes();
  a.comes();
  a.pass(2s);
  CHECK(a.seen().oldest == 2s);
  CHECK(
      fmt::format("{}", a.seen()) ==
      "admission 'subject' 1 of 1 in flight, 1 waiting, level low (0 admitted late, 0 timed out, 0 expired, 0 "
      "evicted, 0 dropped by CoDel, 0 refused)");
}

TEST_CASE("admission: options for those who wait: a smaller service time keeps them, a larger one does not") {
  auto o = room_for_one();
  hand_driven_admission a(o);
  a.comes();
  auto& second = a.comes({.deadline = a.now + 1s});
  o.service_time = 400ms;
  CHECK_FALSE(a.admission.reconfigure(o, a.now));
  CHECK(second.poked());
  second.look();
  CHECK(second.waits());
  CHECK(second.frame->wake_at() == a.now + 600ms);
  o.max_concurrent = 2;
  CHECK_FALSE(a.admission.reconfigure(o, a.now));
  CHECK(second.poked());
  second.look();
  CHECK(second.runs());
}
