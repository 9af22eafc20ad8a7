// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_RECORD_HPP
#define SEAWALL_DRILL_RECORD_HPP

// What was observed in a run. All times count from the moment when its load began.

#include <chrono>
#include <vector>

#include "audit.hpp"
#include "checkout.hpp"
#include "load.hpp"
#include "shop_stats.hpp"
#include "timeline.hpp"

namespace drill {

struct time_span {
  std::chrono::microseconds begin{0};
  std::chrono::microseconds end{0};

  std::chrono::microseconds length() const { return end - begin; }
  bool contains(std::chrono::microseconds t) const { return begin <= t && t < end; }
};

struct shop_sample {
  std::chrono::microseconds at{0};
  shop_stats stats;
};

struct played_act {
  act what;
  time_span when;  ///< as it was, not as it was planned
  time_span in_force =
      {};  ///< of it, what was there when everybody had been told, until they were told otherwise
};

struct run_record {
  shop_kind kind = shop_kind::bare;
  std::vector<played_act> acts;
  std::vector<customer> customers;  ///< those who check out
  std::vector<customer> browsers;   ///< those who look at product pages
  std::vector<shop_sample> shop;    ///< about ten a second
  payment_audit audit;
  /// From the end of the load until no payment was pending any more.
  std::chrono::microseconds drained_after{0};

  time_span whole() const {
    return acts.empty() ? time_span{} : time_span{acts.front().when.begin, acts.back().when.end};
  }
};

}  // namespace drill

#endif  // SEAWALL_DRILL_RECORD_HPP
