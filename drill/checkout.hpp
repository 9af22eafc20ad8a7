// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_CHECKOUT_HPP
#define SEAWALL_DRILL_CHECKOUT_HPP

// What a checkout is, and what customers and shop agree on. Both storefronts keep to it.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dependencies.hpp"

namespace drill {

/// A customer closes the page when no answer has come after this long.
inline constexpr std::chrono::milliseconds customer_patience{2000};

/// What the storefront with seawall gives itself for one checkout.
inline constexpr std::chrono::milliseconds checkout_deadline{1000};

struct checkout_answer {
  bool accepted = false;  ///< false: the customer sees an error page
  std::string page = {};
  per_dependency<bool> degraded = {};  ///< answered without this dependency
};

/// The way of calling dependencies that a storefront process is started with.
enum class shop_kind : std::uint8_t { bare, seawall };

constexpr std::string_view name_of(shop_kind k) { return k == shop_kind::bare ? "bare" : "seawall"; }

}  // namespace drill

#endif  // SEAWALL_DRILL_CHECKOUT_HPP
