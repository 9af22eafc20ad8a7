// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_CHECKOUT_HPP
#define SEAWALL_DRILL_CHECKOUT_HPP

// What a checkout is and what browsing is, and what visitors and shop agree on. Both storefronts keep to it.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dependencies.hpp"

namespace drill {

/// A customer closes the page when no answer has come after this long.
inline constexpr std::chrono::milliseconds customer_patience{2000};

/// Who only looks around leaves sooner.
inline constexpr std::chrono::milliseconds browser_patience{1000};

/// What the storefront with seawall gives itself for one checkout.
inline constexpr std::chrono::milliseconds checkout_deadline{1000};

/// What an order is for. So few that somebody else has bought the same a moment ago.
constexpr std::uint64_t article_of(std::uint64_t order) { return order % 40 + 1; }

struct checkout_answer {
  bool accepted = false;   ///< false: the customer sees an error page
  bool read_only = false;  ///< the shop takes no orders for now: the page says so, and when to come back
  std::string page = {};
  per_dependency<bool> degraded = {};  ///< answered without this dependency
};

struct product_answer {
  bool refused = false;  ///< the visitor sees "come back later", with a status and a header that say so
  std::string page = {};
};

/// The way of calling dependencies that a storefront process is started with.
enum class shop_kind : std::uint8_t { bare, seawall };

constexpr std::string_view name_of(shop_kind k) { return k == shop_kind::bare ? "bare" : "seawall"; }

}  // namespace drill

#endif  // SEAWALL_DRILL_CHECKOUT_HPP
