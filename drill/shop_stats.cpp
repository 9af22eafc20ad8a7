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

std::string_view name_of(level_view l) {
  constexpr std::array<std::string_view, 4> names{"none", "full", "no recommendations", "read-only"};
  return names[static_cast<std::size_t>(l)];
}

chaos_stats chaos_stats::operator-(const chaos_stats& before) const {
  return {.calls = calls - before.calls,
          .failures = failures - before.failures,
          .delays = delays - before.delays,
          .hangs = hangs - before.hangs,
          .wrong_answers = wrong_answers - before.wrong_answers};
}

recommendation_stats recommendation_stats::operator-(const recommendation_stats& before) const {
  return {.fresh = fresh - before.fresh, .stale = stale - before.stale, .none = none - before.none};
}

std::string to_words(const shop_stats& s) {
  std::string words;
  for (const dependency d : all_dependencies) {
    words += fmt::format("{} {} ", s.of[d].attempts, static_cast<int>(s.of[d].breaker));
  }
  words += fmt::format("{} {} {} {} {} ", s.payments_queued, s.payments_captured, s.payments_refused,
                       s.payments_in_queue, s.rendering.count());
  const chaos_stats& c = s.chaos;
  words += fmt::format("{} {} {} {} {} ", c.calls, c.failures, c.delays, c.hangs, c.wrong_answers);
  words += fmt::format("{} {} {} ", s.recommendations.fresh, s.recommendations.stale, s.recommendations.none);
  return words +
         fmt::format("{} {:d} {}", static_cast<int>(s.service.level), s.service.by_hand, s.service.changes);
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
  chaos_stats& c = s.chaos;
  if (!(in >> c.calls >> c.failures >> c.delays >> c.hangs >> c.wrong_answers)) return std::nullopt;
  recommendation_stats& k = s.recommendations;
  if (!(in >> k.fresh >> k.stale >> k.none)) return std::nullopt;
  int level = -1;
  if (!(in >> level >> s.service.by_hand >> s.service.changes)) return std::nullopt;
  if (level < 0 || level > static_cast<int>(level_view::read_only)) return std::nullopt;
  s.service.level = static_cast<level_view>(level);
  return s;
}

}  // namespace drill
