// SPDX-License-Identifier: Apache-2.0
#include "seawall/brownout.hpp"
#include "seawall/degradation.hpp"
#include "seawall/feature_gate.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const degradation_options& o, const feature_gate_options& g,
                                  const brownout_options& b) {
  [[maybe_unused]] const auto& [name, levels, hold, step, max_signals, heeds, rejections, events] = o;
  [[maybe_unused]] const auto& [gate, up_to_level, percent, killed, gate_rejections, gate_events] = g;
  [[maybe_unused]] const auto& [brownout, set_point, percentile, period, min_samples, dimmer_min,
                                brownout_rejections, brownout_events] = b;
}

constexpr auto level_range = "entries: must be at least 1 and at most 16";
constexpr auto percent_range = "must be at least 0 and at most 100";
constexpr auto percentile_range = "must be at least 0.5 and at most 0.999";
constexpr auto dimmer_range = "must be at least 0 and at most 1";

const std::vector<bad_options<degradation_options>> bad_ladders = {
    {[](degradation_options& o) { o.levels.clear(); }, "levels", "0", level_range},
    {[](degradation_options& o) {
       o.levels.clear();
       for (int i = 0; i < 17; ++i) o.levels.push_back({std::to_string(i)});
     },
     "levels", "17", level_range},
    {[](degradation_options& o) { o.levels[1].name = ""; }, "levels[1].name", "empty", "must not be"},
    {[](degradation_options& o) { o.levels[3].name = "full"; }, "levels[3].name", "'full'",
     "must not be that of another level"},
    {[](degradation_options& o) { o.hold = -1ns; }, "hold", "-1ns", "must be at least 0 and at most 24h"},
    {[](degradation_options& o) { o.hold = 25h; }, "hold", "25h", "must be at least 0 and at most 24h"},
    {[](degradation_options& o) { o.step = 0; }, "step", "0", "must be at least 1 and at most 16"},
    {[](degradation_options& o) { o.step = 17; }, "step", "17", "must be at least 1 and at most 16"},
    {[](degradation_options& o) { o.max_signals = 0; }, "max_signals", "0",
     "must be at least 1 and at most 64"},
    {[](degradation_options& o) { o.max_signals = 65; }, "max_signals", "65",
     "must be at least 1 and at most 64"},
};
const good_options<degradation_options> good_ladders = {
    [](degradation_options&) {},
    [](degradation_options& o) { o.levels = {{"only"}}; },
    [](degradation_options& o) { o.hold = 0s; },
    [](degradation_options& o) { o.hold = 24h; },
    [](degradation_options& o) { o.step = 16; },
    [](degradation_options& o) { o.max_signals = 64; },
};

const std::vector<bad_options<feature_gate_options>> bad_gates = {
    {[](feature_gate_options& o) { o.percent = -0.1; }, "percent", "-0.1", percent_range},
    {[](feature_gate_options& o) { o.percent = 100.5; }, "percent", "100.5", percent_range},
    {[](feature_gate_options& o) { o.percent = not_a_number; }, "percent", "nan", percent_range},
};

const std::vector<bad_options<brownout_options>> bad_brownouts = {
    {[](brownout_options& o) { o.set_point = 999us; }, "set_point", "999us",
     "must be at least 1ms and at most 1min"},
    {[](brownout_options& o) { o.set_point = 61s; }, "set_point", "1.016min",
     "must be at least 1ms and at most 1min"},
    {[](brownout_options& o) { o.percentile = 0.49; }, "percentile", "0.49", percentile_range},
    {[](brownout_options& o) { o.percentile = 0.9991; }, "percentile", "0.9991", percentile_range},
    {[](brownout_options& o) { o.percentile = not_a_number; }, "percentile", "nan", percentile_range},
    {[](brownout_options& o) { o.period = 499ms; }, "period", "499ms",
     "must be at least set_point, 500ms, and at most 10min"},
    {[](brownout_options& o) { o.period = 11min; }, "period", "11min",
     "must be at least set_point, 500ms, and at most 10min"},
    {[](brownout_options& o) { o.dimmer_min = -0.1; }, "dimmer_min", "-0.1", dimmer_range},
    {[](brownout_options& o) { o.dimmer_min = 1.1; }, "dimmer_min", "1.1", dimmer_range},
    {[](brownout_options& o) { o.dimmer_min = not_a_number; }, "dimmer_min", "nan", dimmer_range},
    {[](brownout_options& o) { o.min_samples = 19; }, "min_samples", "19",
     "must be at least 1 / (1 - percentile), 20, and at most 1000000"},
    {[](brownout_options& o) { o.min_samples = 1'000'001; }, "min_samples", "1000001",
     "must be at least 1 / (1 - percentile), 20, and at most 1000000"},
};
const good_options<brownout_options> good_brownouts = {
    [](brownout_options&) {},
    [](brownout_options& o) { o.set_point = o.period = 1ms; },
    [](brownout_options& o) { o.set_point = o.period = 1min; },
    [](brownout_options& o) { o.period = 10min; },
    [](brownout_options& o) {
      o.percentile = 0.5;
      o.min_samples = 2;
    },
    [](brownout_options& o) {
      o.percentile = 0.999;
      o.min_samples = 1000;
    },
    [](brownout_options& o) { o.dimmer_min = 1; },
};

}  // namespace

TEST_CASE("options: degradation: every bad value is refused with field, value and range") {
  check_validate(bad_ladders);
  check_constructor<degradation>("degradation", bad_ladders);
  check_create<degradation>("degradation", bad_ladders);
}

TEST_CASE("options: feature gate: every bad value is refused with field, value and range") {
  check_validate(bad_gates);
  check_constructor<feature_gate>("feature_gate", bad_gates);
  check_create<feature_gate>("feature_gate", bad_gates);
  degradation ladder;
  CHECK_THROWS_WITH_AS(feature_gate(ladder, {.up_to_level = 4}),
                       "feature_gate: up_to_level is 4; must be at most 3, the worst level",
                       std::invalid_argument);
}

TEST_CASE("options: brownout: every bad value is refused with field, value and range") {
  check_validate(bad_brownouts);
  check_constructor<brownout>("brownout", bad_brownouts);
  check_create<brownout>("brownout", bad_brownouts);
}

TEST_CASE("options: degradation, brownout: values at the edge of their range are accepted") {
  check_accepted(good_ladders);
  check_accepted(good_brownouts);
}
