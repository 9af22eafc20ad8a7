// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_ROLLOUT_HPP
#define SEAWALL_CORE_ROLLOUT_HPP

// Which keys a share of them is: the same ones in every process, build and release, and for each feature
// other ones. Not a hash for tables, and none that an adversary could not steer.

#include <cstdint>
#include <string_view>

namespace seawall::core {

/// Where a key stands in the rollout of a feature: FNV-1a of 64 bits (Fowler, Noll, Vo) over the bytes of the
/// feature's name, 0xff, which occurs in no UTF-8, and the bytes of the key; then the finaliser of SplitMix64
/// (Stafford's variant 13), as FNV-1a alone leaves keys that differ in their last byte close together. Fixed
/// for ever: whoever is in a rollout stays in.
/// Cost: a multiplication a byte, no allocation.
constexpr std::uint64_t rollout_place(std::string_view feature, std::string_view key) noexcept {
  constexpr std::uint64_t prime = 0x100000001b3U;
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : feature) h = (h ^ static_cast<unsigned char>(c)) * prime;
  h = (h ^ 0xffU) * prime;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * prime;
  h = (h ^ (h >> 30U)) * 0xbf58476d1ce4e5b9U;
  h = (h ^ (h >> 27U)) * 0x94d049bb133111ebU;
  return h ^ (h >> 31U);
}

/// A share of all keys, of which a larger one has all keys of a smaller one: [0, 2^32].
class rollout_share {
 public:
  static constexpr std::uint64_t whole = std::uint64_t{1} << 32U;

  /// `percent` in [0, 100].
  static constexpr std::uint64_t of_percent(double percent) noexcept {
    return percent >= 100 ? whole : static_cast<std::uint64_t>(percent / 100 * static_cast<double>(whole));
  }
  static constexpr bool contains(std::uint64_t share, std::uint64_t place) noexcept {
    return (place >> 32U) < share;
  }
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_ROLLOUT_HPP
