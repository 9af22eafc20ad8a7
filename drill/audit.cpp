// SPDX-License-Identifier: Apache-2.0
#include "audit.hpp"

#include <sstream>

#include <fmt/ranges.h>

namespace drill {

payment_audit payment_audit_of(const ledger& l) {
  return {.charges = l.charges(),
          .repeats_recognised = l.repeats_recognised(),
          .double_charges = l.double_charges(),
          .orders = l.charged_orders()};
}

std::string to_words(const payment_audit& a) {
  return fmt::format("{} {} {} {}", a.charges, a.repeats_recognised, a.double_charges,
                     fmt::join(a.orders, " "));
}

std::optional<payment_audit> payment_audit_from_words(std::string_view words) {
  std::istringstream in{std::string(words)};
  payment_audit a;
  if (!(in >> a.charges >> a.repeats_recognised >> a.double_charges)) return std::nullopt;
  for (std::uint64_t order = 0; in >> order;) a.orders.push_back(order);
  if (!in.eof()) return std::nullopt;
  return a;
}

}  // namespace drill
