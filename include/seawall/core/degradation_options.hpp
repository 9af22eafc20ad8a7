// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_DEGRADATION_OPTIONS_HPP
#define SEAWALL_CORE_DEGRADATION_OPTIONS_HPP

// What a ladder of levels of service can be told, and what it tells about itself.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/event.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

struct service_level {
  std::string name = {};   ///< not empty, and no other level's
  bool read_only = false;  ///< it and all worse ones take no writes
};

/// Options of a ladder. Levels are numbered from 0, the best.
struct degradation_options {
  /// For messages, events and metrics.
  std::string name = {};

  /// The best one first; 1 to 16. Fixed for the life of the ladder.
  std::vector<service_level> levels = {{"full"}, {"no recommendations"}, {"read-only", true}, {"static"}};

  /// No signal has wanted the present level, or a worse one, for so long: then the ladder goes up a step, and
  /// waits again. Downwards it goes at once. [0, 24 h].
  duration hold = std::chrono::seconds(30);
  std::uint32_t step = 1;  ///< levels that it goes up at a time: [1, 16]

  std::uint32_t max_signals = 16;  ///< [1, 64]; fixed for the life of the ladder

  /// A call runs at its caller's level (`call::degradation()`) where that is worse than the ladder's own.
  /// Nobody's level but that call's. Off: what callers say changes nothing.
  bool heeds_callers = false;

  rejection_detail rejections = rejection_detail::full;

  /// Told of each change. Must outlive the ladder.
  listener* events = nullptr;
};

/// What a signal wants.
struct signal_snapshot {
  std::string name = {};
  std::uint32_t wants = 0;  ///< at least this level
  std::string why = {};     ///< in its own words; may be empty
};

/// A ladder as an observer sees it.
struct degradation_snapshot {
  std::string name = {};
  std::uint32_t level = 0;
  std::string level_name = {};
  bool read_only = false;
  std::string why = {};                  ///< of the last change; empty before the first
  instant since = {};                    ///< of the last change
  std::uint32_t automatic = 0;           ///< where signals alone would have it
  std::uint32_t best = 0;                ///< by hand: not better than this,
  std::uint32_t worst = 0;               ///< and not worse than this
  bool by_hand = false;                  ///< that hand is on it
  instant next_step = instant::never();  ///< when signals would let it go up, if they stay as they are
  std::vector<signal_snapshot> signals = {};
  std::uint64_t transitions = 0;  ///< in its life
};

}  // namespace seawall

#endif  // SEAWALL_CORE_DEGRADATION_OPTIONS_HPP
