// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_OPTIONS_HPP
#define SEAWALL_OPTIONS_HPP

// Refusing bad options: which field, what it was, what it may be. Nothing is clamped, nothing is
// half-applied.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "seawall/time.hpp"

namespace seawall {

/// A bad option.
struct option_error {
  std::string field;  ///< "half_open.successes"
  std::string value;  ///< "7"
  std::string range;  ///< "must be at least 1 and at most half_open.of, 5"

  std::string text(std::string_view policy) const {
    std::string out(policy);
    return out.append(": ").append(field).append(" is ").append(value).append("; ").append(range);
  }
};

/// `10s`, `1.5ms`, `-3ns`, `infinite`: the largest unit of which it is at least one, to three places.
inline std::string to_text(duration d) {
  if (d == duration::infinite()) return "infinite";
  struct unit {
    std::int64_t ns;
    const char* name;
  };
  static constexpr unit units[] = {{3'600'000'000'000, "h"}, {60'000'000'000, "min"}, {1'000'000'000, "s"},
                                   {1'000'000, "ms"},        {1'000, "us"},           {1, "ns"}};
  const std::int64_t ns = d.ns();
  const std::uint64_t size = ns < 0 ? 0 - static_cast<std::uint64_t>(ns) : static_cast<std::uint64_t>(ns);
  if (size == 0) return "0s";
  const unit* u = units;
  while (size < static_cast<std::uint64_t>(u->ns)) ++u;
  const auto per = static_cast<std::uint64_t>(u->ns);
  std::string out = (ns < 0 ? "-" : "") + std::to_string(size / per);
  if (const std::uint64_t thousandths = size % per * 1000 / per; per >= 1000 && thousandths != 0) {
    std::string digits = std::to_string(1000 + thousandths).substr(1);
    while (digits.back() == '0') digits.pop_back();
    out.append(".").append(digits);
  }
  return out.append(u->name);
}

inline std::string to_text(double value) {
  char buffer[32];
  const int length = std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return std::string(buffer, length > 0 ? static_cast<std::size_t>(length) : 0);
}
inline std::string to_text(std::uint64_t value) { return std::to_string(value); }

namespace detail {

/// Collects checks; the first that fails is the answer.
class option_checks {
 public:
  template <class T>
  option_checks& require(bool fulfilled, std::string_view field, const T& value, std::string_view range) {
    if (!fulfilled && !error_) error_ = option_error{std::string(field), to_text(value), std::string(range)};
    return *this;
  }
  /// For a group of options that has checked itself.
  option_checks& require(std::optional<option_error> inner, std::string_view group) {
    if (inner && !error_) {
      inner->field.insert(0, std::string(group) + ".");
      error_ = std::move(inner);
    }
    return *this;
  }
  std::optional<option_error> result() { return std::move(error_); }

 private:
  std::optional<option_error> error_;
};

/// False for NaN.
constexpr bool within(double value, double least, double most) noexcept {
  return value >= least && value <= most;
}

[[noreturn]] inline void refuse(const std::string& text) {
#if defined(__cpp_exceptions)
  throw std::invalid_argument(text);
#else
  std::fputs(("seawall: " + text + "\n").c_str(), stderr);
  std::abort();
#endif
}

/// Returns options that are valid; refuses others.
template <class Options>
Options checked(std::string_view policy, Options options) {
  if (const auto error = validate(options)) refuse(error->text(policy));
  return options;
}

/// Makes `create` of a policy dependent on the header that knows absl::StatusOr (status.hpp), so that
/// policies do not have to pay for it.
template <class Policy>
struct creator;

}  // namespace detail

// For authors of policies; docs/writing-a-policy.md shows them in use.
using detail::checked;
using detail::option_checks;
using detail::refuse;

}  // namespace seawall

#endif  // SEAWALL_OPTIONS_HPP
