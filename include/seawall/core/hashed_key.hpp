// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_HASHED_KEY_HPP
#define SEAWALL_CORE_HASHED_KEY_HPP

// A key and its hash, so that a call that looks into several tables hashes its key once. Refers to the text.

#include <cstddef>
#include <functional>
#include <string_view>

#include "seawall/call.hpp"

namespace seawall::core {

struct hashed_key {
  hashed_key() = default;
  explicit hashed_key(std::string_view key) noexcept : text(key), hash(std::hash<std::string_view>()(key)) {}
  hashed_key(std::string_view key, std::size_t known) noexcept : text(key), hash(known) {}

  friend bool operator==(const hashed_key& a, const hashed_key& b) noexcept {
    return a.hash == b.hash && a.text == b.text;
  }

  std::string_view text = {};
  std::size_t hash = 0;
};

struct hash_of_key {
  std::size_t operator()(const hashed_key& k) const noexcept { return k.hash; }
};

}  // namespace seawall::core

namespace seawall::detail {

/// Where a call's key comes from unless the user says otherwise: `call_options::key`.
struct key_of_call {
  std::string_view operator()(const call& c) const noexcept { return c.key(); }
};

}  // namespace seawall::detail

#endif  // SEAWALL_CORE_HASHED_KEY_HPP
