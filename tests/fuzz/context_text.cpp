// SPDX-License-Identifier: Apache-2.0
// Headers with a priority and a level of service as a hostile peer may send them: no text crashes the reader, what is read is
// within its bounds and can be written again in the same way, and what cannot be read changes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/propagation.hpp"

using namespace seawall;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto comma = std::min(all.find(','), size);
  const std::string_view first = all.substr(0, comma);
  const std::string_view second = all.substr(std::min(comma + 1, size));

  const auto priority = parse_priority(first);
  if (priority) must(priority_text(*priority).view() == first, "a priority has one spelling");
  const auto level = parse_level(second);
  if (level) {
    must(*level <= worst_level, "a level is one of those that ladders can have");
    must(priority_text(static_cast<int>(*level)).view() == second, "a level has one spelling");
  }

  static const propagator reader({.context = {.priority_max = 7}});
  const inherited in = reader.read(
      [&](std::string_view name) -> std::optional<std::string_view> {
        if (name == context_headers().priority) return first;
        return name == context_headers().degradation ? std::optional<std::string_view>(second) : std::nullopt;
      },
      instant());
  must(in.ok() == (priority && level), "every header is read, or there is an error");
  must(in.priority.has_value() == priority.has_value(), "a priority is what the header says");
  if (priority) must(*in.priority == std::min(*priority, 7), "capped");
  must(in.degradation == level.value_or(0), "a level is what the header says, or the best");
  must(in.deadline == instant::never(), "neither of them sets a deadline");

  const std::string text = in.error_text();
  must(text.size() < 150, "an error is short");
  must(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }),
       "and can be printed");
  return 0;
}
