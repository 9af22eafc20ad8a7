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

/// Just good enough in every respect.
evidence sufficient() {
  evidence e;
  e.bare = answered(940, 1000);
  e.seawall = answered(990, 1000);
  e.seawall.p99_of_all = checkout_deadline + latency_tolerance;
  e.dead = {left_alone()};
  e.books.charges = 990;
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

TEST_CASE("judge: a drill in which nothing happened proves nothing") {
  CHECK_FALSE(met_after([](evidence& e) { e.seawall = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.bare = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.books = {}; }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead.clear(); }));
  CHECK_FALSE(met_after([](evidence& e) { e.dead[0].open = {}; }));
}

}  // namespace drill
