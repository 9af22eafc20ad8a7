// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_DRIVER_HPP
#define SEAWALL_DRILL_DRIVER_HPP

#include <span>
#include <string_view>

namespace drill {

/// The whole drill: both runs, summary, reports, verdict. Returns the exit status.
int drive(std::span<const std::string_view> arguments);

}  // namespace drill

#endif  // SEAWALL_DRILL_DRIVER_HPP
