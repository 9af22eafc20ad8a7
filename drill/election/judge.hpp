// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_JUDGE_HPP
#define SEAWALL_DRILL_ELECTION_JUDGE_HPP

// Whether two processes ever led at once, by nothing but the observer's log.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "record.hpp"
#include "seawall/time.hpp"

namespace drill::election {

/// From the first instant at which it was seen valid to the last one that its holder may have relied on: the
/// end that it was told last, whatever became of the process, unless it said that it had ended before.
struct lease {
  node holder = 0;
  std::uint64_t token = 0;
  seawall::instant from = {};
  seawall::instant until = {};
};

struct verdict {
  std::vector<lease> leases = {};  ///< by their beginnings
  std::vector<std::string> overlaps = {};
  std::vector<std::string> wrong_tokens = {};
  /// Between the end of a lease and the beginning of another holder's: the least.
  std::optional<seawall::duration> least_gap = {};

  bool clean() const { return overlaps.empty() && wrong_tokens.empty(); }
};

/// In any order.
verdict judge(const std::vector<record>& log);

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_JUDGE_HPP
