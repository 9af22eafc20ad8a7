// SPDX-License-Identifier: Apache-2.0
#include "seawall/bulkhead.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

using options = bulkhead_options;

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const options& o) {
  [[maybe_unused]] const auto& [name, max_concurrent, max_waiting, max_wait, order, lifo_after, aging,
                                displaces, weight_of, partitions, partition_of, recall_for, rejections] = o;
  [[maybe_unused]] const auto& [partition, guaranteed] = partitions[0];
}

constexpr auto limit_range = "must be at least 1 and at most 1000000000";
constexpr auto positive = "must be positive";
constexpr auto aging_range = "must be 0 (off) or at least 1us";
constexpr auto sum_range = "must in sum be at most max_concurrent";

const std::vector<bad_options<options>> bad = {
    {[](options& o) { o.max_concurrent = 0; }, "max_concurrent", "0", limit_range},
    {[](options& o) { o.max_concurrent = 1'000'000'001; }, "max_concurrent", "1000000001", limit_range},
    {[](options& o) { o.max_waiting = 1'000'001; }, "max_waiting", "1000001", "must be at most 1000000"},
    {[](options& o) { o.max_wait = 0s; }, "max_wait", "0s", positive},
    {[](options& o) { o.max_wait = -1s; }, "max_wait", "-1s", positive},
    {[](options& o) { o.lifo_after = 0s; }, "lifo_after", "0s", positive},
    {[](options& o) { o.aging = 999ns; }, "aging", "999ns", aging_range},
    {[](options& o) { o.aging = -1s; }, "aging", "-1s", aging_range},
    {[](options& o) { o.recall_for = 0s; }, "recall_for", "0s", positive},
    {[](options& o) { o.partitions.resize(17); }, "partitions", "17", "must be at most 16"},
    {[](options& o) {
       o.partitions = {{"a", 1}, {"", 1}};
     },
     "partitions[1].name", "''", "must not be empty"},
    {[](options& o) {
       o.partitions = {{"a", 1}, {"b", 1}, {"a", 2}};
     },
     "partitions[2].name", "'a'", "must be unlike the others"},
    {[](options& o) {
       o.partitions = {{"a", 60}, {"b", 5}};
     },
     "partitions.guaranteed", "65", sum_range},
    {[](options& o) {
       o.partitions = {{"a", UINT32_MAX}, {"b", UINT32_MAX}};
     },
     "partitions.guaranteed", "8589934590", sum_range},
};

const good_options<options> good = {
    [](options&) {},
    [](options& o) { o.max_concurrent = 1; },
    [](options& o) { o.max_concurrent = 1'000'000'000; },
    [](options& o) { o.max_waiting = 1'000'000; },
    [](options& o) { o.max_wait = 1ns; },
    [](options& o) { o.max_wait = duration::infinite(); },
    [](options& o) { o.aging = 1us; },
    [](options& o) {
      o.partitions = {{"a", 60}, {"b", 4}};
    },
    [](options& o) {
      o.partitions = {{"a", 0}};
    },
};

}  // namespace

TEST_CASE(
    "options of a bulkhead: bad ones are refused with field, value and range, by all ways to make one") {
  check_validate(bad);
  check_constructor<bulkhead>("bulkhead", bad);
  check_create<bulkhead>("bulkhead", bad);
}

TEST_CASE("options of a bulkhead: the ends of each range are accepted") { check_accepted(good); }
