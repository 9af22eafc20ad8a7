// SPDX-License-Identifier: Apache-2.0
#include "drill/options.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

namespace drill {
namespace {

std::variant<options, help_wanted, usage_error> parse(std::initializer_list<std::string_view> arguments) {
  const std::vector<std::string_view> list(arguments);
  return parse_options(list);
}

std::string error_of(std::initializer_list<std::string_view> arguments) {
  const auto parsed = parse(arguments);
  const auto* error = std::get_if<usage_error>(&parsed);
  return error != nullptr ? error->message : "";
}

}  // namespace

TEST_CASE("options: without flags, the full drill") {
  const auto o = std::get<options>(parse({}));
  CHECK(o.pace == pace::full);
  CHECK(o.rate_per_s == 150);
  CHECK(o.seed == 1);
  CHECK(o.report_file == "drill-report.html");
  CHECK(o.json_file.empty());
  CHECK(o.live);
}

TEST_CASE("options: every flag, values after a blank or an equals sign") {
  const auto o = std::get<options>(parse({"--quick", "--rate", "50", "--seed=18446744073709551615",
                                          "--report", "a.html", "--json=b", "--no-tty"}));
  CHECK(o.pace == pace::quick);
  CHECK(o.rate_per_s == 50);
  CHECK(o.seed == 18446744073709551615u);
  CHECK(o.report_file == "a.html");
  CHECK(o.json_file == "b");
  CHECK_FALSE(o.live);
}

TEST_CASE("options: errors name the flag, the value and the range") {
  CHECK(error_of({"--rate", "49"}) == "--rate: '49' is not an integer from 50 to 250");
  CHECK(error_of({"--rate", "251"}) == "--rate: '251' is not an integer from 50 to 250");
  CHECK(error_of({"--rate=150x"}) == "--rate: '150x' is not an integer from 50 to 250");
  CHECK(error_of({"--rate="}) == "--rate: '' is not an integer from 50 to 250");
  CHECK(error_of({"--seed", "-1"}) == "--seed: '-1' is not an integer from 0 to 18446744073709551615");
  CHECK(error_of({"--report="}) == "--report: '' is not the name of a file");
  CHECK(error_of({"--json"}) == "--json: a value is missing");
  CHECK(error_of({"--fast"}) == "'--fast' is not a flag of seawall_drill");
  CHECK(error_of({"--quick=yes"}) == "'--quick=yes' is not a flag of seawall_drill");
}

TEST_CASE("options: help wins over what follows it") {
  CHECK(std::holds_alternative<help_wanted>(parse({"--help", "--rate", "0"})));
}

TEST_CASE("options: the flags of a role") {
  const std::vector<std::string_view> arguments{"serve", "--port", "80", "--name"};
  CHECK(flag_value(arguments, "--port") == "80");
  CHECK(flag_value(arguments, "--name").empty());
  CHECK(flag_value(arguments, "--seed").empty());
}

}  // namespace drill
