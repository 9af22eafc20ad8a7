// SPDX-License-Identifier: Apache-2.0
#include "seawall/propagation.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const propagation_options& o) {
  [[maybe_unused]] const auto& [headers, margin, share, context] = o;
  [[maybe_unused]] const auto& [priority, degradation, priority_max] = o.context;
}

constexpr auto margin_range = "must not be negative, and finite";
constexpr auto share_range = "must be at least 0 and less than 1";
constexpr auto count_range = "must be at least 1 and at most 8";
constexpr auto name_range = "must be a token as RFC 9110 defines it";

const std::vector<bad_options<propagation_options>> bad = {
    {[](propagation_options& o) { o.headers.clear(); }, "headers.size", "0", count_range},
    {[](propagation_options& o) { o.headers.resize(9, timeout_headers::grpc); }, "headers.size", "9",
     count_range},
    {[](propagation_options& o) { o.headers[0].name = ""; }, "headers[0].name", "''", name_range},
    {[](propagation_options& o) { o.headers.push_back({"time left"}); }, "headers[1].name", "'time left'",
     name_range},
    {[](propagation_options& o) { o.headers[0].name = "a\r\nb"; }, "headers[0].name", "'a??b'", name_range},
    {[](propagation_options& o) { o.headers[0].name = "a:"; }, "headers[0].name", "'a:'", name_range},
    {[](propagation_options& o) { o.headers[0].form = static_cast<timeout_form>(3); }, "headers[0].form", "3",
     "must be grpc, milliseconds or seconds"},
    {[](propagation_options& o) {
       o.headers = {{"a"}, {"b"}, {"a", timeout_form::seconds}};
     },
     "headers[2].name", "'a'", "must not be listed twice"},
    {[](propagation_options& o) { o.context.priority = "my priority"; }, "context.priority", "'my priority'",
     name_range},
    {[](propagation_options& o) { o.context.degradation = "a\nb"; }, "context.degradation", "'a?b'",
     name_range},
    {[](propagation_options& o) { o.context.priority = "grpc-timeout"; }, "context.priority",
     "'grpc-timeout'", "must not be listed twice"},
    {[](propagation_options& o) { o.context.degradation = o.context.priority; }, "context.degradation",
     "'x-seawall-priority'", "must not be listed twice"},
    {[](propagation_options& o) { o.margin = -1ns; }, "margin", "-1ns", margin_range},
    {[](propagation_options& o) { o.margin = duration::infinite(); }, "margin", "infinite", margin_range},
    {[](propagation_options& o) { o.share = -0.1; }, "share", "-0.1", share_range},
    {[](propagation_options& o) { o.share = 1.0; }, "share", "1", share_range},
    {[](propagation_options& o) { o.share = not_a_number; }, "share", "nan", share_range},
    {[](propagation_options& o) { o.share = infinity; }, "share", "inf", share_range},
};

const good_options<propagation_options> good = {
    [](propagation_options&) {},
    [](propagation_options& o) {
      o.headers = {{"a"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}, {"g"}, {"!#$%&'*+-.^_`|~Az09"}};
    },
    [](propagation_options& o) { o.margin = 24h * 365; },
    [](propagation_options& o) { o.share = 0.999; },
    [](propagation_options& o) { o.context.priority = o.context.degradation = ""; },
};

}  // namespace

TEST_CASE("options: propagation: every bad value is refused with field, value and range") {
  check_validate(bad);
}
TEST_CASE("options: propagation: the constructor throws what is wrong") {
  check_constructor<propagator>("propagation", bad);
}
TEST_CASE("options: propagation: create returns what is wrong") {
  check_create<propagator>("propagation", bad);
}
TEST_CASE("options: propagation: values at the edge of their range are accepted") { check_accepted(good); }
