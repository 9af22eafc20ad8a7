// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_STOREFRONT_HPP
#define SEAWALL_DRILL_STOREFRONT_HPP

// The process that customers talk to. Two of them, alike but for how they call their dependencies
// and whom they let wait for a page.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "checkout.hpp"
#include "dependencies.hpp"
#include "shop_stats.hpp"

namespace drill {

/// The role `serve-storefront --kind bare|seawall --port P --inventory P --payment P --recommendations P
/// --seed N`, until the driver has gone. Returns the exit status.
int serve_storefront(std::span<const std::string_view> arguments);

struct storefront_ports {
  std::uint16_t own = 0;
  per_dependency<std::uint16_t> of;
};

struct shop {
  // Called from many threads at once.
  std::function<checkout_answer(std::uint64_t order)> checkout;
  std::function<product_answer(std::uint64_t article)> browse;
  std::function<shop_stats()> stats;
  std::function<void(bool on)> switch_chaos;
  std::function<void(bool on)> switch_read_only = {};  // empty: it has no such mode
};

inline constexpr std::string_view no_such_mode = "no such mode";

/// What the driver hears: the statistics after "stats", "done" after "chaos on" or "off" and "read-only on" or
/// "off", `no_such_mode` if the storefront has none of that.
std::string obey(const shop& s, std::string_view words);

/// Answers customers and driver. Does not return.
[[noreturn]] void run_storefront(std::uint16_t port, const shop& s);

[[noreturn]] void run_bare_storefront(const storefront_ports& ports, std::uint64_t seed);
[[noreturn]] void run_seawall_storefront(const storefront_ports& ports, std::uint64_t seed);

}  // namespace drill

#endif  // SEAWALL_DRILL_STOREFRONT_HPP
