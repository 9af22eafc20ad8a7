// SPDX-License-Identifier: Apache-2.0
#include "shop_stats.hpp"

#include <array>
#include <sstream>

#include <fmt/format.h>

namespace drill {

std::string_view name_of(breaker_view b) {
  constexpr std::array<std::string_view, 4> names{"none", "closed", "half-open", "open"};
  return names[static_cast<std::size_t>(b)];
}

std::string to_words(const shop_stats& s) {
  std::string words;
  for (const dependency d : all_dependencies) {
    words += fmt::format("{} {} ", s.of[d].attempts, static_cast<int>(s.of[d].breaker));
  }
  return words + fmt::format("{} {} {} {} {}", s.payments_queued, s.payments_captured, s.payments_refused,
                             s.payments_in_queue, s.rendering.count());
}

std::optional<shop_stats> shop_stats_from_words(std::string_view words) {
  std::istringstream in{std::string(words)};
  shop_stats s;
  for (const dependency d : all_dependencies) {
    int breaker = -1;
    if (!(in >> s.of[d].attempts >> breaker)) return std::nullopt;
    if (breaker < 0 || breaker > static_cast<int>(breaker_view::open)) return std::nullopt;
    s.of[d].breaker = static_cast<breaker_view>(breaker);
  }
  std::int64_t rendering_us = 0;
  if (!(in >> s.payments_queued >> s.payments_captured >> s.payments_refused >> s.payments_in_queue >>
        rendering_us)) {
    return std::nullopt;
  }
  s.rendering = std::chrono::microseconds(rendering_us);
  return s;
}

}  // namespace drill
