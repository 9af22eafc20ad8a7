// SPDX-License-Identifier: Apache-2.0
// Which calls suffer: the switch, rates, scripts, the seed, the bound, the predicate.
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/chaos.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

constexpr instant t0 = instant::from_ns(1'000'000'000);

std::vector<fault_kind> first(chaos& c, int n, instant now = t0) {
  std::vector<fault_kind> seen;
  for (int i = 0; i < n; ++i) seen.push_back(c.next(now).kind);
  return seen;
}

chaos_options some_of_each() {
  return {.enabled = true,
          .faults = {{.kind = fault_kind::failure, .rate = 0.2},
                     {.kind = fault_kind::latency, .rate = 0.1, .delay = 1ms},
                     {.kind = fault_kind::hang, .rate = 0.05},
                     {.kind = fault_kind::result, .rate = 0.15}}};
}

}  // namespace

TEST_CASE("chaos: is off unless it is switched on, and can be switched at run time") {
  auto o = some_of_each();
  o.enabled = chaos_options().enabled;
  o.faults = {{.rate = 1}};
  chaos c(o);
  CHECK(c.next(t0).kind == fault_kind::none);
  CHECK(c.snapshot().calls == 0);
  c.enable();
  CHECK(c.next(t0).kind == fault_kind::failure);
  c.disable();
  CHECK(c.next(t0).kind == fault_kind::none);
  CHECK(c.snapshot().calls == 1);
}

TEST_CASE("chaos: the rates are shares of all calls") {
  chaos c(some_of_each());
  constexpr int n = 100'000;
  first(c, n);
  const chaos_snapshot s = c.snapshot();
  // Five standard deviations.
  const auto near = [](std::uint64_t seen, double rate) {
    return std::abs(static_cast<double>(seen) - n * rate) < 5 * std::sqrt(n * rate * (1 - rate));
  };
  CHECK(s.calls == n);
  CHECK(near(s.failures, 0.2));
  CHECK(near(s.latencies, 0.1));
  CHECK(near(s.hangs, 0.05));
  CHECK(near(s.results, 0.15));
}

TEST_CASE("chaos: a rate of 1 hits every call, a rate of 0 none") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::hang, .rate = 0}, {.rate = 1}}});
  CHECK(first(c, 1000) == std::vector<fault_kind>(1000, fault_kind::failure));
}

TEST_CASE("chaos: the same seed gives the same faults, and so does reconfiguring; another one does not") {
  chaos a(some_of_each()), b(some_of_each());
  const auto seen = first(a, 200);
  CHECK(first(b, 200) == seen);
  CHECK(first(b, 200) != seen);
  REQUIRE_FALSE(b.reconfigure(some_of_each()));
  CHECK(first(b, 200) == seen);
  auto other = some_of_each();
  other.seed = 2;
  chaos d(other);
  CHECK(first(d, 200) != seen);
}

TEST_CASE("chaos: a script says what happens to which call, and for how long") {
  chaos c(
      {.enabled = true,
       .script =
           "until 1s: fail, ok after 20ms, hang, wrong, not_found x2, ok; until 2s: fail x3, ok x7 ...; ok"});
  using k = fault_kind;
  CHECK(first(c, 8) ==
        std::vector{k::failure, k::latency, k::hang, k::result, k::failure, k::failure, k::none, k::none});
  const auto round = first(c, 20, t0 + duration(1s));
  int failed = 0;
  for (const k f : round) failed += f == k::failure;
  CHECK(failed == 6);
  CHECK(first(c, 100, t0 + duration(2s)) == std::vector<k>(100, k::none));
}

TEST_CASE("chaos: a script counts from the first call after it was switched on") {
  chaos c({.enabled = true, .script = "until 1s: fail; ok"});
  CHECK(c.next(t0 + duration(1h)).kind == fault_kind::failure);
  CHECK(c.next(t0 + duration(1h) + duration(999ms)).kind == fault_kind::failure);
  CHECK(c.next(t0 + duration(1h) + duration(1s)).kind == fault_kind::none);
  c.disable();
  c.enable();
  CHECK(c.next(t0 + duration(2h)).kind == fault_kind::failure);
}

TEST_CASE("chaos: what a script leaves alone is left to the rates") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::hang, .rate = 1}}, .script = "fail, ok"});
  CHECK(first(c, 3) == std::vector{fault_kind::failure, fault_kind::hang, fault_kind::hang});
}

TEST_CASE("chaos: a script draws by the seed where chance decides") {
  const chaos_options o{.enabled = true, .script = "fail at 25%", .seed = 7};
  chaos a(o), b(o);
  const auto seen = first(a, 10'000);
  CHECK(first(b, 10'000) == seen);
  const auto failures = static_cast<double>(a.snapshot().failures);
  CHECK(std::abs(failures - 2500) < 5 * std::sqrt(10'000 * 0.25 * 0.75));
}

TEST_CASE("chaos: delays: fixed, uniform, exponential, of one's own; never beyond max_delay") {
  const auto delays = [](fault f) {
    f.kind = fault_kind::latency;
    f.rate = 1;
    chaos c({.enabled = true, .faults = {f}, .max_delay = 1s});
    std::vector<double> out;
    for (int i = 0; i < 10'000; ++i) out.push_back(c.next(t0).delay.seconds() * 1e3);
    return out;
  };
  const auto mean = [](const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
  };
  const auto within = [](const std::vector<double>& v, double least, double most) {
    for (const double x : v) {
      if (x < least || x > most) return false;
    }
    return true;
  };
  CHECK(within(delays({.delay = 5ms}), 5, 5));
  const auto uniform = delays({.delay = 10ms, .shape = delay_shape::uniform, .delay_max = 30ms});
  CHECK(within(uniform, 10, 30));
  CHECK(mean(uniform) == doctest::Approx(20).epsilon(0.02));
  const auto exponential = delays({.delay = 20ms, .shape = delay_shape::exponential});
  CHECK(mean(exponential) == doctest::Approx(20).epsilon(0.05));
  CHECK(within(exponential, 0, 1000));
  CHECK(within(delays({.delay = 20ms, .shape = delay_shape::exponential, .delay_max = 25ms}), 0, 25));
  const auto own = [](duration d) {
    return fault{.shape = delay_shape::custom, .delay_from = [d](random_source&) { return d; }};
  };
  CHECK(within(delays(own(7ms)), 7, 7));
  CHECK(within(delays(own(2h)), 1000, 1000));
  CHECK(within(delays(own(-1s)), 0, 0));
}

TEST_CASE("chaos: no more calls are held at once than allowed; the others go unhurt, and are counted") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::hang, .rate = 1}}, .max_at_once = 2});
  auto a = c.next(t0);
  {
    const auto b = c.next(t0);
    CHECK(b.kind == fault_kind::hang);
    CHECK(c.next(t0).kind == fault_kind::none);
    CHECK(c.snapshot().active == 2);
  }
  CHECK(c.next(t0).kind == fault_kind::hang);
  auto moved = std::move(a);
  CHECK(c.snapshot().active == 1);
  CHECK(c.snapshot().withheld == 1);
}

TEST_CASE("chaos: reconfiguring keeps counts and calls that are held, and refuses bad options") {
  chaos c({.enabled = true, .faults = {{.kind = fault_kind::hang, .rate = 1, .text = "kept"}}});
  const auto held = c.next(t0);
  REQUIRE_FALSE(c.reconfigure({.enabled = true}));
  CHECK(c.next(t0).kind == fault_kind::none);
  CHECK(c.snapshot().active == 1);
  CHECK(c.snapshot().hangs == 1);
  const auto bad = c.reconfigure({.enabled = true, .script = "explode"});
  REQUIRE(bad);
  CHECK(bad->field == "script");
  REQUIRE_FALSE(c.reconfigure({}));
  CHECK_FALSE(c.enabled());
}
