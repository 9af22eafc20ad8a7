// SPDX-License-Identifier: Apache-2.0

//   page --> [ measure ] --> page of the article
//                              + [ fallback ] --> [ degrade: gate ] --> [ degrade: brownout ] --> recommendations
//   order --> [ require_writable ] --> orders
//
//   A crowd makes pages slow: the brownout leaves recommendations out, and when little is left to leave out, the ladder goes
//   down a level by itself. Then somebody sets the shop read-only by hand, with the reason in the log: orders are refused with a
//   clear answer, pages are served as before.
//
// Virtual time; each line of the log is an event.

#include "seawall/degradation.hpp"

#include <chrono>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

using namespace std::chrono_literals;

int main() {
  seawall::testing::virtual_clock clock;
  seawall::random_source random(1);
  seawall::listening log([](const seawall::event::state_changed& e) { fmt::print("{}\n", e); });

  seawall::degradation shop({.name = "shop", .hold = 10s, .events = &log});
  seawall::feature_gate recommendations(shop, {.name = "recommendations", .percent = 50, .events = &log});
  seawall::brownout pages({.name = "pages", .set_point = 100ms});
  const bool driven = !pages.drive(shop, {.level = 1});

  const auto page = seawall::compose(seawall::measure(pages));
  const auto recommend = seawall::compose(seawall::fallback({.name = "bestsellers"}, absl::StatusOr<int>(0)),
                                          seawall::degrade(recommendations), seawall::degrade(pages));
  const auto order = seawall::compose(seawall::require_writable(shop));

  int degraded = 0;
  const auto browse = [&](int requests, std::chrono::milliseconds takes) {
    degraded = 0;
    for (int i = 0; i < requests; ++i) {
      clock.advance(10ms);
      const std::string user = "user-" + std::to_string(i % 1000);
      (void)seawall::testing::run(clock, page, [&](const seawall::attempt& a) {
        seawall::call_report report;
        const auto part = recommend.run(a, {.key = user, .random = &random, .report = &report},
                                        []() -> absl::StatusOr<int> { return 1; });
        degraded += report.degraded;
        clock.advance(takes);
        return part.status();
      });
    }
    fmt::print("{} pages in {} each: {} without recommendations; {}\n", requests, takes.count(), degraded,
               pages.snapshot());
  };
  const auto buy = [&] { return seawall::testing::run(clock, order, [] { return absl::OkStatus(); }); };

  browse(2000, 20ms);
  const bool half = degraded > 900 && degraded < 1100;  // the rollout
  browse(2000, 400ms);
  const bool browned_out = degraded > 1500 && shop.level(clock.now()) == 1;

  const bool refused = !shop.set_read_only("moving the database", clock.now()) && !buy().ok();
  fmt::print("order: {}\n", buy().ToString());
  browse(4000, 20ms);
  shop.release(clock.now());
  clock.advance(10s);
  fmt::print("{}\n", shop.snapshot(clock.now()));
  return driven && half && browned_out && refused && buy().ok() && shop.level(clock.now()) == 0 ? 0 : 1;
}
