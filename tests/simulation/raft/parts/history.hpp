// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_HISTORY_HPP
#define SEAWALL_TESTS_SIMULATION_HISTORY_HPP

// What clients did to one key of the map, and whether a map that does one thing after another could have answered so.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace raftsim {

enum class operation_kind : std::uint8_t { put, get, cas };

/// On one key. A value is a number; zero is: not there.
struct operation {
  static constexpr std::uint64_t open = std::numeric_limits<std::uint64_t>::max();

  operation_kind kind = operation_kind::get;
  std::uint64_t value = 0;     ///< put, cas: what is written; get: what was read
  std::uint64_t expected = 0;  ///< cas
  bool swapped = false;        ///< cas: what it answered
  std::uint64_t begun = 0;     ///< a number for each beginning and each end, in their order
  std::uint64_t ended = open;  ///< open: nobody knows whether it was done, or will be
  std::uint64_t client = 0;    ///< for people
};

/// Operations on one key at most; beyond, clients turn to another one.
inline constexpr std::size_t longest_history = 64;

/// Wing and Gong, "Testing and Verifying Concurrent Objects" (JPDC 1993), with a memory of what was tried (Lowe, "Testing for
/// linearizability", 2017). At most `longest_history` operations.
bool linearisable(const std::vector<operation>& history);

std::string told(const std::vector<operation>& history);

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_HISTORY_HPP
