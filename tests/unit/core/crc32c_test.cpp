// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/crc32c.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

using seawall::core::crc32c;

namespace {

/// As the definition has it, a bit at a time.
std::uint32_t bitwise(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1U ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::string counted(int from, int step) {
  std::string out;
  for (int i = 0; i < 32; ++i) out.push_back(static_cast<char>(from + step * i));
  return out;
}

}  // namespace

TEST_CASE("crc32c: the examples of RFC 3720, B.4") {
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  CHECK(crc32c(counted(0, 1)) == 0x46dd794eU);
  CHECK(crc32c(counted(31, -1)) == 0x113fdb5cU);
  constexpr std::array<unsigned char, 48> read_command{
      0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0};
  CHECK(crc32c(std::string(read_command.begin(), read_command.end())) == 0xd9963a56U);
}

TEST_CASE("crc32c: known when compiled, and the same when run") {
  static_assert(crc32c("") == 0);
  static_assert(crc32c("123456789") == 0xe3069283U);
  const std::string text = "123456789";
  CHECK(crc32c(text) == 0xe3069283U);
}

TEST_CASE("crc32c: of any length, at any alignment, as the definition has it") {
  std::string bytes;
  for (int i = 0; i < 80; ++i) bytes.push_back(static_cast<char>(i * 37 + 11));
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; from + size <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(from, size);
      CHECK(crc32c(part) == bitwise(part));
    }
  }
}

TEST_CASE("crc32c: a sum goes on where another one ended, at any place") {
  const std::string text = "Acknowledged data is never lost silently.";
  for (std::size_t i = 0; i <= text.size(); ++i)
    CHECK(crc32c(text.substr(i), crc32c(text.substr(0, i))) == crc32c(text));
}
