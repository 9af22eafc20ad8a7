// SPDX-License-Identifier: Apache-2.0
#include "seawall/throttle.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const throttle_options& o) {
  [[maybe_unused]] const auto& [name, multiplier, priorities, window, buckets, floor_per_second, counts,
                                rejections, events] = o;
}

using options = throttle_options;

constexpr auto multiplier_range = "must be at least 1 and at most 1000000";
constexpr auto floor_range = "must be at least 0 and at most 1000000";
constexpr auto bucket_range = "must be at least 1 and at most 255";
constexpr auto per_bucket = "must be at least 1us for each bucket";
constexpr auto rising = "must be greater than that of the entry before";
constexpr auto not_falling =
    "must be at least that of the entry before, of the first one multiplier, and at most 1000000";

const std::vector<bad_options<options>> bad = {
    {[](options& o) { o.multiplier = 0.99; }, "multiplier", "0.99", multiplier_range},
    {[](options& o) { o.multiplier = 1.1e6; }, "multiplier", "1.1e+06", multiplier_range},
    {[](options& o) { o.multiplier = not_a_number; }, "multiplier", "nan", multiplier_range},
    {[](options& o) {
       for (int i = 0; i < 9; ++i) o.priorities.push_back({.at_least = i});
     },
     "priorities", "9", "entries: must be at most 8"},
    {[](options& o) {
       o.priorities = {{.at_least = 3}, {.at_least = 3}};
     },
     "priorities.at_least", "3", rising},
    {[](options& o) { o.priorities = {{.at_least = 3, .multiplier = 1.9}}; }, "priorities.multiplier", "1.9",
     not_falling},
    {[](options& o) {
       o.priorities = {{.at_least = 3, .multiplier = 5}, {.at_least = 4, .multiplier = 4}};
     },
     "priorities.multiplier", "4", not_falling},
    {[](options& o) { o.priorities = {{.at_least = 3, .multiplier = not_a_number}}; },
     "priorities.multiplier", "nan", not_falling},
    {[](options& o) { o.buckets = 0; }, "buckets", "0", bucket_range},
    {[](options& o) { o.buckets = 256; }, "buckets", "256", bucket_range},
    {[](options& o) { o.window = 11999ns; }, "window", "11.999us", per_bucket},
    {[](options& o) { o.window = -1s; }, "window", "-1s", per_bucket},
    {[](options& o) { o.window = 25h; }, "window", "25h", "must be at most 24h"},
    {[](options& o) { o.floor_per_second = -1; }, "floor_per_second", "-1", floor_range},
    {[](options& o) { o.floor_per_second = 1.1e6; }, "floor_per_second", "1.1e+06", floor_range},
    {[](options& o) { o.floor_per_second = not_a_number; }, "floor_per_second", "nan", floor_range},
};

const good_options<options> good = {
    [](options&) {},
    [](options& o) { o.multiplier = 1; },
    [](options& o) {
      o.multiplier = 1e6;
      o.priorities = {{.at_least = -7, .multiplier = 1e6}};
    },
    [](options& o) {
      for (int i = 0; i < 8; ++i) o.priorities.push_back({.at_least = i});
    },
    [](options& o) { o.buckets = 1; },
    [](options& o) { o.buckets = 255; },
    [](options& o) { o.window = 12us; },
    [](options& o) { o.window = 24h; },
    [](options& o) { o.floor_per_second = 0; },
    [](options& o) { o.floor_per_second = 1e-12; },
    [](options& o) { o.floor_per_second = 1e6; },
};

}  // namespace

TEST_CASE("options: throttle: every bad value is refused with field, value and range") {
  check_validate(bad);
  check_constructor<adaptive_throttle>("throttle", bad);
  check_create<adaptive_throttle>("throttle", bad);
}

TEST_CASE("options: throttle: values at the edge of their range are accepted") { check_accepted(good); }
