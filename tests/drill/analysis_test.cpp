// SPDX-License-Identifier: Apache-2.0
#include "drill/analysis.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

#include "drill/rendering.hpp"
#include <doctest/doctest.h>

namespace drill {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

customer came(microseconds at, microseconds waited, outcome how, std::uint64_t order = 0) {
  return {.order = order, .came_at = at, .waited = waited, .how = how, .degraded = {}};
}

shop_sample sample(microseconds at, std::uint64_t payment_attempts, breaker_view breaker) {
  shop_sample s{.at = at, .stats = {}};
  s.stats.of[dependency::payment] = {payment_attempts, breaker};
  return s;
}

played_act played(trouble what, microseconds begin, microseconds end) {
  return {{.title = "act", .what = what, .victim = dependency::payment, .does = {}, .lasts = {}},
          {begin, end}};
}

/// Healthy for a second at 100 attempts per second, then a second in which payment is dead.
run_record one_outage() {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::killed, 1s, 2s)};
  r.shop = {sample(0s, 0, breaker_view::closed),          sample(500ms, 50, breaker_view::closed),
            sample(1s, 100, breaker_view::closed),        sample(1200ms, 118, breaker_view::open),
            sample(1600ms, 119, breaker_view::half_open), sample(1900ms, 121, breaker_view::open),
            sample(2100ms, 141, breaker_view::closed)};
  return r;
}

/// Healthy for a second, then two in which 100 customers and 300 browsers come in each. Workers' time is
/// spent at 6 s in a second.
run_record one_overload() {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::overload, 1s, 3s)};
  for (int i = 0; i < 200; ++i) r.customers.push_back(came(1s + i * 10ms, 30ms, outcome::full));
  for (int i = 0; i < 600; ++i) {
    r.browsers.push_back(came(1s + i * 3ms, 5ms, i % 3 == 0 ? outcome::not_sent : outcome::refused));
  }
  r.shop = {sample(1s, 0, breaker_view::closed), sample(3s, 0, breaker_view::closed)};
  r.shop.back().stats.rendering = 12s;
  return r;
}

}  // namespace

TEST_CASE("percentile: nearest rank") {
  CHECK(percentile({}, 0.5) == 0us);
  CHECK(percentile({7us}, 0.01) == 7us);
  CHECK(percentile({3us, 1us, 2us, 4us}, 0.5) == 2us);
  CHECK(percentile({3us, 1us, 2us, 4us}, 0.51) == 3us);
  CHECK(percentile({3us, 1us, 2us, 4us}, 1) == 4us);
  CHECK(percentile({3us, 1us, 2us, 4us}, 0) == 1us);
  std::vector<microseconds> hundred;
  for (int i = 1; i <= 100; ++i) hundred.emplace_back(i);
  CHECK(percentile(hundred, 0.99) == 99us);
}

TEST_CASE("figures: who came in a span, however late the answer") {
  run_record r;
  r.customers = {came(0s, 10ms, outcome::full), came(999ms, 1500ms, outcome::degraded),
                 came(1s, 10ms, outcome::full)};
  const figures f = figures_within(r, {0s, 1s});
  CHECK(f.offered == 2);
  CHECK(f.full == 1);
  CHECK(f.degraded == 1);
  CHECK(f.availability() == 1);
  CHECK(f.max == 1500ms);
}

TEST_CASE("figures: what ended in a span, for the live view") {
  run_record r;
  r.customers = {came(0s, 10ms, outcome::full), came(500ms, 1s, outcome::gave_up)};
  CHECK(figures_ended_within(r, {0s, 1s}).offered == 1);
  CHECK(figures_ended_within(r, {1s, 2s}).unanswered == 1);
}

TEST_CASE("figures: an error page is no quick answer, a request that was never sent is no answer") {
  run_record r;
  r.customers = {came(0s, 1ms, outcome::error), came(1ms, 2s, outcome::not_sent),
                 came(2ms, 2s, outcome::gave_up), came(3ms, 30ms, outcome::full)};
  const figures f = figures_within(r, {0s, 1s});
  CHECK(f.errors == 1);
  CHECK(f.unanswered == 2);
  CHECK(f.availability() == doctest::Approx(0.25));
  CHECK(f.p50 == 2s);
  CHECK(f.p99_of_all == 2s);
}

TEST_CASE("figures: a span without customers is not available") {
  const figures f = figures_within({}, {0s, 1s});
  CHECK(f.availability() == 0);
  CHECK_FALSE(f.has_latency());
}

TEST_CASE("figures: attempts per second are interpolated between samples") {
  const run_record r = one_outage();
  CHECK(figures_within(r, {0s, 1s}).attempts_per_s[dependency::payment] == doctest::Approx(100));
  CHECK(figures_within(r, {250ms, 750ms}).attempts_per_s[dependency::payment] == doctest::Approx(100));
}

TEST_CASE("figures: the steps over time cover the run, the last one takes the rest") {
  run_record r;
  r.acts = {played(trouble::none, 0s, 2300ms)};
  const auto steps = figures_over_time(r, 1s);
  REQUIRE(steps.size() == 2);
  CHECK(steps[0].when.end == 1s);
  CHECK(steps[1].when.end == 2300ms);
}

TEST_CASE("breaker bands: neighbouring samples of one state are one band") {
  const auto bands = breaker_bands(one_outage(), dependency::payment);
  REQUIRE(bands.size() == 4);
  CHECK(bands[0].state == breaker_view::closed);
  CHECK(bands[0].when.end == 1200ms);
  CHECK(bands[2].state == breaker_view::half_open);
  CHECK(bands[3].when.end == 2s);
}

TEST_CASE("isolation: counts from the first open sample to the end of the act, probes included") {
  const auto all = isolations(one_outage());
  REQUIRE(all.size() == 1);
  CHECK(all[0].breaker_opened);
  CHECK(all[0].healthy_per_s == doctest::Approx(100));
  CHECK(all[0].attempts == 3);
  CHECK(all[0].open.begin == 1200ms);
  CHECK(all[0].open.end == 1900ms);
  CHECK(all[0].reduction() == doctest::Approx(1 - 3 / 0.7 / 100));
}

TEST_CASE("isolation: a breaker that never opened reduced nothing") {
  run_record r = one_outage();
  for (shop_sample& s : r.shop) s.stats.of[dependency::payment].breaker = breaker_view::closed;
  const auto all = isolations(r);
  REQUIRE(all.size() == 1);
  CHECK_FALSE(all[0].breaker_opened);
  CHECK(all[0].reduction() == 0);
}

TEST_CASE("figures: who browses is counted apart from who checks out, the refused among the errors") {
  run_record r;
  r.customers = {came(0s, 30ms, outcome::full)};
  r.browsers = {came(0s, 80ms, outcome::full), came(0s, 2ms, outcome::refused), came(0s, 4ms, outcome::error),
                came(0s, 1s, outcome::gave_up), came(900ms, 200ms, outcome::refused)};
  CHECK(figures_within(r, {0s, 1s}).offered == 1);
  const figures f = browsing_within(r, {0s, 1s});
  CHECK(f.offered == 5);
  CHECK(f.full == 1);
  CHECK(f.errors == 3);
  CHECK(f.refused == 2);
  CHECK(f.unanswered == 1);
  CHECK(f.p50 == 80ms);  // of those who were answered or gave up
  CHECK(f.p99_of_failed == 1s);
  CHECK(browsing_ended_within(r, {0s, 1s}).refused == 1);
}

TEST_CASE("figures: whoever was served does not count as failed, however slowly it went") {
  run_record r;
  r.browsers = {came(0s, 900ms, outcome::degraded), came(0s, 3ms, outcome::refused)};
  CHECK(browsing_within(r, {0s, 1s}).p99_of_failed == 3ms);
}

TEST_CASE("overload: shares of the workers' time, asked for, spent, and spent for somebody") {
  const auto o = overload_of(one_overload());
  REQUIRE(o.has_value());
  CHECK(o->act == "act");
  CHECK(o->checkout.offered == 200);
  CHECK(o->browsing.offered == 600);
  // 200 pages of 10 ms and 400 of 80 ms were asked for in two seconds, and 200 could not be sent.
  CHECK(o->offered == doctest::Approx((200 * 0.010 + 400 * 0.080) / (render_workers * 2)));
  CHECK(o->rendered == doctest::Approx(6.0 / render_workers));
}

TEST_CASE("overload: served is the time within the act for pages that came while their visitors waited") {
  run_record r = one_overload();
  r.customers = {came(1500ms, 30ms, outcome::full), came(1500ms, 30ms, outcome::error)};
  r.browsers = {came(900ms, 120ms, outcome::full),     // 20 ms of it were rendered in the act
                came(2s, 900ms, outcome::full),        // all of it
                came(2900ms, 140ms, outcome::full),    // 40 ms of it
                came(3s, 500ms, outcome::full),        // after the act
                came(1500ms, 1s, outcome::gave_up),    // for nobody
                came(1500ms, 1ms, outcome::refused)};  // nothing
  CHECK(overload_of(r)->served == doctest::Approx((0.010 + 0.020 + 0.080 + 0.040) / (render_workers * 2)));
}

TEST_CASE("overload: an act that has only begun, and a run without one") {
  run_record r = one_overload();
  r.acts.back().when.end = r.acts.back().when.begin;
  CHECK(overload_of(r)->offered == 0);
  CHECK(overload_of(r)->served == 0);
  CHECK_FALSE(overload_of(one_outage()).has_value());
  CHECK(isolations(one_overload()).empty());
}

TEST_CASE("chaos inside: counted from the last sample before the act to the first one after it") {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::chaos, 1s, 2s)};
  r.customers = {came(500ms, 30ms, outcome::error), came(1500ms, 30ms, outcome::degraded)};
  const auto sampled = [](microseconds at, chaos_stats counts) {
    shop_sample s{.at = at, .stats = {}};
    s.stats.chaos = counts;
    return s;
  };
  r.shop = {sampled(900ms, {}), sampled(1s, {2, 1, 0, 0, 1}), sampled(1900ms, {9, 3, 2, 1, 1}),
            sampled(2s, {12, 4, 2, 1, 1})};
  const auto c = inner_chaos_of(r);
  REQUIRE(c.has_value());
  CHECK(c->act == "act");
  CHECK(c->checkout.offered == 1);
  CHECK(c->injected == chaos_stats{12, 4, 2, 1, 1});
  CHECK(c->injected.faults() == 8);
  CHECK(c->outside == 0);
  // It was on before the act, and could not be switched off.
  r.shop.front().stats.chaos = {1, 1, 0, 0, 0};
  r.shop.push_back(sampled(2100ms, {14, 4, 3, 1, 2}));
  CHECK(inner_chaos_of(r)->injected == chaos_stats{11, 3, 2, 1, 1});
  CHECK(inner_chaos_of(r)->outside == 3);
}

TEST_CASE(
    "chaos inside: it has no victim whose attempts could be counted, and a run without it has no figures") {
  CHECK_FALSE(has_victim(trouble::chaos));
  CHECK_FALSE(inner_chaos_of(one_outage()).has_value());
  run_record r;
  r.acts = {played(trouble::chaos, 0s, 1s)};
  CHECK(inner_chaos_of(r)->injected.faults() == 0);  // nobody was asked
}

TEST_CASE("stand-ins: what was shown in the act for want of new recommendations, and who was told") {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::faulty, 1s, 2s)};
  CHECK_FALSE(stand_ins_of(r).has_value());  // payment is in trouble
  r.acts.back().what.victim = dependency::recommendations;
  for (const auto at : {500ms, 1200ms, 1400ms, 2100ms})
    r.customers.push_back(came(at, 30ms, outcome::degraded));
  for (customer& c : r.customers) c.degraded[dependency::recommendations] = true;
  r.customers[2].degraded = {};
  r.customers[2].degraded[dependency::inventory] = true;
  const auto sampled = [](microseconds at, recommendation_stats counts) {
    shop_sample s{.at = at, .stats = {}};
    s.stats.recommendations = counts;
    return s;
  };
  r.shop = {sampled(900ms, {10, 1, 2}), sampled(1s, {12, 1, 2}), sampled(2s, {15, 41, 3}),
            sampled(2100ms, {19, 60, 9})};
  const auto s = stand_ins_of(r);
  REQUIRE(s.has_value());
  CHECK(s->act == "act");
  CHECK(s->shown == recommendation_stats{5, 40, 1});
  CHECK(s->shown_in_all == recommendation_stats{19, 60, 9});
  CHECK(s->told_in_all == 2);  // who came after the last act is not the run's
}

TEST_CASE("figures: who is turned away on purpose is neither served nor failed, and no quick answer") {
  run_record r;
  r.customers = {came(0s, 2ms, outcome::turned_away), came(1ms, 30ms, outcome::full),
                 came(2ms, 9ms, outcome::error)};
  const figures f = figures_within(r, {0s, 1s});
  CHECK(f.turned_away == 1);
  CHECK(f.offered == 2);
  CHECK(f.errors == 1);
  CHECK(f.refused == 0);
  CHECK(f.availability() == doctest::Approx(0.5));
  CHECK(percentile({f.p50, f.p99_of_failed, f.p99_of_all}, 0) == 9ms);
  CHECK(figures_ended_within(r, {2ms, 3ms}).turned_away == 1);
  r.customers.resize(1);
  CHECK_FALSE(figures_within(r, {0s, 1s}).has_latency());
}

TEST_CASE("read-only: judged are those who came when the storefront had been told, and left it time") {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::read_only, 1s, 3s), played(trouble::none, 3s, 4s)};
  r.acts[1].in_force = {1100ms, 2900ms};
  r.acts[2].what.title = "orders again";
  r.customers = {came(1050ms, 30ms, outcome::full, 1),        // nobody had told the storefront
                 came(1100ms, 5ms, outcome::turned_away, 2),  //
                 came(2499ms, 7ms, outcome::turned_away, 3),  //
                 came(2s, 900ms, outcome::error, 4),          // not told why
                 came(2500ms, 400ms, outcome::full, 5),       // perhaps looked at when it was over
                 came(3s, 30ms, outcome::full, 6)};
  r.browsers = {came(999ms, 1ms, outcome::error), came(1s, 80ms, outcome::full)};
  r.audit.orders = {1, 3, 5, 6};
  const auto m = read_only_mode_of(r);
  REQUIRE(m.has_value());
  CHECK(m->act == "act");
  CHECK(m->came == 3);
  CHECK(m->turned_away == 2);
  CHECK(m->charged == 1);
  CHECK(m->p99 == 900ms);
  CHECK(m->outside == 0);
  CHECK(m->checkout.turned_away == 2);
  CHECK(m->checkout.offered == 3);
  CHECK(m->browsing.offered == 1);
  CHECK(m->next == "orders again");
  CHECK(m->after.full == 1);
}

TEST_CASE("read-only: turned away before and after the act, but not by what came over its edges") {
  run_record r;
  r.acts = {played(trouble::none, 0s, 1s), played(trouble::read_only, 1s, 2s), played(trouble::none, 2s, 3s)};
  r.acts[1].in_force = {1s, 2s};
  r.customers = {came(990ms, 10ms, outcome::turned_away),   // the mode was on when the answer came
                 came(990ms, 9ms, outcome::turned_away),    // it was not
                 came(1999ms, 20ms, outcome::turned_away),  // it was when the customer came
                 came(2s, 20ms, outcome::turned_away)};     // it was not
  CHECK(read_only_mode_of(r)->outside == 2);
}

TEST_CASE("read-only: an act that is the last one, that has only begun, and a run without one") {
  run_record r;
  r.acts = {played(trouble::read_only, 0s, 1s)};
  r.customers = {came(0s, 1ms, outcome::turned_away)};
  const auto m = read_only_mode_of(r);
  REQUIRE(m.has_value());
  CHECK(m->came == 0);
  CHECK(m->after.offered == 0);
  CHECK_FALSE(has_victim(trouble::read_only));
  CHECK_FALSE(read_only_mode_of(one_outage()).has_value());
}

TEST_CASE("level bands: as sampled, until the end of the run") {
  run_record r;
  r.acts = {played(trouble::read_only, 0s, 1s)};
  const auto at = [](microseconds t, level_view level) {
    shop_sample s{.at = t, .stats = {}};
    s.stats.service.level = level;
    return s;
  };
  using enum level_view;
  r.shop = {at(0s, full), at(100ms, read_only), at(200ms, read_only), at(900ms, full), at(1s, read_only)};
  const auto bands = level_bands(r);
  REQUIRE(bands.size() == 3);
  CHECK(bands[0].when.end == 100ms);
  CHECK(bands[1].state == read_only);
  CHECK(bands[1].when.end == 900ms);
  CHECK(bands[2].state == full);
  CHECK(bands[2].when.end == 1s);
}

TEST_CASE("reconciliation: charged without an order, and accepted but never charged") {
  run_record r;
  r.customers = {came(0s, 1ms, outcome::full, 1), came(0s, 1ms, outcome::degraded, 2),
                 came(0s, 1ms, outcome::error, 3), came(0s, 2s, outcome::gave_up, 4)};
  r.audit.orders = {1, 3, 4};
  const reconciliation found = reconcile(r);
  CHECK(found.charged_without_order == 2);
  CHECK(found.never_charged == 1);
}

}  // namespace drill
