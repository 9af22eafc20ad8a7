// SPDX-License-Identifier: Apache-2.0
#include "seawall/hedge.hpp"
#include "seawall/latency_window.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const hedge_options& o, const latency_window_options& w) {
  [[maybe_unused]] const auto& [name, max_attempts, after, quantile, minimum_samples, until_known, after_min,
                                window, latencies, reissue, budget, reached_max, wins_min, load, load_max,
                                attempt_needs] = o;
  [[maybe_unused]] const auto& [window_name, length, slices, shortest, longest] = w;
}

constexpr auto not_negative = "must not be negative";
constexpr auto attempts_range = "must be at least 1 and at most 4";
constexpr auto quantile_range = "must be at least 0.5 and at most 0.9999";
constexpr auto share_range = "must be at least 0 and at most 1";
constexpr auto wins_range = "must be at least 0 and at most 0.4";
constexpr auto load_range = "must be at least 0 and at most 1000000000";
constexpr auto slices_range = "must be at least 1 and at most 255";
constexpr auto per_slice = "must be at least 10ms for each slice";

using options = hedge_options;

const std::vector<bad_options<options>> bad_hedges = {
    {[](options& o) { o.max_attempts = 0; }, "max_attempts", "0", attempts_range},
    {[](options& o) { o.max_attempts = 5; }, "max_attempts", "5", attempts_range},
    {[](options& o) { o.after = -1ns; }, "after", "-1ns", not_negative},
    {[](options& o) { o.quantile = 0.49; }, "quantile", "0.49", quantile_range},
    {[](options& o) { o.quantile = 1; }, "quantile", "1", quantile_range},
    {[](options& o) { o.quantile = not_a_number; }, "quantile", "nan", quantile_range},
    {[](options& o) { o.minimum_samples = 0; }, "minimum_samples", "0", "must be at least 1"},
    {[](options& o) { o.until_known = -1ns; }, "until_known", "-1ns", not_negative},
    {[](options& o) { o.after_min = -1ns; }, "after_min", "-1ns", not_negative},
    {[](options& o) { o.window.slices = 0; }, "window.slices", "0", slices_range},
    {[](options& o) { o.window.window = 99ms; }, "window.window", "99ms", per_slice},
    {[](options& o) { o.reissue = -0.01; }, "reissue", "-0.01", share_range},
    {[](options& o) { o.reissue = 1.01; }, "reissue", "1.01", share_range},
    {[](options& o) { o.reissue = not_a_number; }, "reissue", "nan", share_range},
    {[](options& o) { o.reached_max = -0.01; }, "reached_max", "-0.01", share_range},
    {[](options& o) { o.reached_max = 1.01; }, "reached_max", "1.01", share_range},
    {[](options& o) { o.reached_max = not_a_number; }, "reached_max", "nan", share_range},
    {[](options& o) { o.wins_min = -0.01; }, "wins_min", "-0.01", wins_range},
    {[](options& o) { o.wins_min = 0.41; }, "wins_min", "0.41", wins_range},
    {[](options& o) { o.wins_min = not_a_number; }, "wins_min", "nan", wins_range},
    {[](options& o) { o.load_max = -1; }, "load_max", "-1", load_range},
    {[](options& o) { o.load_max = infinity; }, "load_max", "inf", load_range},
    {[](options& o) { o.load_max = not_a_number; }, "load_max", "nan", load_range},
    {[](options& o) { o.attempt_needs = -1ns; }, "attempt_needs", "-1ns", not_negative},
};

const good_options<options> good_hedges = {
    [](options&) {},
    [](options& o) { o.max_attempts = 1; },
    [](options& o) { o.max_attempts = 4; },
    [](options& o) { o.after = 0s; },
    [](options& o) { o.after = duration::infinite(); },
    [](options& o) { o.quantile = 0.5; },
    [](options& o) { o.quantile = 0.9999; },
    [](options& o) { o.minimum_samples = 1; },
    [](options& o) { o.until_known = 0s; },
    [](options& o) { o.after_min = 0s; },
    [](options& o) { o.reissue = 0; },
    [](options& o) { o.reached_max = 1; },
    [](options& o) { o.wins_min = 0; },
    [](options& o) { o.wins_min = 0.4; },
    [](options& o) { o.load_max = 0; },
    [](options& o) { o.load_max = 1e9; },
};

using window = latency_window_options;

const std::vector<bad_options<window>> bad_windows = {
    {[](window& o) { o.slices = 0; }, "slices", "0", slices_range},
    {[](window& o) { o.slices = 256; }, "slices", "256", slices_range},
    {[](window& o) { o.window = 99'999'999ns; }, "window", "99.999ms", per_slice},
    {[](window& o) { o.window = 0s; }, "window", "0s", per_slice},
    {[](window& o) { o.window = -1h; }, "window", "-1h", per_slice},
    {[](window& o) { o.window = 25h; }, "window", "25h", "must be at most 24h"},
    {[](window& o) { o.shortest = 15ns; }, "shortest", "15ns", "must be at least 16ns"},
    {[](window& o) { o.longest = 25h; }, "longest", "25h", "must be at most 24h"},
    {[](window& o) { o.longest = 19us; }, "longest", "19us", "must be at least twice shortest, 10us"},
};

const good_options<window> good_windows = {
    [](window&) {},
    [](window& o) { o.slices = 1; },
    [](window& o) { o.slices = 255, o.window = 2550ms; },
    [](window& o) { o.window = 100ms; },
    [](window& o) { o.window = 24h; },
    [](window& o) { o.shortest = 16ns, o.longest = 32ns; },
    [](window& o) { o.shortest = 16ns, o.longest = 24h; },
};

}  // namespace

TEST_CASE("options: hedge: every bad value is refused with field, value and range") {
  check_validate(bad_hedges);
}
TEST_CASE("options: hedge: the layer throws what is wrong") {
  check_constructor<hedge_layer>("hedge", bad_hedges);
}
TEST_CASE("options: hedge: create returns what is wrong") { check_create<hedge_layer>("hedge", bad_hedges); }
TEST_CASE("options: hedge: any_pipeline says which layer is wrong, and what") {
  check_any_pipeline("hedge", bad_hedges);
}
TEST_CASE("options: hedge: reconfigure refuses what the constructor refuses") {
  const hedge_layer h = hedge();
  for (const auto& row : bad_hedges) {
    const auto error = h.reconfigure(row.made());
    REQUIRE(error);
    CHECK(error->text("hedge") == row.text("hedge"));
  }
}
TEST_CASE("options: hedge: values at the edge of their range are accepted") { check_accepted(good_hedges); }

TEST_CASE("options: latency_window: every bad value is refused with field, value and range") {
  check_validate(bad_windows);
}
TEST_CASE("options: latency_window: the constructor throws what is wrong") {
  check_constructor<latency_window>("latency_window", bad_windows);
}
TEST_CASE("options: latency_window: create returns what is wrong") {
  check_create<latency_window>("latency_window", bad_windows);
}
TEST_CASE("options: latency_window: reconfigure refuses what the constructor refuses, and what is fixed") {
  latency_window w;
  for (const auto& row : bad_windows) {
    const auto error = w.reconfigure(row.made());
    REQUIRE(error);
    CHECK(error->text("latency_window") == row.text("latency_window"));
  }
  CHECK(w.reconfigure({.slices = 11})->text("w") == "w: slices is 11; cannot be changed: 10");
  CHECK(w.reconfigure({.shortest = 1ms})->text("w") == "w: shortest is 1ms; cannot be changed: 10us");
  CHECK(w.reconfigure({.longest = 1h})->text("w") == "w: longest is 1h; cannot be changed: 1min");
}
TEST_CASE("options: latency_window: values at the edge of their range are accepted, and can be recorded in") {
  check_accepted(good_windows);
  for (const auto change : good_windows) {
    window o;
    change(o);
    latency_window w(o);
    for (const duration d : {duration::zero(), o.shortest, o.longest, duration::infinite()})
      w.record(d, instant());
    CHECK(w.count(instant()) == 4);
  }
}
