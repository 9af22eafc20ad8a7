// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_DICE_HPP
#define SEAWALL_TESTS_SIMULATION_DICE_HPP

// The random source of a simulated run, and digests.

#include <cstdint>

#include "seawall/time.hpp"
#include "support/dice.hpp"

namespace raftsim {

class dice : public seawall_test::dice {
 public:
  using seawall_test::dice::dice;

  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
  }
  seawall::duration between(seawall::duration least, seawall::duration most) {
    return seawall::duration::from_ns(between(least.ns(), most.ns()));
  }
  bool chance(double share) { return static_cast<double>(next() >> 11U) * 0x1p-53 < share; }
};

/// Folds one number into a digest.
constexpr std::uint64_t folded(std::uint64_t digest, std::uint64_t value) {
  digest = (digest ^ value) * 0x9e3779b97f4a7c15U;
  return digest ^ digest >> 29U;
}

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_DICE_HPP
