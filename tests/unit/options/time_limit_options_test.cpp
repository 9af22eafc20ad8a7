// SPDX-License-Identifier: Apache-2.0
#include "seawall/attempt_timeout.hpp"
#include "seawall/deadline.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const deadline_options& d, const attempt_timeout_options& t) {
  [[maybe_unused]] const auto& [name, after, from] = d;
  [[maybe_unused]] const auto& [attempt_name, attempt_after, attempt_from] = t;
}

template <class Options>
const std::vector<bad_options<Options>> bad = {
    {[](Options& o) { o.after = 0s; }, "after", "0s", "must be positive"},
    {[](Options& o) { o.after = -1ns; }, "after", "-1ns", "must be positive"},
    {[](Options& o) { o.after = std::chrono::duration<double>(not_a_number); }, "after", "0s",
     "must be positive"},
    {[](Options& o) {
       o.after = -1s;
       o.from = [](const call_view&) { return duration(1s); };
     },
     "after", "-1s", "must be positive"},
};

template <class Options>
const good_options<Options> good = {
    [](Options&) {},
    [](Options& o) { o.after = 1ns; },
    [](Options& o) { o.after = duration::infinite(); },
    [](Options& o) { o.from = [](const call_view&) { return duration(); }; },
};

}  // namespace

TEST_CASE("options: deadline: every bad value is refused with field, value and range") {
  check_validate(bad<deadline_options>);
}
TEST_CASE("options: deadline: the layer throws what is wrong") {
  check_constructor<deadline_layer>("deadline", bad<deadline_options>);
}
TEST_CASE("options: deadline: create returns what is wrong") {
  check_create<deadline_layer>("deadline", bad<deadline_options>);
}
TEST_CASE("options: deadline: any_pipeline says which layer is wrong, and what") {
  check_any_pipeline("deadline", bad<deadline_options>);
}
TEST_CASE("options: deadline: values at the edge of their range are accepted") {
  check_accepted(good<deadline_options>);
}

TEST_CASE("options: attempt_timeout: every bad value is refused with field, value and range") {
  check_validate(bad<attempt_timeout_options>);
}
TEST_CASE("options: attempt_timeout: the layer throws what is wrong") {
  check_constructor<attempt_timeout_layer>("attempt_timeout", bad<attempt_timeout_options>);
}
TEST_CASE("options: attempt_timeout: create returns what is wrong") {
  check_create<attempt_timeout_layer>("attempt_timeout", bad<attempt_timeout_options>);
}
TEST_CASE("options: attempt_timeout: any_pipeline says which layer is wrong, and what") {
  check_any_pipeline("attempt_timeout", bad<attempt_timeout_options>);
}
TEST_CASE("options: attempt_timeout: values at the edge of their range are accepted") {
  check_accepted(good<attempt_timeout_options>);
}
