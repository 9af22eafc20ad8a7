// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_CRC32C_HPP
#define SEAWALL_CORE_CRC32C_HPP

// CRC-32C (Castagnoli), the checksum of iSCSI and ext4: finds what went wrong by accident, not what was done
// on purpose. In portable code, eight bytes a step; no processor's own instruction, which would need a look
// at the processor first. Abseil has one from 2023 on, Debian 12's has none.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace seawall::core {

namespace detail {

// tables[k][b]: what byte b does k bytes before the end of a step.
constexpr std::array<std::array<std::uint32_t, 256>, 8> crc32c_tables() noexcept {
  constexpr std::uint32_t reversed_polynomial = 0x82f63b78U;
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? reversed_polynomial : 0);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b)
      tables[k][b] = (tables[k - 1][b] >> 8U) ^ tables[0][tables[k - 1][b] & 0xffU];
  }
  return tables;
}

inline constexpr auto crc32c_table = crc32c_tables();

}  // namespace detail

/// RFC 3720, 12.1. `so_far`: of the bytes before these.
///
/// Cost: 8 KiB of constants; under a nanosecond a byte. Source: Kounavis, Berry, "Novel Table Lookup-Based
/// Algorithms for High-Performance CRC Generation", IEEE Transactions on Computers 2008.
constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t so_far = 0) noexcept {
  constexpr auto& table = detail::crc32c_table;
  const auto byte = [start = bytes.data()](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(start[i]));
  };
  std::uint32_t crc = ~so_far;
  std::size_t i = 0;
  for (; bytes.size() - i >= 8; i += 8) {
    crc ^= byte(i) | byte(i + 1) << 8U | byte(i + 2) << 16U | byte(i + 3) << 24U;
    crc = table[7][crc & 0xffU] ^ table[6][(crc >> 8U) & 0xffU] ^ table[5][(crc >> 16U) & 0xffU] ^
          table[4][crc >> 24U] ^ table[3][byte(i + 4)] ^ table[2][byte(i + 5)] ^ table[1][byte(i + 6)] ^
          table[0][byte(i + 7)];
  }
  for (; i < bytes.size(); ++i) crc = (crc >> 8U) ^ table[0][(crc ^ byte(i)) & 0xffU];
  return ~crc;
}

}  // namespace seawall::core

#endif  // SEAWALL_CORE_CRC32C_HPP
