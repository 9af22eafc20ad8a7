// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <charconv>
#include <concepts>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace drill {
namespace {

template <std::integral T>
std::optional<T> integer(std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < least || value > most) return std::nullopt;
  return value;
}

template <std::integral T>
std::string set_integer(std::string_view flag, std::string_view text, T least, T most, T& target) {
  const auto value = integer(text, least, most);
  if (!value) return fmt::format("{}: '{}' is not an integer from {} to {}", flag, text, least, most);
  target = *value;
  return {};
}

std::string set_file(std::string_view flag, std::string_view text, std::string& target) {
  if (text.empty()) return fmt::format("{}: '' is not the name of a file", flag);
  target = text;
  return {};
}

/// Empty if all went well, else what is wrong.
std::string set_value(options& o, std::string_view flag, std::string_view text) {
  if (flag == "--rate") return set_integer(flag, text, 50, 250, o.rate_per_s);
  if (flag == "--seed") {
    return set_integer(flag, text, std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max(), o.seed);
  }
  if (flag == "--report") return set_file(flag, text, o.report_file);
  return set_file(flag, text, o.json_file);
}

bool takes_value(std::string_view flag) {
  return flag == "--rate" || flag == "--seed" || flag == "--report" || flag == "--json";
}

bool set_switch(options& o, std::string_view flag) {
  if (flag == "--quick") {
    o.pace = pace::quick;
  } else if (flag == "--no-tty") {
    o.live = false;
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::variant<options, help_wanted, usage_error> parse_options(std::span<const std::string_view> arguments) {
  return command_line<options>{"seawall_drill", set_switch, takes_value, set_value}.parse(arguments);
}

std::string_view usage() {
  return R"(usage: seawall_drill [flags]

Runs a small web shop of real processes on loopback, breaks its dependencies one after the other, makes its
own calls fail, tells it to take no orders, sends it four times the load that it can serve, and compares a
bare shop with one that uses seawall in the same timeline. Takes not quite three minutes. Exit status: 0 if
every criterion is met, 1 if one is not, 2 for a wrong command line, 130 if interrupted.

  --quick         about 40 seconds in all
  --rate N        checkouts offered per second, 50 to 250 (default 150)
  --seed N        of the dependencies' faults and latencies (default 1)
  --report FILE   the report to write (default drill-report.html)
  --json FILE     the raw figures as well
  --no-tty        one plain line per second, also on a terminal
  --help          this text
)";
}

std::string_view flag_value(std::span<const std::string_view> arguments, std::string_view name) {
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == name) return arguments[i + 1];
  }
  return {};
}

}  // namespace drill
