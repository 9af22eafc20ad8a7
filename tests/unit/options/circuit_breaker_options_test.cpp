// SPDX-License-Identifier: Apache-2.0
#include "seawall/circuit_breaker.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

using options = circuit_breaker_options;

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const options& o) {
  [[maybe_unused]] const auto& [name, over_time, last_calls, slow, failures_in_period, consecutive_failures,
                                trip_when, open_for, open_growth, open_jitter, open_for_max, half_open,
                                recovery, rejections, events] = o;
  [[maybe_unused]] const auto& [time_rate, length, buckets, time_minimum] = over_time;
  [[maybe_unused]] const auto& [calls, last_rate, last_minimum] = last_calls;
  [[maybe_unused]] const auto& [limit, slow_rate] = slow;
  [[maybe_unused]] const auto& [failures, within] = failures_in_period;
  [[maybe_unused]] const auto& [max_probes, successes, of, lease, excess_calls, max_waiting] = half_open;
  [[maybe_unused]] const auto& [ramp_length, initial_share] = recovery;
}

constexpr auto rate_or_off = "must be 0 (off) or at least 0.000001 and at most 1";
constexpr auto rate = "must be at least 0.000001 and at most 1";
constexpr auto share = "must be at least 0 and at most 1";
constexpr auto per_bucket = "must be at least 1us for each bucket";
constexpr auto positive = "must be positive";
constexpr auto not_negative = "must not be negative";
constexpr auto bucket_range = "must be at least 1 and at most 255";
constexpr auto growth = "must be at least 1 and at most 1000000";
constexpr auto longest = "must be 0 (the default) or at least open_for";
constexpr auto probe_range = "must be at least 1 and at most 10000";
constexpr auto of_range = "must be at least 1 and at most 1000000";
constexpr auto within_of = "must be at least 1 and at most half_open.of";

const std::vector<bad_options<options>> windows = {
    {[](options& o) { o.over_time.failure_rate = -0.1; }, "over_time.failure_rate", "-0.1", rate_or_off},
    {[](options& o) { o.over_time.failure_rate = 9e-7; }, "over_time.failure_rate", "9e-07", rate_or_off},
    {[](options& o) { o.over_time.failure_rate = 1.01; }, "over_time.failure_rate", "1.01", rate_or_off},
    {[](options& o) { o.over_time.failure_rate = not_a_number; }, "over_time.failure_rate", "nan",
     rate_or_off},
    {[](options& o) { o.over_time.failure_rate = infinity; }, "over_time.failure_rate", "inf", rate_or_off},
    {[](options& o) { o.over_time.buckets = 0; }, "over_time.buckets", "0", bucket_range},
    {[](options& o) { o.over_time.buckets = 256; }, "over_time.buckets", "256", bucket_range},
    {[](options& o) { o.over_time.length = 9999ns; }, "over_time.length", "9.999us", per_bucket},
    {[](options& o) { o.over_time.length = 0s; }, "over_time.length", "0s", per_bucket},
    {[](options& o) { o.over_time.length = -1s; }, "over_time.length", "-1s", per_bucket},
    {[](options& o) { o.over_time.minimum_calls = 0; }, "over_time.minimum_calls", "0", "must be at least 1"},
    {[](options& o) { o.last_calls.calls = 1'000'001; }, "last_calls.calls", "1000001",
     "must be at most 1000000"},
    {[](options& o) { o.last_calls.failure_rate = -1; }, "last_calls.failure_rate", "-1", rate_or_off},
    {[](options& o) { o.last_calls.failure_rate = 9e-7; }, "last_calls.failure_rate", "9e-07", rate_or_off},
    {[](options& o) { o.last_calls.failure_rate = 1.01; }, "last_calls.failure_rate", "1.01", rate_or_off},
    {[](options& o) { o.last_calls.failure_rate = not_a_number; }, "last_calls.failure_rate", "nan",
     rate_or_off},
    {[](options& o) { o.last_calls.minimum_calls = 1; }, "last_calls.minimum_calls", "1",
     "must be at most last_calls.calls"},
};

const std::vector<bad_options<options>> other_rules = {
    {[](options& o) { o.slow.limit = -1ns; }, "slow.limit", "-1ns", not_negative},
    {[](options& o) { o.slow.rate = 0; }, "slow.rate", "0", rate},
    {[](options& o) { o.slow.rate = 9e-7; }, "slow.rate", "9e-07", rate},
    {[](options& o) { o.slow.rate = 1.01; }, "slow.rate", "1.01", rate},
    {[](options& o) { o.slow.rate = not_a_number; }, "slow.rate", "nan", rate},
    {[](options& o) { o.failures_in_period = {.failures = 100'001, .within = 1s}; },
     "failures_in_period.failures", "100001", "must be at most 100000"},
    {[](options& o) { o.failures_in_period.failures = 1; }, "failures_in_period.within", "0s", positive},
    {[](options& o) { o.failures_in_period = {.failures = 1, .within = -1s}; }, "failures_in_period.within",
     "-1s", positive},
    {[](options& o) { o.open_for = 0s; }, "open_for", "0s", positive},
    {[](options& o) { o.open_for = -1ms; }, "open_for", "-1ms", positive},
    {[](options& o) { o.open_growth = 0.99; }, "open_growth", "0.99", growth},
    {[](options& o) { o.open_growth = 2e6; }, "open_growth", "2e+06", growth},
    {[](options& o) { o.open_growth = not_a_number; }, "open_growth", "nan", growth},
    {[](options& o) { o.open_jitter = -0.01; }, "open_jitter", "-0.01", share},
    {[](options& o) { o.open_jitter = 1.01; }, "open_jitter", "1.01", share},
    {[](options& o) { o.open_jitter = not_a_number; }, "open_jitter", "nan", share},
    {[](options& o) { o.open_for_max = 9999ms; }, "open_for_max", "9.999s", longest},
    {[](options& o) { o.open_for_max = -1s; }, "open_for_max", "-1s", longest},
};

const std::vector<bad_options<options>> half_open_and_after = {
    {[](options& o) { o.half_open.max_probes = 0; }, "half_open.max_probes", "0", probe_range},
    {[](options& o) { o.half_open.max_probes = 10'001; }, "half_open.max_probes", "10001", probe_range},
    {[](options& o) { o.half_open.of = 0; }, "half_open.of", "0", of_range},
    {[](options& o) { o.half_open.of = 1'000'001; }, "half_open.of", "1000001", of_range},
    {[](options& o) { o.half_open.successes = 0; }, "half_open.successes", "0", within_of},
    {[](options& o) { o.half_open.successes = 2; }, "half_open.successes", "2", within_of},
    {[](options& o) { o.half_open.lease = 0s; }, "half_open.lease", "0s", positive},
    {[](options& o) { o.half_open.lease = -1ns; }, "half_open.lease", "-1ns", positive},
    {[](options& o) { o.recovery.length = -1ns; }, "recovery.length", "-1ns", not_negative},
    {[](options& o) { o.recovery.initial_share = -0.01; }, "recovery.initial_share", "-0.01", share},
    {[](options& o) { o.recovery.initial_share = 1.01; }, "recovery.initial_share", "1.01", share},
    {[](options& o) { o.recovery.initial_share = not_a_number; }, "recovery.initial_share", "nan", share},
};

const good_options<options> at_the_edge = {
    [](options&) {},
    [](options& o) { o.over_time.failure_rate = 0; },
    [](options& o) { o.over_time.failure_rate = 1e-6; },
    [](options& o) { o.over_time.failure_rate = 1; },
    [](options& o) { o.over_time.length = 10us; },
    [](options& o) { o.over_time.length = duration::infinite(); },
    [](options& o) { o.over_time.buckets = 1; },
    [](options& o) { o.over_time.buckets = 255; },
    [](options& o) { o.over_time.minimum_calls = 1; },
    [](options& o) { o.over_time.minimum_calls = UINT32_MAX; },
    [](options& o) { o.last_calls.calls = 1'000'000; },
    [](options& o) { o.last_calls = {.calls = 1, .failure_rate = 1e-6, .minimum_calls = 1}; },
    [](options& o) { o.last_calls.failure_rate = 0; },
    [](options& o) { o.slow = {.limit = 1ns, .rate = 1e-6}; },
    [](options& o) { o.slow = {.limit = duration::infinite(), .rate = 1}; },
    [](options& o) { o.failures_in_period = {.failures = 100'000, .within = 1ns}; },
    [](options& o) { o.consecutive_failures = UINT32_MAX; },
    [](options& o) { o.open_for = 1ns; },
    [](options& o) { o.open_for = duration::infinite(); },
    [](options& o) { o.open_growth = 1e6; },
    [](options& o) { o.open_jitter = 1; },
    [](options& o) { o.open_for_max = 10s; },
    [](options& o) { o.open_for_max = duration::infinite(); },
    [](options& o) { o.half_open.max_probes = 10'000; },
    [](options& o) { o.half_open.successes = o.half_open.of = 1'000'000; },
    [](options& o) { o.half_open.lease = 1ns; },
    [](options& o) { o.half_open.max_waiting = 0; },
    [](options& o) { o.half_open.max_waiting = UINT32_MAX; },
    [](options& o) { o.recovery = {.length = 1ns, .initial_share = 0}; },
    [](options& o) { o.recovery.initial_share = 1; },
};

template <class Check>
void for_each_table(Check check) {
  for (const auto* table : {&windows, &other_rules, &half_open_and_after}) check(*table);
}

}  // namespace

TEST_CASE("options: circuit_breaker: every bad value is refused with field, value and range") {
  for_each_table([](const auto& table) { check_validate(table); });
}

TEST_CASE("options: circuit_breaker: the constructor throws what is wrong") {
  for_each_table([](const auto& table) { check_constructor<circuit_breaker>("circuit_breaker", table); });
}

TEST_CASE("options: circuit_breaker: create returns what is wrong") {
  for_each_table([](const auto& table) { check_create<circuit_breaker>("circuit_breaker", table); });
}

TEST_CASE("options: circuit_breaker: any_pipeline says which layer is wrong, and what") {
  for_each_table([](const auto& table) { check_any_pipeline("circuit_breaker", table); });
}

TEST_CASE("options: circuit_breaker: reconfigure refuses what the constructor refuses") {
  circuit_breaker b;
  for_each_table([&](const auto& table) {
    for (const auto& row : table) {
      const auto error = b.reconfigure(row.made());
      REQUIRE(error);
      CHECK(error->text("circuit_breaker") == row.text("circuit_breaker"));
    }
  });
}

TEST_CASE("options: circuit_breaker: values at the edge of their range are accepted") {
  check_accepted(at_the_edge);
  for (const auto& change : at_the_edge) {
    options o;
    change(o);
    CHECK(circuit_breaker::create(o).ok());
  }
}

TEST_CASE("options: circuit_breaker: of several mistakes the first is named, and nothing else") {
  const auto error = validate(options{.open_for = 0s, .open_growth = 0, .half_open = {.of = 0}});
  REQUIRE(error);
  CHECK(error->field == "open_for");
}
