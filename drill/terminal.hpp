// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_TERMINAL_HPP
#define SEAWALL_DRILL_TERMINAL_HPP

// What one sees while the drill runs.

#include <memory>
#include <string>

#include "conductor.hpp"
#include "record.hpp"

namespace drill {

class drill_view : public spectator {
 public:
  /// The bare run is over; from here on it stands beside the other.
  virtual void keep_for_comparison(const run_record& bare) = 0;
};

/// A table redrawn in place if `live` and stdout is a terminal of at least 80 x 24; else a line per second.
std::unique_ptr<drill_view> make_view(bool live);

/// The live table as plain lines. `bare` is null while the bare run itself is under way.
std::string live_table(const run_record& so_far, const run_record* bare,
                       std::chrono::microseconds planned_length);

/// The line of one second.
std::string progress_line(const run_record& so_far);

}  // namespace drill

#endif  // SEAWALL_DRILL_TERMINAL_HPP
