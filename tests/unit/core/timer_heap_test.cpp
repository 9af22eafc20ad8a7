// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/timer_heap.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using seawall::instant;
using seawall::core::timer_heap;
using seawall::core::timer_node;

bool before(const timer_node* a, const timer_node* b) {
  return a->at != b->at ? a->at < b->at : a->order < b->order;
}

struct pair_of {
  explicit pair_of(std::size_t nodes) : all(nodes) {}

  void push(timer_node& n, std::int64_t at, std::uint64_t order) {
    n.at = instant::from_ns(at);
    n.order = order;
    heap.push(n);
    model.insert(std::upper_bound(model.begin(), model.end(), &n, before), &n);
  }
  void remove(timer_node& n) {
    heap.remove(n);
    model.erase(std::remove(model.begin(), model.end(), &n), model.end());
  }
  bool agree() const {
    if (model.empty()) return heap.empty() && heap.top() == nullptr && heap.next_due() == instant::never();
    return !heap.empty() && heap.top() == model.front() && heap.next_due() == model.front()->at;
  }

  std::vector<timer_node> all;
  timer_heap heap;
  std::vector<timer_node*> model;  // sorted
};

TEST_CASE("timer_heap: due times come out in order, whatever the order in which they went in") {
  std::array<int, 6> times = {1, 2, 3, 4, 5, 6};
  do {
    pair_of p(times.size());
    for (std::size_t i = 0; i < times.size(); ++i) p.push(p.all[i], times[i], i);
    for (std::size_t left = times.size(); left > 0; --left) {
      REQUIRE(p.agree());
      p.remove(*p.heap.top());
    }
    REQUIRE(p.agree());
  } while (std::next_permutation(times.begin(), times.end()));
}

TEST_CASE("timer_heap: timers of the same instant keep the order of their numbers") {
  pair_of p(64);
  for (std::size_t i = 0; i < p.all.size(); ++i) p.push(p.all[i], 5, i);
  for (std::size_t i = 0; i < p.all.size(); ++i) {
    REQUIRE(p.heap.top() == &p.all[i]);
    p.remove(p.all[i]);
  }
}

TEST_CASE("timer_heap: any node may go, at any time; going twice, or without having come, changes nothing") {
  for (std::size_t goes = 0; goes < 7; ++goes) {
    pair_of p(7);
    for (std::size_t i = 0; i < 7; ++i) p.push(p.all[i], static_cast<std::int64_t>((i * 3) % 7), i);
    p.remove(p.all[goes]);
    CHECK_FALSE(p.all[goes].linked);
    p.heap.remove(p.all[goes]);
    timer_node stranger;
    p.heap.remove(stranger);
    while (!p.model.empty()) {
      REQUIRE(p.agree());
      p.remove(*p.heap.top());
    }
    CHECK(p.heap.empty());
    p.push(p.all[goes], 1, 1);  // as new
    CHECK(p.agree());
  }
}

TEST_CASE("timer_heap: pushed, removed and popped at random, it is a sorted vector") {
  property::run_sequences(
      2'000, [](property::dice& d, std::uint64_t& operations) -> std::optional<std::string> {
        pair_of p(1 + d.below(40));
        const std::int64_t span = d.pick<std::int64_t>({1, 4, 1000});
        std::uint64_t order = 0;
        for (int step = 0; step < 200; ++step) {
          timer_node& n = d.pick_from(p.all);
          if (n.linked && d.chance(60)) {
            p.remove(n);
          } else if (!n.linked) {
            p.push(n, static_cast<std::int64_t>(d.below(static_cast<std::uint64_t>(span))), ++order);
          } else if (!p.heap.empty()) {
            p.remove(*p.heap.top());
          }
          ++operations;
          if (!p.agree())
            return "the first is not the one that is due first, after step " + std::to_string(step);
        }
        while (!p.model.empty()) {
          p.remove(*p.heap.top());
          if (!p.agree()) return "emptied in another order";
        }
        return std::nullopt;
      });
}

}  // namespace
