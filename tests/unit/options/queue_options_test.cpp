// SPDX-License-Identifier: Apache-2.0
#include "seawall/queue/backpressure_queue.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

using options = backpressure_queue_options;

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const options& o) {
  [[maybe_unused]] const auto& [name, max_items, max_bytes, when_full, order, expire, service_time,
                                patience_share, patience, aging, turns, quantum, codel, high_watermark,
                                low_watermark, events] = o;
  [[maybe_unused]] const auto& [on, target, interval, law] = codel;
}

constexpr auto share = "must be at least 0 and at most 1";
constexpr auto items_range = "must be at least 1 and at most 1073741824";
constexpr auto turns_range = "must be at least 1 and at most 1048576";
constexpr auto aging_range = "must be positive and at most 1h";
constexpr auto quantum_range = "must be 0 (one item) or at least 1024 and at most 1099511627776";
constexpr auto low_range = "must be at least 0 and less than high_watermark";

const std::vector<bad_options<options>> bad = {
    {[](options& o) { o.max_items = 0; }, "max_items", "0", items_range},
    {[](options& o) { o.max_items = (1U << 30U) + 1; }, "max_items", "1073741825", items_range},
    {[](options& o) { o.service_time = -1ns; }, "service_time", "-1ns", "must not be negative"},
    {[](options& o) { o.patience_share = -0.01; }, "patience_share", "-0.01", share},
    {[](options& o) { o.patience_share = 1.01; }, "patience_share", "1.01", share},
    {[](options& o) { o.patience_share = not_a_number; }, "patience_share", "nan", share},
    {[](options& o) { o.patience = -1ns; }, "patience", "-1ns", "must not be negative"},
    {[](options& o) { o.aging = 0s; }, "aging", "0s", aging_range},
    {[](options& o) { o.aging = 1h + 1s; }, "aging", "1h", aging_range},
    {[](options& o) { o.turns = 0; }, "turns", "0", turns_range},
    {[](options& o) { o.turns = (1U << 20U) + 1; }, "turns", "1048577", turns_range},
    {[](options& o) { o.quantum = 1023; }, "quantum", "1023", quantum_range},
    {[](options& o) { o.codel.target = 0s; }, "codel.target", "0s", "must be positive"},
    {[](options& o) { o.codel.interval = 4ms; }, "codel.interval", "4ms", "must be at least codel.target"},
    {[](options& o) { o.high_watermark = 1.01; }, "high_watermark", "1.01", share},
    {[](options& o) { o.high_watermark = not_a_number; }, "high_watermark", "nan", share},
    {[](options& o) { o.low_watermark = -0.1; }, "low_watermark", "-0.1", low_range},
    {[](options& o) { o.low_watermark = 0.1; }, "low_watermark", "0.1", low_range},
    {[](options& o) { o.high_watermark = o.low_watermark = 0.5; }, "low_watermark", "0.5", low_range},
};
const good_options<options> good = {
    [](options&) {},
    [](options& o) { o.max_items = 1; },
    [](options& o) { o.max_items = 1U << 30U; },
    [](options& o) { o.patience_share = 0; },
    [](options& o) { o.patience_share = 1; },
    [](options& o) { o.patience = duration::infinite(); },
    [](options& o) { o.aging = 1ns; },
    [](options& o) { o.aging = 1h; },
    [](options& o) { o.turns = 1; },
    [](options& o) { o.quantum = 1024; },
    [](options& o) { o.codel.target = o.codel.interval = 1ns; },
    [](options& o) { o.high_watermark = 1; },
    [](options& o) { o.low_watermark = 0.99, o.high_watermark = 1; },
};

}  // namespace

TEST_CASE("options: backpressure_queue: every bad value is refused with field, value and range") {
  check_validate(bad);
}
TEST_CASE("options: backpressure_queue: values at the edge of their range are accepted") {
  check_accepted(good);
}
TEST_CASE("options: backpressure_queue: constructor, create and reconfigure refuse with the same words") {
  using queue = backpressure_queue<int>;
  const queue_hooks<int> hooks{.dropped = [](int&&, queue_drop) {}};
  queue q({}, hooks);
  for (const auto& row : bad) {
    const std::string said = row.text("backpressure_queue");
    CHECK_THROWS_WITH_AS(queue(row.made(), hooks), said.c_str(), std::invalid_argument);
    const absl::Status s = queue::create(row.made(), hooks).status();
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(seawall::detail::from_absl(s.message())) == said);
    const auto error = q.reconfigure(row.made());
    REQUIRE(error);
    CHECK(error->text("backpressure_queue") == said);
  }
  CHECK(queue::create({}, hooks).ok());
}
TEST_CASE("options: backpressure_queue: bounds of bytes need the function that counts them") {
  const queue_hooks<int> hooks{.dropped = [](int&&, queue_drop) {}};
  CHECK_THROWS_WITH(backpressure_queue<int>({.max_bytes = 9}, hooks),
                    "backpressure_queue: max_bytes is 9; must be 0 (no bound) without queue_hooks::bytes");
  CHECK_THROWS_WITH(backpressure_queue<int>({.quantum = 2048}, hooks),
                    "backpressure_queue: quantum is 2048; must be 0 (one item) without queue_hooks::bytes");
}
