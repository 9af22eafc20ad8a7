// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_STATISTICS_HPP
#define SEAWALL_DRILL_ELECTION_STATISTICS_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

#include "seawall/time.hpp"

namespace drill::election {

/// Of durations: nearest ranks, so that each figure is one that was measured.
struct summary {
  std::size_t count = 0;
  seawall::duration median = {};
  seawall::duration p95 = {};
  seawall::duration p99 = {};
  seawall::duration max = {};
};
summary summarise(std::vector<seawall::duration> measured);

/// Of writes that were kept under way for a while.
struct load_figures {
  std::uint64_t in_flight = 0;
  double per_second = 0;
  std::uint64_t failed = 0;
  summary latency = {};
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_STATISTICS_HPP
