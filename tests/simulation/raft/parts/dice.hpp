// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_DICE_HPP
#define SEAWALL_TESTS_SIMULATION_DICE_HPP

// The random source of a simulated run. Not the library's generator: a defect in that one must not hide itself.

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "seawall/time.hpp"

namespace raftsim {

class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed * 2 + 1) {
    for (int i = 0; i < 4; ++i) next();
  }

  std::uint64_t next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t folded = (state_ >> 29U ^ state_) * 0xff51afd7ed558ccdU;
    return folded >> 32U ^ folded;
  }
  /// In [0, bound).
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(most - least) + 1));
  }
  seawall::duration between(seawall::duration least, seawall::duration most) {
    return seawall::duration::from_ns(between(least.ns(), most.ns()));
  }
  bool chance(double share) { return static_cast<double>(next() >> 11U) * 0x1p-53 < share; }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  template <class Container>
  auto& pick_from(Container& c) {
    return c[static_cast<std::size_t>(below(c.size()))];
  }

 private:
  std::uint64_t state_;
};

/// Folds one number into a digest.
constexpr std::uint64_t folded(std::uint64_t digest, std::uint64_t value) {
  digest = (digest ^ value) * 0x9e3779b97f4a7c15U;
  return digest ^ digest >> 29U;
}

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_DICE_HPP
