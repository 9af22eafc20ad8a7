// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_CRC32C_HPP
#define SEAWALL_ELECTION_LOG_FILE_CRC32C_HPP

// CRC32C (Castagnoli; RFC 3720, appendix B.4), eight bytes at a time from tables. Abseil has one from 2023
// on, Debian 12's does not. Finds what a disk does to data, not what an attacker does.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace seawall::raft::wal {

namespace crc {

using tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr tables make_tables() noexcept {
  tables t{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t c = byte;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? c >> 1U ^ 0x82f63b78U : c >> 1U;
    t[0][byte] = c;
  }
  for (std::size_t slice = 1; slice < 8; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t c = t[slice - 1][byte];
      t[slice][byte] = c >> 8U ^ t[0][c & 0xffU];
    }
  }
  return t;
}
inline constexpr tables table = make_tables();

}  // namespace crc

/// The sum of `bytes`; with `before`, the sum of what that is the sum of with `bytes` behind it.
///
/// Cost: about two cycles a byte. Source: Kounavis and Berry, "A Systematic Approach to Building High
/// Performance Software-Based CRC Generators", ISCC 2005 (slicing by eight).
inline std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept {
  const auto& t = crc::table;
  std::uint32_t c = ~before;
  if constexpr (std::endian::native == std::endian::little) {
    while (bytes.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), 8);
      word ^= c;
      c = t[7][word & 0xffU] ^ t[6][word >> 8U & 0xffU] ^ t[5][word >> 16U & 0xffU] ^
          t[4][word >> 24U & 0xffU] ^ t[3][word >> 32U & 0xffU] ^ t[2][word >> 40U & 0xffU] ^
          t[1][word >> 48U & 0xffU] ^ t[0][word >> 56U];
      bytes.remove_prefix(8);
    }
  }
  for (const char byte : bytes) c = c >> 8U ^ t[0][(c ^ static_cast<unsigned char>(byte)) & 0xffU];
  return ~c;
}

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_CRC32C_HPP
