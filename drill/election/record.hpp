// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_RECORD_HPP
#define SEAWALL_DRILL_ELECTION_RECORD_HPP

// What a candidate tells the observer. All processes are on one machine, so that one clock stamps everything:
// seawall's `boot_clock`, which is also the one that leases end by.

#include <cstdint>

#include "seawall/time.hpp"

namespace drill::election {

/// Nodes count from 0.
using node = std::uint32_t;

struct record {
  enum class kind : std::uint32_t {
    valid,  ///< at `at` the leadership was valid, and its lease lasts until `until`
    ended,  ///< at `at` it was not valid any more
    wrote,  ///< at `at` a write of its holder had committed
  };
  node from = 0;
  kind what = kind::valid;
  std::uint64_t token = 0;
  seawall::instant at = {};
  seawall::instant until = {};
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_RECORD_HPP
