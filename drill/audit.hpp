// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_AUDIT_HPP
#define SEAWALL_DRILL_AUDIT_HPP

// What the payment process has in its books at the end of a run.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger.hpp"

namespace drill {

struct payment_audit {
  std::uint64_t charges = 0;
  std::uint64_t repeats_recognised = 0;  ///< requests whose idempotency key had been seen
  std::uint64_t double_charges = 0;
  std::vector<std::uint64_t> orders;  ///< charged at least once

  friend bool operator==(const payment_audit&, const payment_audit&) = default;
};

payment_audit payment_audit_of(const ledger& l);

std::string to_words(const payment_audit& a);
std::optional<payment_audit> payment_audit_from_words(std::string_view words);

}  // namespace drill

#endif  // SEAWALL_DRILL_AUDIT_HPP
