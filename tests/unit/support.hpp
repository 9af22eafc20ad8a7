// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_UNIT_SUPPORT_HPP
#define SEAWALL_TESTS_UNIT_SUPPORT_HPP

// What several unit tests need.

#include <string_view>

#include "absl/status/status.h"
#include "seawall/status.hpp"

namespace seawall_test {

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
inline bool contains(const absl::Status& s, std::string_view part) {
  return contains(seawall::detail::from_absl(s.message()), part);
}

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_UNIT_SUPPORT_HPP
