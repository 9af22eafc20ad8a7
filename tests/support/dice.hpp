// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SUPPORT_DICE_HPP
#define SEAWALL_TESTS_SUPPORT_DICE_HPP

// The random source of property tests and simulations. The same seed gives the same numbers everywhere.

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace seawall_test {

/// Not the library's generator: a defect in that one must not hide itself.
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

}  // namespace seawall_test

#endif  // SEAWALL_TESTS_SUPPORT_DICE_HPP
