// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_LEDGER_HPP
#define SEAWALL_DRILL_LEDGER_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace drill {

/// What a payment provider keeps: who was charged, and which idempotency keys it has seen.
///
/// Not thread-safe. Grows with the orders of one run, some ten thousand.
class ledger {
 public:
  /// Charges `order`, unless `key` has been seen: then it recognises the repeat and changes nothing. An empty
  /// key is never recognised, as with a provider whose client sends none.
  void charge(std::uint64_t order, std::string_view key);

  std::uint64_t charges() const { return charges_; }
  std::uint64_t repeats_recognised() const { return repeats_; }
  /// Charges beyond the first of their order. Counted by order, not by key: a client with wrong keys shows
  /// here.
  std::uint64_t double_charges() const { return charges_ - charged_.size(); }
  std::vector<std::uint64_t> charged_orders() const;

 private:
  std::unordered_set<std::uint64_t> charged_;
  std::unordered_set<std::string> seen_keys_;
  std::uint64_t charges_ = 0;
  std::uint64_t repeats_ = 0;
};

}  // namespace drill

#endif  // SEAWALL_DRILL_LEDGER_HPP
