// SPDX-License-Identifier: Apache-2.0
#include "ledger.hpp"

namespace drill {

void ledger::charge(std::uint64_t order, std::string_view key) {
  if (!key.empty() && !seen_keys_.emplace(key).second) {
    ++repeats_;
    return;
  }
  ++charges_;
  charged_.insert(order);
}

std::vector<std::uint64_t> ledger::charged_orders() const { return {charged_.begin(), charged_.end()}; }

}  // namespace drill
