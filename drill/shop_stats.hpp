// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_SHOP_STATS_HPP
#define SEAWALL_DRILL_SHOP_STATS_HPP

// What a storefront says about itself when the driver asks. Counters count from its start.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dependencies.hpp"

namespace drill {

enum class breaker_view : std::uint8_t { absent, closed, half_open, open };

std::string_view name_of(breaker_view b);

/// The levels of service of the storefront that has some, the best one first.
enum class level_view : std::uint8_t { absent, full, no_recommendations, read_only };

std::string_view name_of(level_view l);

struct dependency_stats {
  std::uint64_t attempts = 0;  ///< requests sent to it, first tries, repeats and probes alike
  breaker_view breaker = breaker_view::absent;

  friend bool operator==(const dependency_stats&, const dependency_stats&) = default;
};

/// What the storefront's own chaos did to its calls.
struct chaos_stats {
  std::uint64_t calls = 0;  ///< that came by while it was switched on
  std::uint64_t failures = 0;
  std::uint64_t delays = 0;
  std::uint64_t hangs = 0;
  std::uint64_t wrong_answers = 0;

  std::uint64_t faults() const { return failures + delays + hangs + wrong_answers; }
  chaos_stats operator-(const chaos_stats& before) const;

  friend bool operator==(const chaos_stats&, const chaos_stats&) = default;
};

/// Where recommendations came from that were not asked for anew.
struct recommendation_stats {
  std::uint64_t fresh = 0;  ///< kept, and still good
  std::uint64_t stale = 0;  ///< kept, and shown for want of a new answer
  std::uint64_t none = 0;   ///< bestsellers instead, for want of any

  recommendation_stats operator-(const recommendation_stats& before) const;

  friend bool operator==(const recommendation_stats&, const recommendation_stats&) = default;
};

/// How much of itself the storefront serves.
struct level_stats {
  level_view level = level_view::absent;
  bool by_hand = false;       ///< somebody has set it
  std::uint64_t changes = 0;  ///< of the level

  friend bool operator==(const level_stats&, const level_stats&) = default;
};

struct shop_stats {
  per_dependency<dependency_stats> of = {};
  std::uint64_t payments_queued = 0;    ///< accepted for later capture
  std::uint64_t payments_captured = 0;  ///< of those, captured since
  std::uint64_t payments_refused = 0;   ///< the queue was full
  std::uint64_t payments_in_queue = 0;
  std::chrono::microseconds rendering{0};  ///< render workers' time, for whomever
  chaos_stats chaos = {};
  recommendation_stats recommendations = {};
  level_stats service = {};

  friend bool operator==(const shop_stats&, const shop_stats&) = default;
};

std::string to_words(const shop_stats& s);
std::optional<shop_stats> shop_stats_from_words(std::string_view words);

}  // namespace drill

#endif  // SEAWALL_DRILL_SHOP_STATS_HPP
