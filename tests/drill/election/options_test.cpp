// SPDX-License-Identifier: Apache-2.0
#include "drill/election/options.hpp"

#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

using namespace drill::election;

namespace {

auto parse(std::vector<std::string_view> arguments) { return parse_options(arguments); }

}  // namespace

TEST_CASE("election drill: flags are taken with a blank or an equals sign") {
  for (const auto& words :
       std::vector<std::vector<std::string_view>>{{"--faults", "12", "--seed=7", "--json", "a", "--log=b",
                                                   "--load-seconds", "0", "--jitter", "200", "--no-etcd"},
                                                  {"--faults=12", "--seed", "7", "--json=a", "--log", "b",
                                                   "--load-seconds=0", "--jitter=200", "--no-etcd"}}) {
    const auto parsed = parse(words);
    REQUIRE(std::holds_alternative<options>(parsed));
    const auto& o = std::get<options>(parsed);
    CHECK(o.faults == 12);
    CHECK(o.seed == 7);
    CHECK(o.jitter_ms == 200);
    CHECK(o.json_file == "a");
    CHECK(o.log_file == "b");
    CHECK(o.load_seconds == 0);
    CHECK_FALSE(o.with_etcd);
    CHECK_FALSE(o.quick);
  }
}

TEST_CASE("election drill: a quick run is short") {
  const auto parsed = parse({"--quick"});
  REQUIRE(std::holds_alternative<options>(parsed));
  CHECK(std::get<options>(parsed).quick);
  CHECK(std::get<options>(parsed).faults == 10);
  CHECK(std::get<options>(parsed).load_seconds == 1);
}

TEST_CASE("election drill: a wrong flag or value is refused, not guessed at") {
  for (const auto& words : std::vector<std::vector<std::string_view>>{{"--fault", "3"},
                                                                      {"--faults", "1"},
                                                                      {"--faults", "x"},
                                                                      {"--faults"},
                                                                      {"--seed=-1"},
                                                                      {"--json="},
                                                                      {"quick"}}) {
    CAPTURE(words.front());
    CHECK(std::holds_alternative<drill::usage_error>(parse(words)));
  }
  CHECK(std::holds_alternative<drill::help_wanted>(parse({"--quick", "--help"})));
}
