// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_KNOWN_DEFECTS_HPP
#define SEAWALL_TESTS_PROPERTY_KNOWN_DEFECTS_HPP

// What the tests leave out because the library is known to fail it. Set one to false when it is mended: the tests then
// cover the case. An empty list is the aim.

namespace property::known {

/// A retry that is woken too late, when the deadline or `max_duration` has passed, starts another attempt all the same.
constexpr bool late_wake_up_starts_an_attempt = false;

/// Changing the width of a window that nothing has been recorded in yet multiplies with overflow. Only a sanitizer sees it.
constexpr bool new_width_before_first_use_overflows = false;

}  // namespace property::known

#endif  // SEAWALL_TESTS_PROPERTY_KNOWN_DEFECTS_HPP
