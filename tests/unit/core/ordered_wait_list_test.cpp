// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/ordered_wait_list.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::wait_order;
using seawall::core::ordered_wait_list;
using seawall::core::ordered_wait_node;
using seawall::core::wait_rules;

constexpr wait_order all_orders[] = {wait_order::fifo, wait_order::lifo, wait_order::adaptive_lifo,
                                     wait_order::by_priority, wait_order::by_deadline};

instant at(duration d) { return instant::from_ns(0) + d; }

/// The list, and beside it a vector that is sorted anew whenever somebody asks.
struct subject {
  explicit subject(wait_rules r) : rules(r), list(r) {}

  void push(ordered_wait_node& n, instant now) {
    if (model.empty()) standing_since = now;
    list.push(n, ++arrivals, now);
    model.push_back({&n, arrivals, now});
  }
  void remove(ordered_wait_node& n) {
    list.remove(n);
    std::erase_if(model, [&](const entry& e) { return e.node == &n; });
  }

  struct entry {
    ordered_wait_node* node;
    std::uint64_t number;
    instant came;
  };
  // Straight from the words of the documentation.
  bool earlier(const entry& a, const entry& b, instant now) const {
    switch (rules.order) {
      case wait_order::fifo: break;
      case wait_order::lifo: return a.number > b.number;
      case wait_order::adaptive_lifo:
        if (now - standing_since >= rules.lifo_after) return a.number > b.number;
        break;
      case wait_order::by_deadline:
        if (a.node->deadline != b.node->deadline) return a.node->deadline < b.node->deadline;
        break;
      case wait_order::by_priority: {
        // Waiting for `aging` is worth a step.
        const auto worth = [&](const entry& e) {
          if (rules.aging == duration::zero()) return std::int64_t{e.node->priority};
          return e.node->priority * rules.aging.ns() + (now - e.came).ns();
        };
        if (worth(a) != worth(b)) return worth(a) > worth(b);
        break;
      }
    }
    return a.number < b.number;
  }
  bool agrees(instant now) {
    std::sort(model.begin(), model.end(), [&](const entry& a, const entry& b) { return earlier(a, b, now); });
    if (list.size() != model.size() || list.empty() != model.empty()) return false;
    if (model.empty()) return list.first(now) == nullptr && list.last(now) == nullptr;
    return list.first(now) == model.front().node && list.last(now) == model.back().node;
  }

  wait_rules rules;
  ordered_wait_list list;
  std::vector<entry> model;
  std::uint64_t arrivals = 0;
  instant standing_since;
};

}  // namespace

TEST_CASE("ordered_wait_list: agrees with a sorted vector, whatever comes, goes and changes") {
  property::dice d(property::seed());
  for (int sequence = 0; sequence < 300; ++sequence) {
    CAPTURE(sequence);
    const auto any_rules = [&] {
      return wait_rules{.order = all_orders[d.below(std::size(all_orders))],
                        .lifo_after = duration(10us),
                        .aging = d.chance(50) ? duration(3us) : duration::zero()};
    };
    subject s(any_rules());
    std::vector<ordered_wait_node> nodes(24);
    instant now = at(1h);
    for (int step = 0; step < 200; ++step) {
      now = now + duration(1us) * static_cast<std::int64_t>(d.below(3));
      ordered_wait_node& n = nodes[d.below(nodes.size())];
      if (n.linked) {
        s.remove(n);
      } else {
        n.priority = static_cast<int>(d.below(5)) - 2;
        n.deadline =
            d.chance(20) ? instant::never() : at(duration(1us) * static_cast<std::int64_t>(d.below(6)));
        s.push(n, now);
      }
      if (d.chance(2)) {
        s.rules = any_rules();
        s.list.set_rules(s.rules);
      }
      REQUIRE(s.agrees(now));
    }
    // To the last one, as whoever hands out places would do it.
    while (!s.model.empty()) {
      s.remove(*s.list.first(now));
      REQUIRE(s.agrees(now));
    }
  }
}

TEST_CASE(
    "ordered_wait_list: an adaptive list turns round once it has been without an empty moment for so long") {
  ordered_wait_list list({.order = wait_order::adaptive_lifo, .lifo_after = 100ms});
  ordered_wait_node a, b, c;
  list.push(a, 1, at(0ms));
  list.push(b, 2, at(50ms));
  CHECK(list.first(at(100ms - 1ns)) == &a);
  CHECK(list.first(at(100ms)) == &b);
  CHECK(list.last(at(100ms)) == &a);
  list.remove(b);
  list.remove(a);
  list.push(c, 3, at(200ms));
  list.push(a, 4, at(210ms));
  CHECK(list.first(at(299ms)) == &c);
  CHECK(list.first(at(300ms)) == &a);
  list.remove(a);
  list.remove(c);
}

TEST_CASE(
    "ordered_wait_list: with aging, who waits long enough comes before who is more important and has just come") {
  ordered_wait_list list({.order = wait_order::by_priority, .aging = 10ms});
  ordered_wait_node low, high;
  low.priority = 0;
  high.priority = 3;
  list.push(low, 1, at(0ms));
  list.push(high, 2, at(29ms));
  CHECK(list.first(at(29ms)) == &high);
  list.remove(high);
  list.push(high, 3, at(31ms));
  CHECK(list.first(at(31ms)) == &low);
  list.remove(low);
  list.remove(high);
}

TEST_CASE("ordered_wait_list: the extremes of priorities and times do not overflow") {
  for (const duration aging : {duration::zero(), duration(24h)}) {
    ordered_wait_list list({.order = wait_order::by_priority, .aging = aging});
    ordered_wait_node least, most;
    least.priority = INT32_MIN;
    most.priority = INT32_MAX;
    list.push(least, 1, instant::from_ns(INT64_MIN));
    list.push(most, 2, instant::never());
    CHECK(list.last(at(0s)) != list.first(at(0s)));
    list.remove(least);
    list.remove(most);
  }
}

TEST_CASE("ordered_wait_list: between two lists, arrival counts where nothing else does") {
  ordered_wait_list fifo, lifo({.order = wait_order::lifo});
  ordered_wait_node a, b;
  fifo.push(a, 1, at(0s));
  fifo.push(b, 2, at(0s));
  CHECK(fifo.before(a, b));
  CHECK_FALSE(fifo.before(b, a));
  CHECK(lifo.before(b, a));
  CHECK_FALSE(lifo.before(a, b));
  fifo.remove(a);
  fifo.remove(b);
}
