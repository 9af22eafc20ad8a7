// SPDX-License-Identifier: Apache-2.0
// Which orders of layers are nonsense: the table itself, its text in the compile errors, its text at run time.
#include "seawall/rules.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/any_pipeline.hpp"
#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

namespace {

constexpr auto retry_ = layer_kind::retry;
constexpr auto hedge_ = layer_kind::hedge;
constexpr auto deadline_ = layer_kind::deadline;
constexpr auto timeout_ = layer_kind::attempt_timeout;
constexpr auto fallback_ = layer_kind::fallback;
constexpr auto breaker_ = layer_kind::breaker;
constexpr auto throttle_ = layer_kind::throttle;
constexpr auto adaptive_ = layer_kind::adaptive_limit;
constexpr auto admission_ = layer_kind::admission;
constexpr auto bulkhead_ = layer_kind::bulkhead;
constexpr auto rate_ = layer_kind::rate_limiter;
constexpr auto cache_ = layer_kind::cache;
constexpr auto coalesce_ = layer_kind::coalesce;
constexpr auto classify_ = layer_kind::classify;
constexpr auto other_ = layer_kind::other;

using layers = std::vector<layer_kind>;

std::string_view name_of_broken(const layers& l) {
  for (const order_rule& rule : order_rules) {
    if (!rule.holds(l)) return rule.name;
  }
  return "";
}

// The `// expect:` lines of the compile pairs, by the name of the rule.
std::map<std::string, std::string> expected_by_compile_pairs() {
  std::map<std::string, std::string> found;
  for (const auto& file : std::filesystem::directory_iterator(SEAWALL_TESTS_DIR "/compile")) {
    const std::string name = file.path().stem().string();
    if (!name.starts_with("order_")) continue;
    std::ifstream in(file.path());
    for (std::string line; std::getline(in, line);) {
      constexpr std::string_view marker = "// expect: ";
      if (line.starts_with(marker)) found[name.substr(6)] += line.substr(marker.size());
    }
  }
  return found;
}

}  // namespace

TEST_CASE("rules: every nonsensical order breaks the rule that is about it") {
  struct row {
    layers order;
    std::string_view rule;
  };
  for (const auto& [order, rule] :
       {row{{retry_, deadline_}, "deadline_outside_repeats"},
        row{{hedge_, deadline_}, "deadline_outside_repeats"},
        row{{deadline_, retry_, deadline_}, "deadline_outside_repeats"},
        row{{retry_, breaker_, other_, deadline_}, "deadline_outside_repeats"},
        row{{timeout_, retry_}, "attempt_timeout_inside_repeats"},
        row{{timeout_, hedge_}, "attempt_timeout_inside_repeats"},
        row{{timeout_, breaker_, retry_, timeout_}, "attempt_timeout_inside_repeats"},
        row{{admission_, deadline_}, "deadline_outside_admission"},
        row{{deadline_, admission_, other_, deadline_}, "deadline_outside_admission"},
        row{{retry_, fallback_}, "fallback_outside_repeats"},
        row{{hedge_, fallback_}, "fallback_outside_repeats"},
        row{{fallback_, retry_, fallback_}, "fallback_outside_repeats"},
        row{{breaker_, fallback_}, "fallback_outside_breaker"},
        row{{fallback_, breaker_, fallback_}, "fallback_outside_breaker"},
        row{{throttle_, fallback_}, "fallback_outside_throttle"},
        row{{throttle_, other_, fallback_}, "fallback_outside_throttle"},
        row{{adaptive_, fallback_}, "fallback_outside_adaptive_limit"},
        row{{fallback_, adaptive_, fallback_}, "fallback_outside_adaptive_limit"},
        row{{retry_, cache_}, "cache_outside_repeats"},
        row{{hedge_, other_, cache_}, "cache_outside_repeats"},
        row{{cache_, retry_, cache_}, "cache_outside_repeats"},
        row{{breaker_, cache_}, "cache_outside_breaker"},
        row{{cache_, breaker_, cache_}, "cache_outside_breaker"},
        row{{throttle_, cache_}, "cache_outside_throttle"},
        row{{adaptive_, deadline_, cache_}, "cache_outside_adaptive_limit"},
        row{{coalesce_, cache_}, "cache_outside_coalesce"},
        row{{cache_, coalesce_, cache_}, "cache_outside_coalesce"},
        row{{hedge_, coalesce_}, "coalesce_outside_hedge"},
        row{{coalesce_, hedge_, breaker_, coalesce_}, "coalesce_outside_hedge"},
        row{{retry_, retry_}, "one_retry"},
        row{{retry_, breaker_, retry_}, "one_retry"},
        row{{hedge_, hedge_}, "one_hedge"},
        row{{hedge_, retry_, hedge_}, "one_hedge"},
        row{{classify_, other_}, "classify_innermost"},
        row{{classify_, classify_}, "classify_innermost"},
        row{{classify_, retry_, classify_}, "classify_innermost"}}) {
    const std::string_view expected = rule;  // clang 14 cannot capture a structured binding
    CAPTURE(expected);
    CHECK(name_of_broken(order) == rule);
    CHECK_FALSE(broken_rule(order).empty());
  }
}

TEST_CASE("rules: orders that make sense are let through") {
  const layers sensible[] = {{},
                             {other_},
                             {classify_},
                             {fallback_, deadline_, retry_, breaker_, timeout_, classify_},
                             {fallback_, fallback_, fallback_},
                             {breaker_, retry_},
                             {breaker_, retry_, breaker_},
                             {breaker_, breaker_},
                             {breaker_, deadline_},
                             {deadline_, deadline_, retry_},
                             {deadline_, hedge_, retry_, timeout_},
                             {retry_, hedge_},
                             {breaker_, hedge_, breaker_, timeout_},
                             {timeout_, timeout_},
                             {deadline_, fallback_, retry_},
                             {fallback_, timeout_, breaker_},
                             {deadline_, admission_, retry_, timeout_},
                             {admission_, fallback_},
                             {bulkhead_, fallback_},
                             {rate_, fallback_},
                             {fallback_, throttle_, adaptive_},
                             {adaptive_, retry_, throttle_, rate_, bulkhead_},
                             {bulkhead_, rate_, deadline_, retry_},
                             {fallback_, deadline_, cache_, retry_, throttle_, breaker_, adaptive_, timeout_},
                             {cache_, fallback_, deadline_, cache_},
                             {bulkhead_, cache_},
                             {rate_, cache_},
                             {timeout_, cache_},
                             {cache_, coalesce_, retry_},
                             {retry_, coalesce_},
                             {breaker_, coalesce_, bulkhead_, coalesce_},
                             {coalesce_, hedge_}};
  for (const layers& order : sensible) CHECK(name_of_broken(order) == "");
}

TEST_CASE("rules: each rule is broken by some order that breaks no other") {
  const std::map<std::string_view, layers> only = {
      {"deadline_outside_repeats", {retry_, deadline_}},
      {"attempt_timeout_inside_repeats", {timeout_, retry_}},
      {"deadline_outside_admission", {admission_, deadline_}},
      {"fallback_outside_repeats", {retry_, fallback_}},
      {"fallback_outside_breaker", {breaker_, fallback_}},
      {"fallback_outside_throttle", {throttle_, fallback_}},
      {"fallback_outside_adaptive_limit", {adaptive_, fallback_}},
      {"cache_outside_repeats", {retry_, cache_}},
      {"cache_outside_breaker", {breaker_, cache_}},
      {"cache_outside_throttle", {throttle_, cache_}},
      {"cache_outside_adaptive_limit", {adaptive_, cache_}},
      {"cache_outside_coalesce", {coalesce_, cache_}},
      {"coalesce_outside_hedge", {hedge_, coalesce_}},
      {"one_retry", {retry_, retry_}},
      {"one_hedge", {hedge_, hedge_}},
      {"classify_innermost", {classify_, other_}}};
  REQUIRE(only.size() == std::size(order_rules));
  for (const order_rule& rule : order_rules) {
    const auto found = only.find(rule.name);
    REQUIRE(found != only.end());
    for (const order_rule& other : order_rules) {
      CHECK(other.holds(found->second) == (other.name != rule.name));
    }
  }
}

TEST_CASE("rules: what the compiler says is what the table says, rule by rule") {
  const auto expected = expected_by_compile_pairs();
  CHECK(expected.size() == std::size(order_rules));
  for (const order_rule& rule : order_rules) {
    const std::string name(rule.name);
    CAPTURE(name);
    REQUIRE(expected.contains(name));
    CHECK(expected.at(name) == rule.text);
  }
}

TEST_CASE("rules: any_pipeline refuses the same orders with the same words") {
  using any = any_pipeline<absl::StatusOr<int>>;
  using config = pipeline_config<absl::StatusOr<int>>;
  using answer = fallback_config<absl::StatusOr<int>>;
  using store = cache_options<absl::StatusOr<int>>;
  struct row {
    std::string_view rule;
    std::vector<config::layer> order;
  };
  // A configuration has no word for classify: its rule can only be broken when it compiles.
  const row rows[] = {
      {"deadline_outside_repeats", {retry_options{}, deadline_options{}}},
      {"attempt_timeout_inside_repeats", {attempt_timeout_options{}, retry_options{}}},
      {"deadline_outside_admission", {admission_options{}, deadline_options{}}},
      {"fallback_outside_repeats", {retry_options{}, answer{.source = absl::StatusOr<int>(1)}}},
      {"fallback_outside_breaker", {circuit_breaker_options{}, answer{.source = absl::StatusOr<int>(1)}}},
      {"fallback_outside_throttle", {throttle_options{}, answer{.source = absl::StatusOr<int>(1)}}},
      {"fallback_outside_adaptive_limit",
       {adaptive_limit_options{}, answer{.source = absl::StatusOr<int>(1)}}},
      {"cache_outside_repeats", {hedge_options{}, store{}}},
      {"cache_outside_breaker", {circuit_breaker_options{}, store{}}},
      {"cache_outside_throttle", {throttle_options{}, store{}}},
      {"cache_outside_adaptive_limit", {adaptive_limit_options{}, store{}}},
      {"cache_outside_coalesce", {coalesce_options{}, store{}}},
      {"coalesce_outside_hedge", {hedge_options{}, coalesce_options{}}},
      {"one_retry", {retry_options{}, retry_options{}}},
      {"one_hedge", {hedge_options{}, retry_options{}, hedge_options{}}},
  };
  CHECK(std::size(rows) == std::size(order_rules) - 1);
  for (const auto& [name, order] : rows) {
    for (const order_rule& rule : order_rules) {
      if (rule.name != name) continue;
      const absl::Status s = any::from({.name = "p", .layers = order}).status();
      CHECK(s.code() == absl::StatusCode::kInvalidArgument);
      CHECK(std::string(detail::from_absl(s.message())) == "pipeline 'p': " + std::string(rule.text));
    }
  }
}

TEST_CASE("rules: any_pipeline takes the order that everybody wants") {
  using any = any_pipeline<absl::StatusOr<int>>;
  CHECK(any::from({.layers = {fallback_config<absl::StatusOr<int>>{.source = absl::StatusOr<int>(1)},
                              deadline_options{}, cache_options<absl::StatusOr<int>>{}, retry_options{},
                              circuit_breaker_options{}, attempt_timeout_options{}}})
            .ok());
}
