// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_OPTIONS_HPP
#define SEAWALL_DRILL_OPTIONS_HPP

// The command line of the driver.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "drill/command_line.hpp"
#include "timeline.hpp"

namespace drill {

struct options {
  drill::pace pace = pace::full;
  /// Checkouts offered: 50 to 250. Of fewer, the probes of a breaker are no longer a small share; more would measure
  /// this machine and not the policies.
  int rate_per_s = 150;
  std::uint64_t seed = 1;
  std::string report_file = "drill-report.html";
  std::string json_file;  ///< none if empty
  bool live = true;       ///< redraw a table in place if stdout is a terminal
};

/// `arguments` without the program's name.
std::variant<options, help_wanted, usage_error> parse_options(std::span<const std::string_view> arguments);

std::string_view usage();

/// For the roles, whose command lines the driver itself writes: what follows `name`, or empty.
std::string_view flag_value(std::span<const std::string_view> arguments, std::string_view name);

}  // namespace drill

#endif  // SEAWALL_DRILL_OPTIONS_HPP
