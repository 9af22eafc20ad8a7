// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_BAD_OPTIONS_HPP
#define SEAWALL_TESTS_SUPPORT_BAD_OPTIONS_HPP

// Tables of bad and of good options, and the ways in which bad ones must be refused with the same words.

#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/any_pipeline.hpp"
#include "seawall/options.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace seawall_test {

using namespace std::chrono_literals;

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// Default options with one thing changed.
template <class Options>
struct bad_options {
  void (*spoil)(Options&);
  const char* field;
  const char* value;
  const char* range;

  Options made() const {
    Options o;
    spoil(o);
    return o;
  }
  std::string text(const char* policy) const {
    return std::string(policy) + ": " + field + " is " + value + "; " + range;
  }
};

template <class Options>
using good_options = std::vector<void (*)(Options&)>;

template <class Options>
void check_validate(const std::vector<bad_options<Options>>& table) {
  for (const auto& row : table) {
    CAPTURE(row.field);
    CAPTURE(row.value);
    const auto error = validate(row.made());
    REQUIRE(error);
    CHECK(error->field == row.field);
    CHECK(error->value == row.value);
    CHECK(error->range == row.range);
  }
}

template <class Policy, class Options>
void check_constructor(const char* policy, const std::vector<bad_options<Options>>& table) {
  for (const auto& row : table) {
    CHECK_THROWS_WITH_AS(Policy(row.made()), row.text(policy).c_str(), std::invalid_argument);
  }
}

template <class Policy, class Options>
void check_create(const char* policy, const std::vector<bad_options<Options>>& table) {
  for (const auto& row : table) {
    const absl::Status s = Policy::create(row.made()).status();
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(seawall::detail::from_absl(s.message())) == row.text(policy));
  }
}

/// As the second layer, so that its number is not the default of a number.
template <class Options>
void check_any_pipeline(const char* policy, const std::vector<bad_options<Options>>& table) {
  using any = seawall::any_pipeline<absl::StatusOr<int>>;
  for (const auto& row : table) {
    const absl::Status s =
        any::from({.name = "orders", .layers = {seawall::circuit_breaker_options{}, row.made()}}).status();
    CHECK(s.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(seawall::detail::from_absl(s.message())) ==
          "pipeline 'orders': layers[1] " + row.text(policy));
  }
}

template <class Options>
void check_accepted(const good_options<Options>& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    CAPTURE(i);
    Options o;
    table[i](o);
    const auto error = validate(o);
    CHECK_MESSAGE(!error, (error ? error->text("refused") : std::string()));
  }
}

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_BAD_OPTIONS_HPP
