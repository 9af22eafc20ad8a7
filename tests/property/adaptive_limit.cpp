// SPDX-License-Identifier: Apache-2.0
// The adaptive limit in front of simulated servers, compared with the best static limit for the same calls. The score is
// *goodput*: answers within five times the mean service time (ten where a server gets slower with each call), a second.
// A limit that is too low loses calls, one that is too high loses the bound.
//
// SEAWALL_SEEDS=<count> changes how many runs are averaged (fewer than four are too few for these bounds);
// bench/wind_limit prints the whole matrix.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "property/support.hpp"
#include "support/served.hpp"
#include <doctest/doctest.h>

namespace {

using namespace served;

std::uint64_t seeds() { return property::from_environment("SEAWALL_SEEDS").value_or(4); }
bool too_slow() { return property::slowdown > 5; }

workload m_m(double c) {
  workload w;
  w.name = "M/M/" + std::to_string(static_cast<int>(c));
  w.servers = c;
  w.phases = {{.at = 0, .servers = c}, {.at = 100, .servers = c / 2}, {.at = 200, .servers = c}};
  w.seconds = 300;
  return w;
}

/// Throughput has its peak at 43 calls at once.
workload gets_slower() {
  workload w;
  w.name = "slower with each call";
  w.contention = 0.05;
  w.coherence = 0.0005;
  w.bound = 10;
  w.phases = {
      {.at = 0, .servers = 1000}, {.at = 100, .servers = 1000, .speed = 0.5}, {.at = 200, .servers = 1000}};
  w.seconds = 300;
  return w;
}

/// Ours to the best static limit's, in each phase, from `settling` seconds after its beginning.
std::vector<double> scores(const workload& w, double settling) {
  std::vector<double> all;
  std::vector<simulation::span> spans;
  for (std::size_t i = 0; i < w.phases.size(); ++i) {
    const double end = i + 1 < w.phases.size() ? w.phases[i + 1].at : w.seconds;
    spans.push_back({w.phases[i].at + settling, end});
  }
  std::vector<double> goodput(w.phases.size());
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    adaptive limit;
    simulation s(w, limit, seed * 100);
    std::vector<simulation::span> mine = spans;
    s.run(mine);
    for (std::size_t i = 0; i < mine.size(); ++i)
      goodput[i] += mine[i].f.goodput / static_cast<double>(seeds());
  }
  for (std::size_t i = 0; i < w.phases.size(); ++i) {
    const best b = best_static(steady(w, w.phases[i], 20), 7);
    all.push_back(goodput[i] / b.f.goodput);
    MESSAGE(w.name, ", from ", w.phases[i].at, " s: ", goodput[i],
            " answers in time a second, best static limit ", b.limit, " gives ", b.f.goodput, ": ",
            100 * all.back(), "%");
  }
  return all;
}

}  // namespace

TEST_CASE("adaptive_limit: as good as the best static limit when M/M/4 loses half its servers") {
  if (too_slow()) return;
  for (const double s : scores(m_m(4), 20)) CHECK(s > 0.95);
}
TEST_CASE("adaptive_limit: as good as the best static limit when M/M/16 loses half its servers") {
  if (too_slow()) return;
  for (const double s : scores(m_m(16), 10)) CHECK(s > 0.95);
}
TEST_CASE("adaptive_limit: as good as the best static limit when M/M/64 loses half its servers") {
  if (too_slow()) return;
  workload w = m_m(64);
  for (phase& p : w.phases) p.at /= 5;
  w.seconds /= 5;
  for (const double s : scores(w, 3)) CHECK(s > 0.95);
}
TEST_CASE("adaptive_limit: as good as the best static limit at a server that gets slower with each call") {
  if (too_slow()) return;
  const std::vector<double> found = scores(gets_slower(), 20);
  CHECK(found[0] > 0.95);
  // At half the speed the bound is only five times what a call takes, and throughput and latency say nothing about a
  // bound: single runs are below 95% in both phases.
  CHECK(found[1] > 0.93);
  CHECK(found[2] > 0.93);
}

TEST_CASE("adaptive_limit: a loss of half the servers, and their return, is followed within ten windows") {
  if (too_slow()) return;
  for (const double c : {4.0, 16.0, 64.0}) {
    workload w = m_m(c);
    if (c > 4) {
      for (phase& p : w.phases) p.at = p.at / 100 * 30;
      w.seconds = 90;
    }
    double lost = 0, back = 0;
    const auto near = [](double servers) {
      return [servers](double l) { return l >= 0.9 * servers && l <= servers + 2.5 * std::sqrt(servers); };
    };
    const auto windows = [&](std::uint64_t seed, double from, double until, double servers) {
      const int n = windows_until(w, seed, from, until, near(servers));
      CHECK_MESSAGE(n >= 0, w.name, ", seed ", seed, ": never near ", servers);
      return n;
    };
    for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
      lost += windows(seed, w.phases[1].at, w.phases[2].at, c / 2);
      back += windows(seed, w.phases[2].at, w.seconds, c);
    }
    lost /= static_cast<double>(seeds());
    back /= static_cast<double>(seeds());
    MESSAGE(w.name, ": lost after ", lost, " windows, back after ", back);
    CHECK(lost <= 10);
    CHECK(back <= 10);
  }
}

TEST_CASE("adaptive_limit: a server that loses nearly all of itself is not kept under a queue for minutes") {
  if (too_slow()) return;
  struct loss {
    double from, to;
  };
  for (const loss l : {loss{64, 16}, loss{64, 8}, loss{200, 20}, loss{16, 4}}) {
    workload w = m_m(l.from);
    w.phases = {{.servers = l.from}, {.at = 40, .servers = l.to}, {.at = 100, .servers = l.from}};
    w.seconds = 140;
    double lost = 0, back = 0;
    for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
      adaptive limit;
      std::vector<simulation::span> spans{{50, 100}, {110, 140}};
      simulation(w, limit, 1000 * seed).run(spans);
      lost += spans[0].f.goodput / (100 * l.to) / static_cast<double>(seeds());
      back += spans[1].f.goodput / (100 * l.from) / static_cast<double>(seeds());
    }
    MESSAGE(l.from, " servers, ", l.to, " left: ", 100 * lost,
            "% of what they can do from ten seconds on; all back: ", 100 * back, "%");
    CHECK(lost > 0.9);
    CHECK(back > 0.9);
  }
}

TEST_CASE("adaptive_limit: an hour at three times what the server can do does not lift limit or latency") {
  if (too_slow()) return;
  workload w;
  w.servers = 4;
  w.phases = {{.servers = 4, .load = 3}};
  w.seconds = 3600 / static_cast<double>(property::slowdown);
  adaptive limit;
  double highest = 0;
  simulation s(
      w, limit, 5, [&](double) { highest = std::max(highest, limit.seen().settled_limit); }, 10);
  std::vector<simulation::span> spans{{60, w.seconds / 4}, {w.seconds * 3 / 4, w.seconds}};
  s.run(spans);
  MESSAGE("latency ", spans[0].f.latency, " s in the first quarter, ", spans[1].f.latency,
          " s in the last; highest limit ", highest);
  CHECK(spans[1].f.latency < 1.1 * spans[0].f.latency);
  CHECK(highest < 16);
}

TEST_CASE("adaptive_limit: 1000 times slower or 100 times faster servers need nothing changed") {
  for (const double scale : {0.01, 500.0}) {
    workload w = steady(m_m(16), {.servers = 16}, 30);
    w.mean_service *= scale;
    w.seconds *= scale;
    w.warm_up *= scale;
    const double ideal = 16 / w.mean_service;
    adaptive limit;
    const figures f = simulation(w, limit, 3).run();
    MESSAGE("mean service ", w.mean_service, " s: ", 100 * f.goodput / ideal, "% of what there is");
    CHECK(f.goodput > 0.93 * ideal);
  }
}

TEST_CASE("adaptive_limit: it recovers from half a minute in which nothing is answered") {
  workload w = steady(m_m(16), {.servers = 16}, 90);
  w.phases = {{.servers = 16}, {.at = 30, .servers = 16, .down = true}, {.at = 60, .servers = 16}};
  w.timeout = 0.5;
  adaptive limit;
  std::vector<simulation::span> spans{{15, 30}, {70, 90}};
  simulation(w, limit, 3).run(spans);
  MESSAGE("before ", spans[0].f.goodput, ", ten seconds after it ", spans[1].f.goodput,
          " answers in time a second");
  CHECK(spans[1].f.goodput > 0.95 * spans[0].f.goodput);
}

TEST_CASE("adaptive_limit: it refuses hardly anything of what the server can do, whatever the law") {
  for (const law l :
       {law::deterministic, law::exponential, law::lognormal, law::hyperexponential, law::pareto}) {
    workload w = steady(m_m(16), {.servers = 16, .load = 0.6}, 30);
    w.service = l;
    adaptive limit;
    const figures f = simulation(w, limit, 3).run();
    CHECK_MESSAGE(f.throughput > 0.97 * 0.6 * 1600, name(l), ": ", f.throughput);
  }
}

TEST_CASE("adaptive_limit: in front of three servers, a probe of three calls is not taken for a deep one") {
  if (too_slow()) return;
  double goodput = 0;
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    adaptive limit;
    goodput +=
        simulation(steady(m_m(3), {.servers = 3, .load = 2.89}, 60), limit, 1000 * seed).run().goodput /
        static_cast<double>(seeds());
  }
  MESSAGE("M/M/3: ", goodput / 3, "% of what there is");
  CHECK(goodput > 0.93 * 300);
}

TEST_CASE("adaptive_limit: shared processors and a few long calls do not drive it upwards without end") {
  if (too_slow()) return;
  for (const double c : {53.0, 200.0}) {
    workload w = steady(m_m(c), {.servers = c, .load = 1.69}, 60);
    w.service = law::hyperexponential;
    w.shared = true;
    adaptive limit;
    const figures f = simulation(w, limit, 1000).run();
    MESSAGE("c = ", c, ": mean limit ", f.limit, ", ", 100 * f.goodput / (100 * c), "% of what there is");
    CHECK(f.goodput > 0.85 * 100 * c);
    CHECK(f.limit < 5 * c);
  }
}
