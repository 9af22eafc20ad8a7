// SPDX-License-Identifier: Apache-2.0
#include "seawall/admission.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

using options = admission_options;

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const options& o) {
  [[maybe_unused]] const auto& [name, limit, max_concurrent, max_waiting, max_wait, when_full, order, expire,
                                service_time, patience_share, patience, aging, turns, codel, high, low,
                                rejections, events] = o;
}

constexpr auto limit_range = "must be at least 1 and at most 1000000000";
constexpr auto waiting_range = "must be at least 1 and at most 1048576";

const std::vector<bad_options<options>> bad = {
    {[](options& o) { o.max_concurrent = 0; }, "max_concurrent", "0", limit_range},
    {[](options& o) { o.max_concurrent = 1'000'000'001; }, "max_concurrent", "1000000001", limit_range},
    {[](options& o) { o.max_waiting = 0; }, "max_waiting", "0", waiting_range},
    {[](options& o) { o.max_waiting = 1'048'577; }, "max_waiting", "1048577", waiting_range},
    {[](options& o) { o.max_wait = 0s; }, "max_wait", "0s", "must be positive"},
    {[](options& o) { o.when_full = queue_full::wait; }, "when_full", "0", "must not be wait"},
    // The rest is the queue's, whose table is in queue_options_test.cpp.
    {[](options& o) { o.service_time = -1s; }, "service_time", "-1s", "must not be negative"},
    {[](options& o) { o.aging = 0s; }, "aging", "0s", "must be positive and at most 1h"},
    {[](options& o) { o.turns = 0; }, "turns", "0", waiting_range},
    {[](options& o) { o.codel.target = 0s; }, "codel.target", "0s", "must be positive"},
    {[](options& o) { o.high_watermark = 1.5; }, "high_watermark", "1.5", "must be at least 0 and at most 1"},
    {[](options& o) { o.low_watermark = 0.5; }, "low_watermark", "0.5",
     "must be at least 0 and less than high_watermark"},
};

const good_options<options> good = {
    [](options&) {},
    [](options& o) { o.max_concurrent = 1; },
    [](options& o) { o.max_waiting = 1; },
    [](options& o) { o.max_wait = duration::infinite(); },
    [](options& o) { o.when_full = queue_full::drop_lowest; },
    [](options& o) { o.order = queue_order::fair; },
};

}  // namespace

TEST_CASE(
    "options of an admission: bad ones are refused with field, value and range, by all ways to make one") {
  check_validate(bad);
  check_constructor<admission>("admission", bad);
  check_create<admission>("admission", bad);
}

TEST_CASE("options of an admission: the ends of each range are accepted") { check_accepted(good); }

TEST_CASE("options of an admission: what is fixed cannot be reconfigured, and nothing changes") {
  adaptive_limit limit;
  admission a({.max_concurrent = 3});
  const auto refused = [&](options o, std::string_view field) {
    o.max_concurrent = 7;
    const auto error = a.reconfigure(o);
    return error && error->field == field && a.snapshot().limit == 3;
  };
  CHECK(refused({.limit = &limit}, "limit"));
  CHECK(refused({.order = queue_order::fifo}, "order"));
  CHECK(refused({.turns = 16}, "turns"));
  CHECK(refused({.max_waiting = 0}, "max_waiting"));
  CHECK_FALSE(a.reconfigure({.max_concurrent = 7}));
  CHECK(a.snapshot().limit == 7);
}
