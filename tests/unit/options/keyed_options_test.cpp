// SPDX-License-Identifier: Apache-2.0
#include "seawall/circuit_breaker.hpp"
#include "support/bad_options.hpp"

using namespace seawall;
using namespace seawall_test;

namespace {

// One field more or less does not compile: it belongs into the tables below.
[[maybe_unused]] void every_field(const keyed_options& o) { [[maybe_unused]] const auto& [max_keys] = o; }

}  // namespace

TEST_CASE("options: keyed: no room for a single key is refused") {
  const auto error = validate(keyed_options{.max_keys = 0});
  REQUIRE(error);
  CHECK(error->text("keyed") == "keyed: max_keys is 0; must be at least 1");
  CHECK_THROWS_WITH_AS(keyed<circuit_breaker>({}, {.max_keys = 0}),
                       "keyed: max_keys is 0; must be at least 1", std::invalid_argument);
}

TEST_CASE("options: keyed: bad options of the policy are refused before the first key is seen") {
  CHECK_THROWS_WITH_AS(keyed<circuit_breaker>({.open_for = 0s}), "keyed: open_for is 0s; must be positive",
                       std::invalid_argument);
}

TEST_CASE("options: keyed: values at the edge of their range are accepted") {
  check_accepted<keyed_options>({[](keyed_options&) {}, [](keyed_options& o) { o.max_keys = 1; },
                                 [](keyed_options& o) { o.max_keys = SIZE_MAX; }});
  keyed<circuit_breaker> unbounded({}, {.max_keys = SIZE_MAX});
  CHECK(unbounded.get("a", instant()) != unbounded.get("b", instant()));
}

TEST_CASE("options: any_pipeline: a null breaker is refused") {
  using any = any_pipeline<absl::StatusOr<int>>;
  const std::string text = "pipeline: layers[0] circuit_breaker: the pointer is null; must point to one";
  for (const auto& s : {any::from({.layers = {static_cast<circuit_breaker*>(nullptr)}}).status(),
                        any::from({.layers = {static_cast<keyed<circuit_breaker>*>(nullptr)}}).status()}) {
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(detail::from_absl(s.message())) == text);
  }
}

TEST_CASE("options: any_pipeline: more layers than it has room for are refused") {
  using any = any_pipeline<absl::StatusOr<int>>;
  pipeline_config<absl::StatusOr<int>> config{.name = "deep"};
  config.layers.assign(32, circuit_breaker_options{});
  CHECK(any::from(config).ok());
  config.layers.emplace_back(circuit_breaker_options{});
  const absl::Status s = any::from(config).status();
  CHECK(s.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(detail::from_absl(s.message())) ==
        "pipeline 'deep': layers has 33 entries; must be at most 32");
}
