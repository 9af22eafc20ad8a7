// SPDX-License-Identifier: Apache-2.0
#include "seawall/retry.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const retry_options& o, const retry_budget_options& b) {
  [[maybe_unused]] const auto& [name, max_attempts, max_duration, backoff, budget, pushback_max,
                                attempt_needs, nested] = o;
  [[maybe_unused]] const auto& [shape, initial, max, multiplier, jitter, share, delays, function] = backoff;
  [[maybe_unused]] const auto& [budget_name, ratio, floor_per_second, fleet, window, buckets] = b;
}

constexpr auto not_negative = "must not be negative";
constexpr auto positive = "must be positive";
constexpr auto share_range = "must be at least 0 and at most 1";
constexpr auto multiplier_range = "must be at least 1 and at most 1000";
constexpr auto delays_range = "entries: must be at least 1 and at most 10000 for backoff_shape::listed";

using options = retry_options;

const std::vector<bad_options<options>> bad_retries = {
    {[](options& o) { o.max_attempts = 0; }, "max_attempts", "0", "must be at least 1"},
    {[](options& o) { o.max_duration = 0s; }, "max_duration", "0s", positive},
    {[](options& o) { o.max_duration = -1s; }, "max_duration", "-1s", positive},
    {[](options& o) { o.pushback_max = -1ns; }, "pushback_max", "-1ns", not_negative},
    {[](options& o) { o.attempt_needs = -1ns; }, "attempt_needs", "-1ns", not_negative},
    {[](options& o) { o.backoff.max = -1ns; }, "backoff.max", "-1ns", not_negative},
    {[](options& o) { o.backoff.initial = -1ns; }, "backoff.initial", "-1ns", not_negative},
    {[](options& o) { o.backoff.initial = 10001ms; }, "backoff.initial", "10.001s",
     "must be at most max, 10s"},
    {[](options& o) { o.backoff.multiplier = 0.99; }, "backoff.multiplier", "0.99", multiplier_range},
    {[](options& o) { o.backoff.multiplier = 1001; }, "backoff.multiplier", "1001", multiplier_range},
    {[](options& o) { o.backoff.multiplier = not_a_number; }, "backoff.multiplier", "nan", multiplier_range},
    {[](options& o) { o.backoff.share = -0.01; }, "backoff.share", "-0.01", share_range},
    {[](options& o) { o.backoff.share = 1.01; }, "backoff.share", "1.01", share_range},
    {[](options& o) { o.backoff.share = not_a_number; }, "backoff.share", "nan", share_range},
    {[](options& o) { o.backoff.shape = backoff_shape::listed; }, "backoff.delays", "0", delays_range},
    {[](options& o) {
       o.backoff.shape = backoff_shape::listed;
       o.backoff.delays.assign(10'001, duration(1s));
     },
     "backoff.delays", "10001", delays_range},
    {[](options& o) {
       o.backoff.shape = backoff_shape::listed;
       o.backoff.delays = {1s, -1s, 1s};
     },
     "backoff.delays", "-1s", not_negative},
    {[](options& o) { o.backoff.shape = backoff_shape::custom; }, "backoff.function", "0",
     "must be set for backoff_shape::custom"},
};

const good_options<options> good_retries = {
    [](options&) {},
    [](options& o) { o.max_attempts = 1; },
    [](options& o) { o.max_attempts = UINT32_MAX; },
    [](options& o) { o.max_duration = 1ns; },
    [](options& o) { o.pushback_max = 0s; },
    [](options& o) { o.pushback_max = duration::infinite(); },
    [](options& o) { o.backoff.initial = o.backoff.max = 0s; },
    [](options& o) { o.backoff.initial = o.backoff.max = duration::infinite(); },
    [](options& o) { o.backoff.multiplier = 1; },
    [](options& o) { o.backoff.multiplier = 1000; },
    [](options& o) { o.backoff.share = 0; },
    [](options& o) { o.backoff.share = 1; },
    [](options& o) {
      o.backoff.shape = backoff_shape::listed;
      o.backoff.delays.assign(10'000, duration::zero());
    },
    [](options& o) {
      o.backoff.shape = backoff_shape::custom;
      o.backoff.function = [](std::uint32_t) { return duration(); };
    },
};

constexpr auto ratio_range = "must be at least 0 and at most 10";
constexpr auto floor_range = "must be at least 0 and at most 1000000";
constexpr auto bucket_range = "must be at least 1 and at most 255";
constexpr auto per_bucket = "must be at least 1us for each bucket";

using budget = retry_budget_options;

const std::vector<bad_options<budget>> bad_budgets = {
    {[](budget& o) { o.ratio = -0.01; }, "ratio", "-0.01", ratio_range},
    {[](budget& o) { o.ratio = 10.01; }, "ratio", "10.01", ratio_range},
    {[](budget& o) { o.ratio = not_a_number; }, "ratio", "nan", ratio_range},
    {[](budget& o) { o.floor_per_second = -1; }, "floor_per_second", "-1", floor_range},
    {[](budget& o) { o.floor_per_second = 1.1e6; }, "floor_per_second", "1.1e+06", floor_range},
    {[](budget& o) { o.floor_per_second = not_a_number; }, "floor_per_second", "nan", floor_range},
    {[](budget& o) { o.fleet = 0; }, "fleet", "0", "must be at least 1"},
    {[](budget& o) { o.buckets = 0; }, "buckets", "0", bucket_range},
    {[](budget& o) { o.buckets = 256; }, "buckets", "256", bucket_range},
    {[](budget& o) { o.window = 9999ns; }, "window", "9.999us", per_bucket},
    {[](budget& o) { o.window = 0s; }, "window", "0s", per_bucket},
    {[](budget& o) { o.window = -1s; }, "window", "-1s", per_bucket},
    {[](budget& o) { o.window = 25h; }, "window", "25h", "must be at most 24h"},
};

const good_options<budget> good_budgets = {
    [](budget&) {},
    [](budget& o) { o.ratio = 0; },
    [](budget& o) { o.ratio = 10; },
    [](budget& o) { o.floor_per_second = 0; },
    [](budget& o) { o.floor_per_second = 1e6; },
    [](budget& o) { o.fleet = 1; },
    [](budget& o) { o.fleet = UINT32_MAX; },
    [](budget& o) { o.buckets = 1; },
    [](budget& o) { o.buckets = 255; },
    [](budget& o) { o.window = 10us; },
    [](budget& o) { o.window = 24h; },
};

}  // namespace

TEST_CASE("options: retry: every bad value is refused with field, value and range") {
  check_validate(bad_retries);
}
TEST_CASE("options: retry: the layer throws what is wrong") {
  check_constructor<retry_layer>("retry", bad_retries);
}
TEST_CASE("options: retry: create returns what is wrong") { check_create<retry_layer>("retry", bad_retries); }
TEST_CASE("options: retry: any_pipeline says which layer is wrong, and what") {
  check_any_pipeline("retry", bad_retries);
}
TEST_CASE("options: retry: values at the edge of their range are accepted") { check_accepted(good_retries); }

TEST_CASE("options: retry_budget: every bad value is refused with field, value and range") {
  check_validate(bad_budgets);
}
TEST_CASE("options: retry_budget: the constructor throws what is wrong") {
  check_constructor<retry_budget>("retry_budget", bad_budgets);
}
TEST_CASE("options: retry_budget: create returns what is wrong") {
  check_create<retry_budget>("retry_budget", bad_budgets);
}
TEST_CASE("options: retry_budget: reconfigure refuses what the constructor refuses, and other buckets") {
  retry_budget b;
  for (const auto& row : bad_budgets) {
    const auto error = b.reconfigure(row.made());
    REQUIRE(error);
    CHECK(error->text("retry_budget") == row.text("retry_budget"));
  }
  const auto error = b.reconfigure({.buckets = 11});
  REQUIRE(error);
  CHECK(error->text("retry_budget") == "retry_budget: buckets is 11; cannot be changed: 10");
}
TEST_CASE("options: retry_budget: values at the edge of their range are accepted") {
  check_accepted(good_budgets);
}
