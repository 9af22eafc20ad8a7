// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_OWN_CLOCK_HPP
#define SEAWALL_TESTS_SIMULATION_OWN_CLOCK_HPP

// The clock of one machine: it runs a little too fast or too slow, and counts from wherever it likes.

#include <cstdint>

#include "seawall/time.hpp"

namespace raftsim {

using seawall::duration;
using seawall::instant;

class own_clock {
 public:
  instant own(instant real) const {
    const std::int64_t passed = (real - real_base_).ns();
    // Exact for some hours at a drift of a tenth.
    return own_base_ +
           duration::from_ns(passed + passed / 1'000'000 * ppm_ + passed % 1'000'000 * ppm_ / 1'000'000);
  }
  /// The first instant at which `own` is at least that.
  instant real(instant at) const {
    if (at == instant::never()) return at;
    const double wanted = static_cast<double>((at - own_base_).ns());
    instant found =
        real_base_ +
        duration::from_ns(static_cast<std::int64_t>(wanted / (1 + static_cast<double>(ppm_) * 1e-6)) - 3);
    while (own(found) < at) found = found + duration::from_ns(1);
    return found;
  }

  /// From now on it gains so much, or loses it.
  void drift(instant real, std::int64_t ppm) {
    own_base_ = own(real);
    real_base_ = real;
    ppm_ = ppm;
  }
  /// The machine has started again, and its clock somewhere else.
  void set(instant real, instant to) {
    real_base_ = real;
    own_base_ = to;
  }
  std::int64_t ppm() const { return ppm_; }

 private:
  instant real_base_;
  instant own_base_;
  std::int64_t ppm_ = 0;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_OWN_CLOCK_HPP
