// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_CONDUCTOR_HPP
#define SEAWALL_DRILL_CONDUCTOR_HPP

// Plays one run: starts the processes, lets visitors in, takes the dependencies through the acts, takes
// notes.

#include <cstddef>
#include <exception>

#include "options.hpp"
#include "record.hpp"

namespace drill {

/// Ctrl-C or a request to terminate.
class interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// From now on, such a signal makes the next `throw_if_interrupted` throw.
void catch_interrupts();
void throw_if_interrupted();

/// Watches a run while it is played.
class spectator {
 public:
  virtual ~spectator() = default;
  /// About ten times a second. `so_far` has everything up to now; its last act is under way and ends now.
  virtual void look(const run_record& so_far, std::chrono::microseconds planned_length) = 0;
};

/// Throws `interrupted`, or `std::runtime_error` if the drill itself cannot work. No child outlives it.
run_record play(shop_kind kind, const options& o, spectator& watching);

}  // namespace drill

#endif  // SEAWALL_DRILL_CONDUCTOR_HPP
