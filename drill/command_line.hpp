// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_COMMAND_LINE_HPP
#define SEAWALL_DRILL_COMMAND_LINE_HPP

// The flags of a drill: `--switch`, `--flag value` and `--flag=value`. Which there are, and what they set, is the drill's.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

namespace drill {

struct help_wanted {};
struct usage_error {
  std::string message;  ///< names the flag, the value and what is allowed
};

template <class Options>
struct command_line {
  std::string_view program;
  bool (*set_switch)(Options&, std::string_view flag);  ///< false: there is no such switch
  bool (*takes_value)(std::string_view flag);
  /// Empty, or what is wrong with the value.
  std::string (*set_value)(Options&, std::string_view flag, std::string_view value);

  /// `arguments` without the program's name.
  std::variant<Options, help_wanted, usage_error> parse(std::span<const std::string_view> arguments) const {
    Options o;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string_view argument = arguments[i];
      if (argument == "--help" || argument == "-h") return help_wanted{};
      if (set_switch(o, argument)) continue;
      const std::size_t equals = argument.find('=');
      const std::string_view flag = argument.substr(0, equals);
      if (!takes_value(flag)) return usage_error{fmt::format("'{}' is not a flag of {}", argument, program)};
      if (equals == std::string_view::npos && i + 1 == arguments.size())
        return usage_error{fmt::format("{}: a value is missing", flag)};
      const std::string_view value =
          equals == std::string_view::npos ? arguments[++i] : argument.substr(equals + 1);
      if (std::string problem = set_value(o, flag, value); !problem.empty())
        return usage_error{std::move(problem)};
    }
    return o;
  }
};

}  // namespace drill

#endif  // SEAWALL_DRILL_COMMAND_LINE_HPP
