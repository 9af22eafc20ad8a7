// SPDX-License-Identifier: Apache-2.0
#include "drill/judge.hpp"

#include <chrono>
#include <functional>

#include "drill/checkout.hpp"
#include <doctest/doctest.h>

namespace drill {
namespace {

using namespace std::chrono_literals;

figures answered(std::uint64_t answered, std::uint64_t offered) {
  figures f;
  f.offered = offered;
  f.full = answered;
  f.errors = offered - answered;
  return f;
}

isolation left_alone() {
  return {.act = "payment hung",
          .victim = dependency::payment,
          .healthy_per_s = 100,
          .breaker_opened = true,
          .open = {1s, 3s},
          .attempts = 19};
}

overload overloaded(std::uint64_t checkouts_answered, double served) {
  overload o{.act = "four times the load", .checkout = answered(checkouts_answered, 1000), .browsing = {}};
  o.browsing.offered = 4000;
  o.browsing.errors = 3000;
  o.browsing.refused = 3000;
  o.browsing.p99_of_failed = refusal_bound;
  o.offered = 3.5;
  o.rendered = 1;
  o.served = served;
  return o;
}

inner_chaos hurt(std::uint64_t checkouts_answered) {
  return {.act = "chaos inside",
          .checkout = answered(checkouts_answered, 1000),
          .injected = {.calls = 100, .hangs = 1}};
}

stand_ins stood_in() {
  return {.act = "recommendations slow",
          .shown = {.fresh = 5, .stale = 90, .none = 10},
          .shown_in_all = {.fresh = 50, .stale = 180, .none = 20},
          .told_in_all = 180};
}

read_only_mode closed() {
  read_only_mode m{.act = "read-only by hand",
                   .came = 50,
                   .turned_away = 50,
                   .p99 = refusal_bound,
                   .checkout = {},
                   .browsing = answered(99, 100),
                   .next = "orders again",
                   .after = answered(99, 100)};
  m.checkout.turned_away = 60;
  return m;
}

/// Just good enough in every respect.
evidence sufficient() {
  evidence e;
  e.bare = answered(940, 1000);
  e.seawall = answered(990, 1000);
  e.seawall.p99_of_all = checkout_deadline + latency_tolerance;
  e.dead = {left_alone()};
  e.books.charges = 990;
  e.bare_overload = overloaded(789, 0.1);
  e.overloaded = overloaded(990, 0.9);
  e.bare_chaos = hurt(789);
  e.chaos = hurt(990);
  e.recommendations = stood_in();
  e.read_only = closed();
  return e;
}

bool met_after(const std::function<void(evidence&)>& change) {
  evidence e = sufficient();
  change(e);
  return all_met(judge(e));
}

}  // namespace

TEST_CASE("judge: meets every criterion by a hair") {
  for (const criterion& c : judge(sufficient())) {
    CAPTURE(c.what);
    CAPTURE(c.measured);
    CHECK(c.met);
  }
}

TEST_CASE("judge: each criterion fails by a hair") {
  CHECK_FALSE(met_after([](evidence& e) { e.seawall = answered(989, 1000); }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare = answered(941, 1000); }));
  CHECK_FALSE(met_after([](evidence& e) { e.seawall.p99_of_all += 1us; }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead[0].attempts = 20; }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead[0].breaker_opened = false; }));
  CHECK_FALSE(met_after([](evidence& e) { e.books.double_charges = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.orders.never_charged = 1; }));
}

TEST_CASE("judge: each criterion of the stale recommendations fails by a hair") {
  CHECK_FALSE(met_after([](evidence& e) { e.recommendations->shown = {5, 89, 11}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.recommendations->told_in_all = 179; }));
  CHECK(met_after([](evidence& e) { e.recommendations->told_in_all = 200; }));
  CHECK_FALSE(met_after([](evidence& e) { e.recommendations->told_in_all = 201; }));
  CHECK_FALSE(met_after([](evidence& e) { e.recommendations->shown_in_all = {}; }));
}

TEST_CASE("judge: each criterion of the overload fails by a hair") {
  CHECK_FALSE(met_after([](evidence& e) { e.bare_overload->offered = 3.49; }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->offered = 3.49; }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->checkout = answered(989, 1000); }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_overload->checkout = answered(791, 1000); }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->served = 0.899; }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->browsing.p99_of_failed += 1us; }));
}

TEST_CASE("judge: each criterion of the chaos inside fails by a hair") {
  CHECK_FALSE(met_after([](evidence& e) { e.chaos->injected = {.calls = 100}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_chaos->injected = {.calls = 100}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.chaos->outside = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_chaos->outside = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.chaos->checkout = answered(989, 1000); }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_chaos->checkout = answered(791, 1000); }));
}

TEST_CASE("judge: each criterion of the read-only mode fails by a hair") {
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->turned_away = 49; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->p99 += 1us; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->charged = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->browsing = answered(98, 100); }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->browsing.turned_away = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->outside = 1; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->after = answered(98, 100); }));
}

TEST_CASE("judge: a drill in which nothing happened proves nothing") {
  CHECK_FALSE(met_after([](evidence& e) { e.seawall = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.books = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead.clear(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead[0].open = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.recommendations.reset(); }));
  CHECK_FALSE(
      met_after([](evidence& e) { e.recommendations->shown = {.fresh = 100}; }));  // all were to be had
  CHECK_FALSE(met_after([](evidence& e) { e.read_only.reset(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->came = e.read_only->turned_away = 0; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->browsing = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.read_only->after = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_overload.reset(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded.reset(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->checkout = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_overload->checkout = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_chaos.reset(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.chaos.reset(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.chaos->checkout = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare_chaos->checkout = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.overloaded->browsing = {}; }));  // nobody had to be refused
}

}  // namespace drill
