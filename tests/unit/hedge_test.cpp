// SPDX-License-Identifier: Apache-2.0
#include "seawall/hedge.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/attempt_timeout.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "support/frames.hpp"
#include "support/overlap.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using namespace seawall;
using seawall_test::overlapping_call;
using seawall_test::scripted_end;

constexpr auto ok = verdict::ok();
constexpr auto transient = verdict::transient();

// 10 ms, and up to so many attempts.
auto plain(std::uint32_t max_attempts = 2) {
  return compose(hedge({.name = "h", .max_attempts = max_attempts, .after = 10ms}));
}

template <class Pipeline>
std::string story_of(const Pipeline& p, std::vector<scripted_end> script) {
  overlapping_call call(p, std::move(script));
  call.run();
  return call.story();
}

TEST_CASE("hedge: a call that is answered before the delay has one attempt") {
  overlapping_call call(plain(), {{9ms, ok}});
  CHECK(call.run().v.success);
  CHECK(call.story() == "start 1 at 0s");
  CHECK(call.elapsed() == duration(9ms));
}

TEST_CASE("hedge: the second attempt starts after the delay, wins, and cancels the first at once") {
  overlapping_call call(plain(), {{300ms, ok}, {5ms, ok}});
  const resolution r = call.run();
  CHECK(r.how == resolution::kind::attempt);
  CHECK(r.v.success);
  CHECK(call.winner() == 2);
  CHECK(call.story() == "start 1 at 0s, start 2 at 10ms, cancel 1 at 15ms");
  CHECK(call.elapsed() == duration(15ms));
}

TEST_CASE("hedge: the first attempt may still win, and cancels the second") {
  overlapping_call call(plain(), {{14ms, ok}, {5ms, ok}});
  call.run();
  CHECK(call.winner() == 1);
  CHECK(call.story() == "start 1 at 0s, start 2 at 10ms, cancel 2 at 14ms");
}

TEST_CASE("hedge: up to four attempts, a delay apart") {
  CHECK(
      story_of(plain(4), {{1s, ok}, {1s, ok}, {1s, ok}, {1ms, ok}}) ==
      "start 1 at 0s, start 2 at 10ms, start 3 at 20ms, start 4 at 30ms, cancel 1 at 31ms, cancel 2 at 31ms, "
      "cancel 3 at 31ms");
  CHECK(story_of(plain(1), {{1s, ok}}) == "start 1 at 0s");
}

TEST_CASE("hedge: woken late, the next delay counts from then") {
  overlapping_call call(plain(3), {});
  call.run_until(instant() + 9ms);
  CHECK(call.frame().wake_at() == instant() + 10ms);
  call.poke();
  CHECK(call.attempts() == 1);  // a poke that comes early changes nothing
  call.run_until(instant() + 10ms);
  overlapping_call late(plain(3), {});
  late.run_until(instant() + 1ns);
  const resolution r = late.frame().on_time(late.context(), instant() + 14ms);
  CHECK_FALSE(r);
  CHECK(late.context().pending_launches() == 1);
  CHECK(late.frame().wake_at() == instant() + 24ms);
}

TEST_CASE("hedge: never lets a fast transient error win over an attempt that may still succeed") {
  overlapping_call call(plain(), {{20ms, ok}, {1ms, transient}});
  CHECK(call.run().v.success);
  CHECK(call.winner() == 1);
  CHECK(call.elapsed() == duration(20ms));
  overlapping_call other(plain(), {{11ms, transient}, {20ms, ok}});
  CHECK(other.run().v.success);
  CHECK(other.winner() == 2);
  CHECK(other.elapsed() == duration(30ms));
}

TEST_CASE("hedge: when one attempt fails the next starts at once, and the delay counts from there") {
  CHECK(story_of(plain(3), {{3ms, transient}, {1s, ok}, {1ms, ok}}) ==
        "start 1 at 0s, start 2 at 3ms, start 3 at 13ms, cancel 2 at 14ms");
  CHECK(story_of(plain(3), {{1s, ok}, {2ms, transient}, {1ms, ok}}) ==
        "start 1 at 0s, start 2 at 10ms, start 3 at 12ms, cancel 1 at 13ms");
}

TEST_CASE("hedge: when all attempts fail the result is the failure that arrived last") {
  overlapping_call call(plain(), {{30ms, transient}, {5ms, verdict::not_executed()}});
  const resolution r = call.run();
  CHECK(call.winner() == 1);
  CHECK(r.v == transient);
  CHECK(call.elapsed() == duration(30ms));
  CHECK(call.under_way() == 0);
}

TEST_CASE("hedge: a permanent answer of either attempt ends the call at once") {
  for (const verdict v : {verdict::refused(), verdict::permanent(), verdict::cancelled()}) {
    overlapping_call first(plain(), {{5ms, v}});
    CHECK(first.run().v == v);
    CHECK(first.story() == "start 1 at 0s");
    overlapping_call second(plain(), {{1s, ok}, {5ms, v}});
    CHECK(second.run().v == v);
    CHECK(second.winner() == 2);
    CHECK(second.story() == "start 1 at 0s, start 2 at 10ms, cancel 1 at 15ms");
  }
}

TEST_CASE("hedge: never hedges non-idempotent work, and repeats only what was not executed") {
  for (const idempotency declared : {idempotency::non_idempotent, idempotency::undeclared}) {
    overlapping_call slow(plain(4), {{10s, ok}}, nullptr, declared);
    CHECK(slow.run().v.success);
    CHECK(slow.story() == "start 1 at 0s");
    overlapping_call failed(plain(4), {{5ms, transient}}, nullptr, declared);
    CHECK_FALSE(failed.run().v.success);
    CHECK(failed.story() == "start 1 at 0s");
    overlapping_call refused(plain(4), {{5ms, verdict::not_executed()}, {1s, ok}}, nullptr, declared);
    CHECK(refused.run().v.success);
    CHECK(refused.story() == "start 1 at 0s, start 2 at 5ms");
  }
}

TEST_CASE("hedge: never detaches a loser: whatever ends the call, each attempt has ended or been cancelled") {
  overlapping_call won(plain(4), {{1s, ok}, {1s, ok}, {5ms, ok}});
  won.run();
  CHECK(won.under_way() == 0);
  const auto bounded = compose(deadline({.after = 35ms}), hedge({.max_attempts = 4, .after = 10ms}));
  overlapping_call late(bounded, {});
  CHECK(late.run().how == resolution::kind::rejection);
  CHECK(late.attempts() == 4);
  CHECK(late.under_way() == 0);
  overlapping_call left(plain(4), {});
  left.run_until(instant() + 25ms);
  left.cancel();
  CHECK(
      left.story() ==
      "start 1 at 0s, start 2 at 10ms, start 3 at 20ms, cancel 1 at 25ms, cancel 2 at 25ms, cancel 3 at 25ms");
  CHECK(left.frame().wake_at() == instant::never());
}

TEST_CASE("hedge: an attempt that arrives after the end of the call is no concern of its frame any more") {
  overlapping_call call(plain(), {{300ms, ok}, {5ms, ok}});
  call.run();
  CHECK_FALSE(call.frame().on_done(call.context(), instant() + 300ms, 0, ok));
  CHECK_FALSE(call.frame().on_time(call.context(), instant() + 300ms));
  call.frame().cancel(call.context());
  CHECK(call.under_way() == 0);
}

TEST_CASE("hedge: nothing starts once the caller has gone, nor without time before the deadline") {
  std::stop_source caller;
  const call_options gone{.stop = caller.get_token()};
  overlapping_call call(plain(3), {{15ms, transient}}, &gone);
  call.run_until(instant() + 5ms);
  caller.request_stop();
  CHECK_FALSE(call.run().v.success);
  CHECK(call.story() == "start 1 at 0s");

  struct row {
    duration deadline, needs;
    std::uint32_t attempts;
  };
  for (const row& t :
       {row{10ms, 0s, 1}, row{10ms + 1ns, 0s, 2}, row{15ms, 5ms, 2}, row{15ms - 1ns, 5ms, 1}}) {
    const call_options options{.deadline = instant() + t.deadline};
    const auto p = compose(hedge({.after = 10ms, .attempt_needs = t.needs}));
    overlapping_call slow(p, {{1s, ok}}, &options);
    slow.run();
    CHECK(slow.attempts() == t.attempts);
  }
}

TEST_CASE(
    "hedge: what asks for a pause is neither hedged nor followed, but an attempt under way may still win") {
  const verdict pushed = transient.with_retry_after(1s);
  overlapping_call alone(plain(4), {{5ms, pushed}});
  CHECK(alone.run().v == pushed);
  CHECK(alone.story() == "start 1 at 0s");
  overlapping_call other(plain(4), {{50ms, ok}, {5ms, pushed}});
  CHECK(other.run().v.success);
  CHECK(other.story() == "start 1 at 0s, start 2 at 10ms");
}

// With what stands inside and outside.

TEST_CASE("hedge: a rejection on the spot is certain: no other attempt runs into it") {
  circuit_breaker open({.name = "b"});
  open.isolate(instant());
  const auto p = compose(hedge({.max_attempts = 4, .after = 10ms}), breaker(open));
  overlapping_call call(p, {});
  CHECK(call.run().how == resolution::kind::rejection);
  CHECK(call.attempts() == 0);
  CHECK(call.elapsed() == duration());

  const auto full = compose(hedge({.max_attempts = 4, .after = 10ms}), seawall_test::refusing_layer());
  int rejections = 0;
  listening count([&](const event::rejected&) { ++rejections; });
  const call_options options{.events = &count};
  overlapping_call refused(full, {}, &options);
  CHECK(refused.run().how == resolution::kind::rejection);
  CHECK(rejections == 1);
}

TEST_CASE("hedge: a hedge that is rejected does not harm the first attempt") {
  circuit_breaker b({.consecutive_failures = 1, .open_for = 1min});
  const auto p = compose(hedge({.max_attempts = 2, .after = 10ms}), breaker(b));
  overlapping_call call(p, {{50ms, ok}});
  call.run_until(instant() + 5ms);
  b.force_open(instant() + 5ms);
  CHECK(call.run().v.success);
  CHECK(call.story() == "start 1 at 0s");
}

TEST_CASE(
    "hedge: an inner breaker learns from each attempt, and nothing from losers; an outer one hears of calls") {
  circuit_breaker inner, outer;
  const auto p = compose(breaker(outer), hedge({.max_attempts = 3, .after = 10ms}), breaker(inner));
  overlapping_call call(p, {{1s, ok}, {5ms, transient}, {5ms, ok}});
  CHECK(call.run().v.success);
  CHECK(inner.snapshot(instant() + 1s).counts.over_time == core::window_counts{2, 1, 0});
  CHECK(outer.snapshot(instant() + 1s).counts.over_time == core::window_counts{1, 0, 0});
}

TEST_CASE("hedge: an attempt_timeout inside bounds each attempt, and the next follows at once") {
  const auto p = compose(hedge({.max_attempts = 3, .after = 10ms}), attempt_timeout({.after = 25ms}));
  overlapping_call call(p, {});
  const resolution r = call.run();
  CHECK(r.how == resolution::kind::rejection);
  CHECK(
      call.story() ==
      "start 1 at 0s, start 2 at 10ms, start 3 at 20ms, cancel 1 at 25ms, cancel 2 at 35ms, cancel 3 at 45ms");
  CHECK(story_of(compose(hedge({.max_attempts = 2, .after = 10ms}), attempt_timeout({.after = 10ms})),
                 {{1s, ok}, {2ms, ok}}) == "start 1 at 0s, start 2 at 10ms, cancel 1 at 10ms");
}

TEST_CASE("hedge: a retry outside starts it again, with all its attempts") {
  const auto p = compose(retry({.max_attempts = 2, .backoff = {.initial = 100ms, .jitter = jitter::none}}),
                         hedge({.max_attempts = 2, .after = 10ms}));
  overlapping_call call(p, {{5ms, transient}, {5ms, transient}, {1s, ok}, {5ms, ok}});
  CHECK(call.run().v.success);
  CHECK(call.story() ==
        "start 1 at 0s, start 2 at 5ms, start 3 at 110ms, start 4 at 120ms, cancel 3 at 125ms");
}

TEST_CASE("hedge: retries inside are an affair of each attempt") {
  const auto p = compose(hedge({.max_attempts = 2, .after = 10ms}),
                         retry({.max_attempts = 2, .backoff = {.initial = 20ms, .jitter = jitter::none}}));
  overlapping_call call(p, {{5ms, transient}, {100ms, ok}, {3ms, ok}});
  CHECK(call.run().v.success);
  CHECK(call.story() == "start 1 at 0s, start 2 at 10ms, start 3 at 25ms, cancel 2 at 28ms");
}

// The budget.

TEST_CASE("hedge: no attempt beyond the budget, and the first is free") {
  retry_budget budget({.ratio = 0.5, .floor_per_second = 0});
  const auto p = compose(hedge({.max_attempts = 4, .after = 10ms, .budget = &budget}));
  CHECK(story_of(p, {{50ms, ok}}) == "start 1 at 0s");
  CHECK(story_of(p, {{50ms, ok}, {50ms, ok}}) == "start 1 at 0s, start 2 at 10ms, cancel 2 at 50ms");
  CHECK(story_of(p, {{5ms, transient}}) == "start 1 at 0s");
  CHECK(budget.snapshot(instant()).calls == 3);
  CHECK(budget.snapshot(instant()).repetitions == 1);
}

TEST_CASE("hedge: a call counts once in a budget that a retry shares, whichever stands outside") {
  retry_budget budget({.ratio = 5}), other({.ratio = 5});
  const retry_options again{.max_attempts = 3, .backoff = {.initial = 1ms}, .budget = &budget};
  const hedge_options twice{.after = 10ms, .budget = &budget};
  const hedge_options elsewhere{.after = 10ms, .budget = &other};
  const std::vector<scripted_end> failing(6, scripted_end{1ms, transient});
  overlapping_call(compose(retry(again), hedge(twice)), failing).run();
  CHECK(budget.snapshot(instant()).calls == 1);
  overlapping_call(compose(hedge(twice), retry(again)), failing).run();
  CHECK(budget.snapshot(instant()).calls == 2);
  overlapping_call(compose(retry(again), hedge(elsewhere)), failing).run();
  CHECK(budget.snapshot(instant()).calls == 3);
  CHECK(other.snapshot(instant()).calls == 1);
}

// What it can be told.

TEST_CASE("hedge: the reissue probability decides with the call's own random source") {
  int hedged = 0;
  random_source random(1), same(1);
  const call_options options{.random = &random};
  const auto p = compose(hedge({.after = 10ms, .reissue = 0.25, .reached_max = 1}));
  for (int i = 0; i < 1000; ++i) {
    overlapping_call call(p, {{20ms, ok}, {5ms, ok}}, &options);
    call.run();
    CHECK((call.attempts() == 2) == (same.unit() < 0.25));
    hedged += call.attempts() == 2;
  }
  CHECK(hedged > 200);
  CHECK(hedged < 300);
}

TEST_CASE("hedge: off at the load threshold, for both reasons, and on again below") {
  double load = 0.79;
  const auto p = compose(hedge({.after = 10ms, .load = [&load] { return load; }, .load_max = 0.8}));
  CHECK(story_of(p, {{50ms, ok}, {50ms, ok}}) == "start 1 at 0s, start 2 at 10ms, cancel 2 at 50ms");
  load = 0.8;
  CHECK(story_of(p, {{50ms, ok}}) == "start 1 at 0s");
  CHECK(story_of(p, {{5ms, transient}}) == "start 1 at 0s");
  load = 0;
  CHECK(story_of(p, {{5ms, transient}, {5ms, ok}}) == "start 1 at 0s, start 2 at 5ms");
}

TEST_CASE("hedge: reconfigured, new options hold for the calls that begin from then on") {
  const hedge_layer h = hedge({.after = 10ms});
  const auto p = compose(h);
  overlapping_call before(p, {});
  before.run_until(instant() + 1ms);
  REQUIRE_FALSE(h.reconfigure({.max_attempts = 3, .after = 20ms}));
  before.run_until(instant() + 100ms);
  CHECK(before.story() == "start 1 at 0s, start 2 at 10ms");
  CHECK(story_of(p, {{50ms, ok}, {50ms, ok}}) ==
        "start 1 at 0s, start 2 at 20ms, start 3 at 40ms, cancel 2 at 50ms, cancel 3 at 50ms");
  CHECK(h.reconfigure({.window = {.slices = 11}})->text("hedge") ==
        "hedge: window.slices is 11; cannot be changed: 10");
  CHECK(h.reconfigure({.max_attempts = 5}));
  CHECK(h.snapshot(instant()).delay == duration(20ms));
}

TEST_CASE("hedge: tells of each further attempt and of each one withheld, and counts them") {
  std::vector<std::string> heard;
  const auto add = [&](std::string_view name, std::string text) {
    heard.push_back(std::string(name) + " " + text);
  };
  struct : listener {
    using listener::on;
    void on(const event::hedged& e) noexcept override {
      tell(e.name, std::to_string(e.attempt) + " " + to_text(e.after) +
                       (e.why == hedge_reason::delay ? " delay" : " failure"));
    }
    void on(const event::hedge_withheld& e) noexcept override {
      tell(e.name, "withheld " + std::to_string(static_cast<int>(e.by)));
    }
    std::function<void(std::string_view, std::string)> tell;
  } events;
  events.tell = add;
  const call_options options{.events = &events};
  retry_budget budget({.ratio = 2, .floor_per_second = 0});
  const hedge_layer h = hedge({.name = "h", .max_attempts = 4, .after = 10ms, .budget = &budget});
  overlapping_call call(compose(h), {{1s, ok}, {3ms, transient}, {1s, ok}}, &options);
  call.run();
  CHECK(heard == std::vector<std::string>{"h 2 10ms delay", "h 3 13ms failure", "h withheld 5"});
  const core::hedge_totals t = h.snapshot(instant() + 1s).totals;
  CHECK(t.hedges == 1);
  CHECK(t.after_failure == 1);
  CHECK(t.wins == 0);
  CHECK(t.withheld_budget == 1);
}

TEST_CASE("hedge: the frame of the usual pipeline stays small") {
  using frame = hedge_layer::frame<attempt_timeout_layer::frame<leaf_frame>>;
  CHECK(sizeof(frame) <= 256);
}

}  // namespace
