// SPDX-License-Identifier: Apache-2.0
// The storefront's pipelines in virtual time: what may come from a cache, and what must not; what each level
// of service leaves out.
#include <string>
#include <string_view>

#include "drill/storefront_pipelines.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include <doctest/doctest.h>

namespace drill {
namespace {

using seawall::testing::virtual_clock;

/// Answers of others, from before or from the same moment.
template <class... Layers>
constexpr bool shares_answers(const seawall::pipeline<Layers...>&) {
  return ((Layers::kind == seawall::layer_kind::cache || Layers::kind == seawall::layer_kind::coalesce) ||
          ...);
}

struct dependency_that_counts {
  page_part call() { return ++calls, answer; }

  page_part answer;
  int calls = 0;
};

template <class Pipeline>
std::string ask(virtual_clock& clock, const Pipeline& p, std::string_view order, std::string_view article,
                dependency_that_counts& d, seawall::call_report& report) {
  const page_part part = run(clock, p, {.key = article, .report = &report},
                             seawall::idempotent_by(std::string(order), [&d] { return d.call(); }));
  return part.ok() ? *part : part.status().ToString();
}

}  // namespace

TEST_CASE("storefront: no payment is answered from a cache, nor with another one's answer") {
  virtual_clock clock;
  resources r({}, 1);
  const auto pay = paying(r);
  CHECK_FALSE(shares_answers(pay));
  CHECK_FALSE(shares_answers(capturing(r)));
  CHECK_FALSE(shares_answers(reserving(r)));
  dependency_that_counts payment{"paid\n"};
  seawall::call_report report;
  for (const char* order : {"1", "2", "1"}) CHECK(ask(clock, pay, order, "7", payment, report) == "paid\n");
  CHECK(payment.calls == 3);
  payment.answer = absl::InternalError("down");
  CHECK(ask(clock, pay, "3", "7", payment, report) == "to be paid later\n");
  CHECK(report.degraded);
}

TEST_CASE(
    "storefront: recommendations that cannot be had are old ones, and marked; bestsellers where there are none") {
  virtual_clock clock;
  resources r({}, 1);
  const auto recommend = recommending(r);
  CHECK(shares_answers(recommend));
  dependency_that_counts service{"goes well with article 8\n"};
  seawall::call_report report;
  CHECK(ask(clock, recommend, "1", "7", service, report) == "goes well with article 8\n");
  CHECK(ask(clock, recommend, "2", "7", service, report) == "goes well with article 8\n");
  CHECK(service.calls == 1);
  CHECK_FALSE(report.degraded);
  service.answer = absl::UnavailableError("down");
  clock.advance(1s);
  CHECK(ask(clock, recommend, "3", "7", service, report) == "goes well with article 8\n");
  CHECK(service.calls == 2);
  CHECK(report.degraded);
  CHECK(report.degraded_by == "recommendations");
  CHECK(ask(clock, recommend, "4", "9", service, report) == "our bestsellers\n");
  CHECK(report.degraded);
  CHECK(r.bestsellers == 1);
  // The breaker has opened: nobody asks any more, and old ones are shown all the same.
  for (int i = 0; i < 20; ++i) ask(clock, recommend, "5", "7", service, report);
  const int asked = service.calls;
  CHECK(ask(clock, recommend, "6", "7", service, report) == "goes well with article 8\n");
  CHECK(service.calls == asked);
  CHECK(r.kept_recommendations.snapshot().stale_if_error == 22);
}

TEST_CASE(
    "storefront: read-only by hand turns checkouts away before anything is asked, until it is released") {
  virtual_clock clock;
  resources r({}, 1);
  const auto order = ordering(r);
  int begun = 0;
  const auto checkout = [&] { return ++begun, absl::OkStatus(); };
  CHECK(run(clock, order, checkout).ok());
  REQUIRE_FALSE(r.service.set_read_only("by hand", clock.now()).has_value());
  CHECK(r.service.snapshot(clock.now()).level_name == name_of(level_view::read_only));
  const auto rejection = seawall::rejection_of(run(clock, order, checkout));
  REQUIRE(rejection.has_value());
  CHECK(rejection->why == seawall::reason::degraded);
  CHECK(begun == 1);
  CHECK(run(clock, rendering(r), [] { return absl::OkStatus(); }).ok());  // browsing goes on
  r.service.release(clock.now());
  CHECK(run(clock, order, checkout).ok());
  CHECK(begun == 2);
}

TEST_CASE(
    "storefront: without recommendations there are bestsellers, nobody is asked, and orders are taken") {
  virtual_clock clock;
  resources r({}, 1);
  const auto recommend = recommending(r);
  dependency_that_counts service{"goes well with article 8\n"};
  seawall::call_report report;
  ask(clock, recommend, "1", "7", service, report);
  const auto level = r.service.level_named(name_of(level_view::no_recommendations));
  REQUIRE(level.has_value());
  REQUIRE_FALSE(r.service.set(*level, "by hand", clock.now()).has_value());
  CHECK(ask(clock, recommend, "2", "7", service, report) == "our bestsellers\n");
  CHECK(report.degraded);
  CHECK(service.calls == 1);
  CHECK(run(clock, ordering(r), [] { return absl::OkStatus(); }).ok());
}

}  // namespace drill
