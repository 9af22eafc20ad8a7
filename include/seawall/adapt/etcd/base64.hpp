// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_BASE64_HPP
#define SEAWALL_ADAPT_ETCD_BASE64_HPP

// Base64 (RFC 4648, section 4), as etcd's JSON gateway wraps keys and values in it. What is not canonical is refused.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seawall::detail {

inline constexpr std::string_view base64_letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline std::string to_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8U | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out.push_back(k <= n ? base64_letters[group >> (18 - 6 * k) & 63U] : '=');
  }
  return out;
}

inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool padded = i >= text.size() - padding;
    const std::size_t letter = padded ? 0 : base64_letters.find(text[i]);
    if (letter == std::string_view::npos) return std::nullopt;
    group = group << 6U | static_cast<std::uint32_t>(letter);
    if (i % 4 != 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) out.push_back(static_cast<char>(group >> shift & 0xffU));
    group = 0;
  }
  for (std::size_t k = 0; k < padding; ++k) {
    if (out.back() != '\0') return std::nullopt;
    out.pop_back();
  }
  return out;
}

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_ETCD_BASE64_HPP
