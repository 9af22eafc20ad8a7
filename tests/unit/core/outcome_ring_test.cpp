// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/outcome_ring.hpp"

#include <cstddef>
#include <deque>
#include <vector>

#include "seawall/random.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using core::outcome_ring;
using core::recent;
using core::window_counts;

namespace {

std::vector<int> contents(const recent<int>& r) {
  std::vector<int> all;
  for (std::size_t i = 0; i < r.size(); ++i) all.push_back(r[i]);
  return all;
}

recent<int> holding(std::size_t capacity, int pushed) {
  recent<int> r;
  r.set_capacity(capacity);
  for (int i = 1; i <= pushed; ++i) r.push(i);
  return r;
}

using values = std::vector<int>;

}  // namespace

TEST_CASE("recent: keeps the newest, the oldest first") {
  CHECK(contents(holding(3, 2)) == values{1, 2});
  CHECK(contents(holding(3, 3)) == values{1, 2, 3});
  CHECK(contents(holding(3, 7)) == values{5, 6, 7});
  CHECK_FALSE(holding(3, 2).full());
  CHECK(holding(3, 3).full());
}

TEST_CASE("recent: without capacity it keeps nothing") {
  CHECK(contents(holding(0, 5)).empty());
  CHECK(holding(0, 5).capacity() == 0);
}

TEST_CASE("recent: a new capacity keeps the newest that fit, wherever the ring stood") {
  for (std::size_t from = 0; from <= 5; ++from) {
    for (int pushed = 0; pushed <= 12; ++pushed) {
      for (std::size_t to = 0; to <= 6; ++to) {
        recent<int> r = holding(from, pushed);
        values expected = contents(r);
        r.set_capacity(to);
        if (expected.size() > to)
          expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(to));
        REQUIRE(contents(r) == expected);
        REQUIRE(r.capacity() == to);
        r.push(100);
        expected.push_back(100);
        if (expected.size() > to) expected.erase(expected.begin());
        REQUIRE(contents(r) == expected);
      }
    }
  }
}

TEST_CASE("recent: clearing keeps the capacity") {
  recent<int> r = holding(3, 5);
  r.clear();
  CHECK(r.size() == 0);
  CHECK(r.capacity() == 3);
  r.push(9);
  CHECK(contents(r) == values{9});
}

TEST_CASE("outcome_ring: counts the last N outcomes") {
  outcome_ring r;
  r.set_capacity(3);
  r.push(true, false);
  r.push(false, true);
  r.push(true, true);
  CHECK(r.counts() == window_counts{.calls = 3, .bad = 2, .slow = 2});
  r.push(false, false);
  CHECK(r.counts() == window_counts{.calls = 3, .bad = 1, .slow = 2});
  r.clear();
  CHECK(r.counts() == window_counts{});
}

TEST_CASE("outcome_ring: without capacity it counts nothing") {
  outcome_ring r;
  r.push(true, true);
  CHECK(r.counts() == window_counts{});
}

TEST_CASE("outcome_ring: a good outcome moves it unless it is full of good ones") {
  outcome_ring r;
  r.set_capacity(2);
  CHECK_FALSE(r.unmoved_by_success());
  r.push(false, false);
  CHECK_FALSE(r.unmoved_by_success());
  r.push(false, false);
  CHECK(r.unmoved_by_success());
  r.push(false, true);
  CHECK_FALSE(r.unmoved_by_success());
  r.push(false, false);
  r.push(false, false);
  CHECK(r.unmoved_by_success());
  r.push(true, false);
  CHECK_FALSE(r.unmoved_by_success());
}

TEST_CASE("outcome_ring: agrees with a plain queue, through every change of capacity") {
  struct outcome {
    bool bad;
    bool slow;
  };
  random_source random(11);
  outcome_ring ring;
  std::deque<outcome> model;
  std::size_t capacity = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random.up_to(50) == 0) {
      capacity = random.up_to(20);
      ring.set_capacity(capacity);
    } else {
      const outcome o{random.up_to(2) == 0, random.up_to(3) == 0};
      ring.push(o.bad, o.slow);
      model.push_back(o);
    }
    while (model.size() > capacity) model.pop_front();
    window_counts expected{.calls = model.size()};
    for (const outcome& o : model) {
      expected.bad += o.bad ? 1 : 0;
      expected.slow += o.slow ? 1 : 0;
    }
    REQUIRE(ring.counts() == expected);
  }
}
