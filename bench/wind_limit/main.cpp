// SPDX-License-Identifier: Apache-2.0

// The figures of docs/adaptive_limit.md: every law in front of every workload, in per cent of the best static
// limit for the same calls; with `losses`, what a server that loses nearly all of itself still does, and how
// long a start far too high lasts; with `chart`, how the limit follows a server that loses half of itself and
// gets it back, as SVG.
//
//   bench_wind_limit [tuned|kept|<draw>|losses [seeds]] > table.md      bench_wind_limit chart > chart.svg
//
// A draw is the seed of a set of workloads, such as 20261121.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "support/served.hpp"

namespace {

using namespace served;

workload open(std::string name, double c, double load, law l = law::exponential) {
  workload w;
  w.name = std::move(name);
  w.servers = c;
  w.service = l;
  w.phases = {{.servers = c, .load = load}};
  return w;
}
workload slower(std::string name, double contention, double coherence, double load) {
  workload w = open(std::move(name), 16, load);
  w.phases[0].servers = 1000;
  w.contention = contention;
  w.coherence = coherence;
  w.bound = 10;
  return w;
}

/// On which the constants were chosen.
std::vector<workload> looked_at() {
  std::vector<workload> all;
  for (const int c : {4, 16, 64}) {
    const std::string n = "M/M/" + std::to_string(c);
    for (const double load : {0.9, 1.0, 1.5, 2.0, 5.0}) {
      char text[40];
      std::snprintf(text, sizeof text, "%s, load %.1f", n.c_str(), load);
      all.push_back(open(text, c, load));
    }
    for (const law l : {law::deterministic, law::lognormal, law::hyperexponential, law::pareto})
      all.push_back(open(std::string(name(l)) + ", c = " + std::to_string(c) + ", load 2", c, 2, l));
    workload closed = open("closed, " + std::to_string(4 * c) + " clients, c = " + std::to_string(c), c, 1);
    closed.clients = static_cast<unsigned>(4 * c);
    all.push_back(closed);
  }
  all.push_back(slower("contention .05, coherence .0005, load 2", 0.05, 0.0005, 2));
  all.push_back(slower("contention .1, coherence .0002, load 2", 0.1, 0.0002, 2));
  all.push_back(slower("contention 0, coherence .01, load 2", 0, 0.01, 2));
  workload w = open("bursts of 0.6 s, c = 16, load .9", 16, 0.9);
  w.on_share = 0.3, w.burst_seconds = 2;
  all.push_back(w);
  w = open("bursts of 30 ms, c = 16, load .9", 16, 0.9);
  w.on_share = 0.3, w.burst_seconds = 0.1;
  all.push_back(w);
  w = open("20 ms of network, c = 16, load 2", 16, 2);
  w.network = 0.02;
  all.push_back(w);
  w = open("server refuses beyond 24, c = 16, load 2", 16, 2);
  w.room = 24;
  all.push_back(w);
  w = open("callers give up after 100 ms, c = 16, load 3", 16, 3);
  w.timeout = 0.1, w.bound = 10;
  all.push_back(w);
  return all;
}

/// Kept back; printed twice, and seen, before the last changes to the law.
std::vector<workload> held_out() {
  std::vector<workload> all;
  all.push_back(open("M/M/8, load 1.3", 8, 1.3));
  all.push_back(open("M/M/32, load 3", 32, 3));
  all.push_back(open("M/M/2, load 2", 2, 2));
  all.push_back(open("M/M/150, load 1.2", 150, 1.2));
  all.push_back(open("lognormal, c = 24, load 1.1", 24, 1.1, law::lognormal));
  all.push_back(open("hyperexponential, c = 8, load 4", 8, 4, law::hyperexponential));
  all.push_back(open("pareto, c = 40, load 1.4", 40, 1.4, law::pareto));
  all.push_back(slower("contention .03, coherence .002, load 3", 0.03, 0.002, 3));
  all.push_back(slower("contention .15, coherence .001, load 1.5", 0.15, 0.001, 1.5));
  workload w = open("shared processors, c = 8, load 1.5", 8, 1.5);
  w.shared = true;
  all.push_back(w);
  w = open("closed, 30 clients, c = 10, lognormal", 10, 1, law::lognormal);
  w.clients = 30;
  all.push_back(w);
  w = open("arrivals at equal distances, c = 12, load 1.2", 12, 1.2);
  w.regular = true;
  all.push_back(w);
  w = open("bursts of 0.25 s, c = 32, load 1", 32, 1);
  w.on_share = 0.5, w.burst_seconds = 0.5;
  all.push_back(w);
  w = open("5 ms of network, c = 24, load 2, lognormal", 24, 2, law::lognormal);
  w.network = 0.005;
  all.push_back(w);
  return all;
}

/// Drawn at random. docs/adaptive_limit.md tells which draws were seen before which change of the law.
std::vector<workload> drawn(std::uint64_t draw) {
  std::vector<workload> all;
  seawall::random_source r(draw);
  for (int i = 0; i < 16; ++i) {
    const double c = std::floor(3 * std::pow(50, r.unit()));
    const double load = 1.05 * std::pow(4, r.unit());
    const law l = static_cast<law>(r.up_to(4));
    workload w = open("", c, load, l);
    const char* what = "";
    switch (r.up_to(3)) {
      case 0: w.shared = true, what = ", shared"; break;
      case 1: w.network = 0.02 * r.unit(), what = ", network"; break;
      case 2:
        w.contention = 0.1 * r.unit(), w.coherence = 0.002 * r.unit();
        w.bound = 10, what = ", slower with each call";
        break;
      default: break;
    }
    char text[96];
    std::snprintf(text, sizeof text, "%s, c = %.0f, load %.2f%s", name(l), c, load, what);
    w.name = text;
    all.push_back(w);
  }
  return all;
}

/// Each within the bounds that it was published with.
struct entry {
  const char* name;
  seawall::limit_algorithm algorithm;
  std::uint32_t least, most;
};
const entry entries[] = {{"own", seawall::knee_limit{}, 1, 10'000},
                         {"AIMD", seawall::aimd_limit{}, 20, 200},
                         {"Vegas", seawall::vegas_limit{}, 1, 1000},
                         {"Gradient2", seawall::gradient2_limit{}, 20, 200}};

void print(const char* title, const std::vector<workload>& all, int seeds) {
  std::printf("\n%s\n\n| workload | best static | own: limit, latency |", title);
  for (const entry& e : entries) std::printf(" %s |", e.name);
  std::printf(" own, power |\n|---|---|---|");
  for (std::size_t i = 0; i <= std::size(entries); ++i) std::printf("---|");
  std::printf("\n");
  std::vector<double> sums(std::size(entries));
  double lowest = 1e9;
  int below = 0;
  for (const workload& w : all) {
    const best b = best_static(w, 7);
    double powers = 0;
    for (double l = 1; l < 6 * w.servers; l = std::max(l + 1, std::floor(l * 1.08))) {
      static_limit s(l);
      powers = std::max(powers, simulation(w, s, 7).run().power());
    }
    figures own;
    std::string row;
    double power = 0;
    for (std::size_t i = 0; i < std::size(entries); ++i) {
      figures f;
      for (int seed = 0; seed < seeds; ++seed) {
        adaptive limit(
            {.algorithm = entries[i].algorithm, .min_limit = entries[i].least, .max_limit = entries[i].most});
        const figures one = simulation(w, limit, 1000 + static_cast<std::uint64_t>(seed)).run();
        f.goodput += one.goodput / seeds;
        f.latency += one.latency / seeds;
        f.limit += one.limit / seeds;
        if (i == 0) power += one.power() / seeds / powers;
      }
      const double score = f.goodput / b.f.goodput;
      sums[i] += score / static_cast<double>(all.size());
      if (i == 0) own = f, lowest = std::min(lowest, score), below += score < 0.95;
      char text[32];
      std::snprintf(text, sizeof text, " %.1f |", 100 * score);
      row += text;
    }
    std::printf("| %s | %.0f | %.0f, %.2f |%s %.0f |\n", w.name.c_str(), b.limit, own.limit,
                own.latency / w.mean_service, row.c_str(), 100 * power);
    std::fflush(stdout);
  }
  std::printf("| **mean** | | |");
  for (const double s : sums) std::printf(" **%.1f** |", 100 * s);
  std::printf(" |\n\nOwn: lowest %.1f, %d of %zu below 95.\n", 100 * lowest, below, all.size());
}

void chart() {
  std::printf(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"620\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"900\" height=\"620\" fill=\"#fff\"/>\n");
  int panel = 0;
  for (const double c : {4.0, 16.0, 64.0}) {
    workload w = open("", c, 2);
    w.phases = {{.servers = c}, {.at = 40, .servers = c / 2}, {.at = 80, .servers = c}};
    w.seconds = 120;
    const double top = 10 + 200 * panel++, height = 170, most = 2.5 * c;
    const auto y = [&](double v) { return top + height * (1 - std::min(v, most) / most); };
    const auto x = [](double t) { return 60 + t * 6.8; };
    std::printf("<text x=\"4\" y=\"%.0f\">c = %.0f</text>\n", top + 12, c);
    std::printf(
        "<polyline fill=\"none\" stroke=\"#999\" points=\"%.0f,%.0f %.0f,%.0f %.0f,%.0f %.0f,%.0f %.0f,%.0f "
        "%.0f,%.0f\"/>\n",
        x(0), y(c), x(40), y(c), x(40), y(c / 2), x(80), y(c / 2), x(80), y(c), x(120), y(c));
    adaptive limit;
    std::printf("<polyline fill=\"none\" stroke=\"#06c\" points=\"");
    simulation s(
        w, limit, 3, [&](double t) { std::printf("%.1f,%.1f ", x(t), y(limit.seen().settled_limit)); }, 0.1);
    s.run();
    std::printf("\"/>\n");
  }
  std::printf("</svg>\n");
}

/// A server that loses more of itself than half, and gets it back a minute later: answers in time in that minute.
void losses(int seeds) {
  std::printf(
      "\n| servers, left | %% of what is left, from 2 s | from 10 s | from 30 s |\n|---|---|---|---|\n");
  const std::pair<double, double> all[] = {{64, 32}, {64, 16}, {64, 8}, {64, 4}, {200, 20}, {16, 4}, {16, 2}};
  for (const auto& [from, left] : all) {
    workload w = open("", from, 2);
    w.phases = {{.servers = from}, {.at = 40, .servers = left}};
    w.seconds = 100;
    std::vector<simulation::span> sums{{42, 100}, {50, 100}, {70, 100}};
    for (int seed = 0; seed < seeds; ++seed) {
      adaptive limit;
      std::vector<simulation::span> spans{{42, 100}, {50, 100}, {70, 100}};
      simulation(w, limit, 1000 + static_cast<std::uint64_t>(seed)).run(spans);
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i].f.goodput += spans[i].f.goodput / seeds / left;
    }
    std::printf("| %.0f, %.0f | %.1f | %.1f | %.1f |\n", from, left, sums[0].f.goodput, sums[1].f.goodput,
                sums[2].f.goodput);
  }
}

/// From an `initial_limit` of 1000 in overload: when the limit is first below c + 5 sqrt(c), in each of four runs.
void far_too_high() {
  for (const double c : {4.0, 16.0}) {
    std::printf("\nc = %.0f, seconds (windows):", c);
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      workload w = open("", c, 2);
      w.seconds = 1500;
      adaptive limit({.initial_limit = 1000});
      double at = -1;
      unsigned long long windows = 0;
      const auto look = [&](double t) {
        const auto seen = limit.seen();
        if (at >= 0 || seen.settled_limit > c + 5 * std::sqrt(c)) return;
        at = t;
        windows = seen.windows;
      };
      simulation(w, limit, seed, look, 0.1).run();
      if (at < 0) {
        std::printf(" not within 1500;");
      } else {
        std::printf(" %.0f (%llu);", at, windows);
      }
    }
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "chart") {
    chart();
    return 0;
  }
  const std::string set = argc > 1 ? argv[1] : "";
  if (set == "losses") {
    losses(argc > 2 ? std::atoi(argv[2]) : 4);
    far_too_high();
    return 0;
  }
  const int seeds = argc > 2 ? std::atoi(argv[2]) : 3;
  if (set.empty() || set == "tuned") print("Tuned on:", looked_at(), seeds);
  if (set.empty() || set == "kept") print("Kept back:", held_out(), seeds);
  for (const char* draw : {"20261121", "20261122", "20261123"})
    if (set.empty())
      print((std::string("Draw ") + draw + ":").c_str(), drawn(std::strtoull(draw, nullptr, 10)), seeds);
  if (!set.empty() && set.find_first_not_of("0123456789") == std::string::npos)
    print(("Draw " + set + ":").c_str(), drawn(std::strtoull(set.c_str(), nullptr, 10)), seeds);
  return 0;
}
