// SPDX-License-Identifier: Apache-2.0
// The brownout in a discrete-event simulation: a service with so many workers, first come first served, whose requests are of
// mandatory and of optional work. A crowd of three times the usual load comes, of which only the mandatory work fits.
//
//   SEAWALL_SEEDS=<count> tries more of them.

#include "seawall/brownout.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/random.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace seawall;

struct crowd {
  std::string name = {};
  bool lognormal = false;  ///< service times; else exponential
  double usual =
      0.5;  ///< load with all optional content, in capacities; three times as much from `begins` on
  double begins = 10, ends = 60;
  double optional = 0.6;  ///< of the work of a request
};

struct answered {
  double at, took;
};

class service {
 public:
  static constexpr std::size_t workers = 160;
  static constexpr double mean_service = 0.025;

  service(const crowd& c, std::uint64_t seed, const brownout_options& o)
      : crowd_(c), arrivals_(seed), work_(seed + 1'000), draws_(seed + 2'000), brownout_(o) {
    for (std::size_t i = 0; i < workers; ++i) free_at_.push(0);
  }

  /// All answers, in the order in which they were given.
  std::vector<answered> run(double until) {
    std::vector<answered> all;
    for (double now = 0; now < until;) {
      const double load = crowd_.usual * (now >= crowd_.begins && now < crowd_.ends ? 3 : 1);
      now += exponential(arrivals_) * mean_service / (load * static_cast<double>(workers));
      const double begins = std::max(now, free_at_.top());
      free_at_.pop();
      // First come, first served: what ends before this request begins has begun already.
      for (; !under_way_.empty() && under_way_.top().at <= begins; under_way_.pop()) {
        const answered a = under_way_.top();
        brownout_.observe(std::chrono::duration<double>(a.took), instant_of(a.at));
        all.push_back(a);
      }
      double work = (1 - crowd_.optional) * draw();
      if (brownout_.serve_optional(draws_)) work += crowd_.optional * draw();
      const double ends = begins + work * mean_service;
      free_at_.push(ends);
      under_way_.push({ends, ends - now});
    }
    return all;
  }
  const brownout& controller() const { return brownout_; }

 private:
  struct later {
    bool operator()(const answered& a, const answered& b) const { return a.at > b.at; }
  };

  static double exponential(random_source& r) { return -std::log(1 - r.unit()); }
  double draw() {
    if (!crowd_.lognormal) return exponential(work_);
    const double normal = std::sqrt(2 * exponential(work_)) * std::cos(6.283185307179586 * work_.unit());
    return std::exp(normal - 0.5);  // mean 1, coefficient of variation 1.31
  }
  static instant instant_of(double t) { return instant::from_ns(static_cast<std::int64_t>(t * 1e9)); }

  const crowd crowd_;
  random_source arrivals_, work_, draws_;
  brownout brownout_;
  std::priority_queue<double, std::vector<double>, std::greater<double>> free_at_;
  std::priority_queue<answered, std::vector<answered>, later> under_way_;
};

double p95(const std::vector<answered>& all, double from, double until) {
  std::vector<double> took;
  for (const answered& a : all) {
    if (a.at >= from && a.at < until) took.push_back(a.took);
  }
  const auto rank = took.begin() + static_cast<std::ptrdiff_t>(0.95 * static_cast<double>(took.size()));
  std::nth_element(took.begin(), rank, took.end());
  return *rank;
}

constexpr double set_point = 0.25;
brownout_options usual_options() {
  return {.set_point = std::chrono::duration<double>(set_point), .period = std::chrono::seconds(1)};
}

std::uint64_t seeds(std::uint64_t usual) {
  return from_environment("SEAWALL_SEEDS").value_or(std::max<std::uint64_t>(usual / slowdown, 1));
}

}  // namespace

// All requests of the periods from the 20th after the crowd came to its end, together: ten periods alone have some noise of
// their own, and are printed.
TEST_CASE(
    "brownout: p95 is within 10% of its set point from 20 periods after a crowd of three times the usual load") {
  for (const bool lognormal : {false, true}) {
    for (const double usual : {0.4, 0.5, 0.6}) {
      for (std::uint64_t seed = 1; seed <= seeds(2); ++seed) {
        const crowd c{.lognormal = lognormal, .usual = usual};
        service s(c, seed, usual_options());
        const std::vector<answered> all = s.run(c.ends);
        const double kept = p95(all, c.begins + 20, c.ends) / set_point;
        MESSAGE(std::string(lognormal ? "lognormal" : "exponential"), ", usual load ", usual, ", seed ", seed,
                ": ", kept,
                " set points; 10 periods each: ", p95(all, c.begins + 20, c.begins + 30) / set_point, ", ",
                p95(all, c.begins + 30, c.begins + 40) / set_point, ", ",
                p95(all, c.begins + 40, c.begins + 50) / set_point, "; dimmer at the end ",
                s.controller().dimmer());
        CHECK(kept == doctest::Approx(1).epsilon(0.1));
      }
    }
  }
}

// The comparison: without a controller the same crowd makes a queue that never stops growing.
TEST_CASE("brownout: without it the same crowd drives p95 far beyond, so that the test above can fail") {
  const crowd c{.usual = 0.5};
  auto all_or_nothing = usual_options();
  all_or_nothing.dimmer_min = 1;
  const std::vector<answered> all = service(c, 1, all_or_nothing).run(c.ends);
  CHECK(p95(all, c.begins + 20, c.ends) > 10 * set_point);
}

TEST_CASE("brownout: when the crowd has gone, all optional content is back") {
  const crowd c{.usual = 0.5, .begins = 5, .ends = 30};
  service s(c, 1, usual_options());
  const std::vector<answered> all = s.run(90);
  CHECK(s.controller().dimmer() == 1);
  CHECK(p95(all, 80, 90) < set_point);
}
