// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/simulated_network.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "seawall/testing/virtual_scheduler.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::instant;
using seawall::testing::link_options;
using seawall::testing::simulated_network;
using seawall::testing::virtual_scheduler;

using network = simulated_network<int>;

constexpr link_options exact{.delay_min = 1ms, .delay_max = 1ms, .slow_max = 50ms};

/// Writes down what arrives where, and when.
struct post_office {
  explicit post_office(link_options o = exact, std::uint64_t seed = 1) : net(loop, seed, o) {
    for (const std::uint64_t n : {1U, 2U, 3U}) attach(n);
  }
  void attach(std::uint64_t n) {
    net.attach(n, [this, n](std::uint64_t from, int what) {
      log.push_back(std::to_string(from) + ">" + std::to_string(n) + ":" + std::to_string(what));
      values.push_back(what);
      arrived.push_back(loop.elapsed());
    });
  }
  std::string told() {
    loop.run();
    std::string out;
    for (const std::string& l : log) out += (out.empty() ? "" : " ") + l;
    log.clear();
    return out;
  }

  virtual_scheduler loop;
  network net;
  std::vector<std::string> log;
  std::vector<int> values;
  std::vector<duration> arrived;
};

TEST_CASE("simulated_network: what is sent arrives once, after its delay, never from inside") {
  post_office p;
  p.net.send(1, 2, 7);
  CHECK(p.log.empty());
  CHECK(p.net.under_way() == 1);
  CHECK(p.told() == "1>2:7");
  CHECK(p.loop.elapsed() == 1ms);
  CHECK(p.net.under_way() == 0);
  CHECK(p.net.counts().delivered == 1);
}

TEST_CASE("simulated_network: delays are within their range, and only the slow share is slow") {
  post_office p({.delay_min = 1ms, .delay_max = 3ms, .slow = 0.25, .slow_max = 90ms, .max_under_way = 4000});
  for (int i = 0; i < 4000; ++i) p.net.send(1, 2, i);
  p.loop.run();
  int slow = 0;
  for (const duration d : p.arrived) {
    CHECK(d >= 1ms);
    CHECK(d <= 90ms);
    slow += d > 3ms ? 1 : 0;
  }
  CHECK(p.arrived.size() == 4000);
  CHECK(slow > 900);
  CHECK(slow < 1100);
}

TEST_CASE("simulated_network: messages overtake each other, unless the link keeps their order") {
  for (const bool in_order : {false, true}) {
    post_office p({.delay_min = 0ms, .delay_max = 9ms, .slow = 0.2, .slow_max = 50ms, .in_order = in_order});
    for (int i = 0; i < 100; ++i) p.net.send(1, 2, i);
    p.loop.run();
    bool ascending = true;
    for (std::size_t i = 1; i < p.values.size(); ++i) ascending &= p.values[i - 1] < p.values[i];
    CHECK(p.values.size() == 100);
    CHECK(ascending == in_order);
  }
}

TEST_CASE("simulated_network: the order of a link outlives a scheduler that shuffles one instant") {
  virtual_scheduler loop(3);
  link_options o = exact;
  o.in_order = true;
  network net(loop, 1, o);
  std::vector<int> values;
  net.attach(2, [&](std::uint64_t, int v) { values.push_back(v); });
  for (int i = 0; i < 50; ++i) net.send(1, 2, i);
  loop.run();
  for (int i = 0; i < 50; ++i) CHECK(values[static_cast<std::size_t>(i)] == i);
}

TEST_CASE(
    "simulated_network: losses and duplicates come in their shares, and every message is accounted for") {
  post_office p({.lost = 0.2, .doubled = 0.1, .max_under_way = 100'000});
  for (int i = 0; i < 10'000; ++i) p.net.send(1, 2, i);
  p.loop.run();
  const auto& c = p.net.counts();
  CHECK(c.sent == 10'000);
  CHECK(c.lost > 1800);
  CHECK(c.lost < 2200);
  CHECK(c.doubled > 650);
  CHECK(c.doubled < 950);
  CHECK(c.delivered == c.sent + c.doubled - c.lost);
  CHECK(p.values.size() == c.delivered);
}

TEST_CASE("simulated_network: a link cut in one direction carries the other one") {
  post_office p;
  p.net.cut(1, 2);
  CHECK(p.net.is_cut(1, 2));
  CHECK_FALSE(p.net.is_cut(2, 1));
  p.net.send(1, 2, 1);
  p.net.send(2, 1, 2);
  p.net.send(1, 3, 3);
  CHECK(p.told() == "2>1:2 1>3:3");
  p.net.join(1, 2);
  p.net.send(1, 2, 4);
  CHECK(p.told() == "1>2:4");
  CHECK(p.net.counts().cut_off == 1);
}

TEST_CASE("simulated_network: a cut catches what is under way when it would arrive, and no more") {
  post_office p;
  p.net.send(1, 2, 1);
  p.net.cut(1, 2);
  p.loop.run_for(2ms);
  CHECK(p.told() == "");
  p.net.join(1, 2);
  p.net.send(1, 2, 2);
  p.net.cut(1, 2);  // and joined again before it arrives
  p.net.join(1, 2);
  CHECK(p.told() == "1>2:2");
}

TEST_CASE("simulated_network: parts that are cut from each other talk among themselves; heal() joins all") {
  post_office p;
  p.net.part({1, 2}, {3});
  for (const auto& [from, to] : std::vector<std::pair<int, int>>{{1, 2}, {2, 3}, {3, 1}, {3, 3}})
    p.net.send(static_cast<unsigned>(from), static_cast<unsigned>(to), 0);
  CHECK(p.told() == "1>2:0 3>3:0");
  p.net.heal();
  p.net.send(2, 3, 5);
  CHECK(p.told() == "2>3:5");
}

TEST_CASE("simulated_network: a link's own options win over the usual ones, one direction at a time") {
  post_office p;
  p.net.set_link(1, 2, link_options{.delay_min = 8ms, .delay_max = 8ms});
  p.net.send(1, 2, 1);
  p.net.send(2, 1, 2);
  CHECK(p.told() == "2>1:2 1>2:1");
  CHECK(p.loop.elapsed() == 8ms);
  p.net.set_link(1, 2, {});
  p.net.set_links({.delay_min = 2ms, .delay_max = 2ms});
  p.net.send(1, 2, 3);
  CHECK(p.told() == "1>2:3");
  CHECK(p.loop.elapsed() == 10ms);
}

TEST_CASE("simulated_network: a full link loses what comes beyond, and has room again after it delivered") {
  link_options o = exact;
  o.max_under_way = 2;
  post_office p(o);
  for (int i = 0; i < 4; ++i) p.net.send(1, 2, i);
  p.net.send(2, 1, 9);  // another link
  CHECK(p.told() == "1>2:0 1>2:1 2>1:9");
  CHECK(p.net.counts().refused == 2);
  p.net.send(1, 2, 5);
  CHECK(p.told() == "1>2:5");
}

TEST_CASE(
    "simulated_network: a receiver that is gone loses messages; its successor gets what was under way") {
  post_office p;
  p.net.detach(2);
  p.net.send(1, 2, 1);
  CHECK(p.told() == "");
  CHECK(p.net.counts().nobody_there == 1);
  p.net.send(1, 2, 2);
  p.attach(2);
  CHECK(p.told() == "1>2:2");
}

TEST_CASE("simulated_network: a receiver may send, and detach itself") {
  post_office p;
  int rounds = 0;
  p.net.attach(2, [&](std::uint64_t from, int what) {
    if (++rounds == 3) p.net.detach(2);
    for (int i = 0; i < 20; ++i) p.net.send(2, from, what + i);
  });
  for (int i = 0; i < 4; ++i) p.net.send(1, 2, 100 * i);
  p.loop.run();
  CHECK(rounds == 3);
  CHECK(p.values.size() == 60);
  CHECK(p.net.counts().nobody_there == 1);
}

TEST_CASE("simulated_network: the same seed gives the same run, another one another") {
  const auto run = [](std::uint64_t seed) {
    post_office p({.slow = 0.1, .lost = 0.1, .doubled = 0.1}, seed);
    for (int i = 0; i < 100; ++i) p.net.send(1 + static_cast<unsigned>(i % 2), 3, i);
    return p.told();
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

TEST_CASE("simulated_network: destroyed with messages under way, it leaves the scheduler in order") {
  virtual_scheduler loop;
  {
    network net(loop, 1);
    net.send(1, 2, 1);
  }
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("simulated_network: bad options are refused, with their name") {
  struct row {
    link_options o;
    std::string field;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const row& r : std::vector<row>{{{.delay_min = -1ms}, "delay_min"},
                                       {{.delay_min = 2ms, .delay_max = 1ms}, "delay_max"},
                                       {{.slow = 1.1}, "slow"},
                                       {{.delay_max = 2s}, "slow_max"},
                                       {{.lost = nan}, "lost"},
                                       {{.doubled = -0.1}, "doubled"},
                                       {{.max_under_way = 0}, "max_under_way"}}) {
    CAPTURE(r.field);
    const auto error = validate(r.o);
    REQUIRE(error);
    CHECK(error->field == r.field);
    virtual_scheduler loop;
    CHECK_THROWS_AS(network(loop, 1, r.o), std::invalid_argument);
    network net(loop, 1);
    CHECK_THROWS_AS(net.set_links(r.o), std::invalid_argument);
    CHECK_THROWS_AS(net.set_link(1, 2, r.o), std::invalid_argument);
  }
  CHECK_FALSE(validate(link_options{}));
}

}  // namespace
