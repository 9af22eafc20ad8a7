// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_TIMELINE_HPP
#define SEAWALL_DRILL_TIMELINE_HPP

// The play: who gets into which trouble, when, for how long. Both runs see the same one.

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "dependencies.hpp"
#include "fault.hpp"

namespace drill {

enum class trouble : std::uint8_t {
  none,
  faulty,     ///< the process runs and does what `act::does` says
  hung,       ///< SIGSTOP, and SIGCONT at the end of the act
  killed,     ///< SIGKILL, and a new process on the same port at the end of the act
  overload,   ///< nothing is wrong with anybody, but far too many come
  chaos,      ///< the storefront's own calls suffer before they are sent
  read_only,  ///< nothing is wrong with anybody, but somebody has told the storefront to take no orders
};

struct act {
  std::string title;
  trouble what = trouble::none;
  dependency victim = dependency::inventory;  ///< meaningless if `what` has none
  fault does = {};                            ///< meaningful if `what` is faulty
  std::chrono::milliseconds lasts{0};
};

/// Is it the trouble of one dependency?
constexpr bool has_victim(trouble t) {
  return t == trouble::faulty || t == trouble::hung || t == trouble::killed;
}

/// Is nothing left of the victim's process that could answer?
constexpr bool is_dead(trouble t) { return t == trouble::hung || t == trouble::killed; }

enum class pace : std::uint8_t {
  full,   ///< about 80 seconds for each run
  quick,  ///< about 19 seconds for each run
};

std::vector<act> timeline(pace p);

std::chrono::milliseconds length_of(const std::vector<act>& acts);

}  // namespace drill

#endif  // SEAWALL_DRILL_TIMELINE_HPP
