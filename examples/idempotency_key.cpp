// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry ] --> payments: remembers what it did under which key
//
// An operation that would do harm twice becomes idempotent when the dependency recognises a key. `idempotent_by` gives
// every attempt the same one, and the pipeline may repeat as it likes.

#include <map>
#include <string>

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

namespace {

// Executes each key once, and answers a repetition with what it answered before.
class payments_server {
 public:
  std::string pay(std::string_view key, int cents) {
    const auto [entry, is_new] = receipts_.try_emplace(std::string(key));
    if (is_new) {
      taken_ += cents;
      entry->second = fmt::format("receipt {}", receipts_.size());
    }
    return entry->second;
  }
  int taken() const { return taken_; }

 private:
  std::map<std::string, std::string> receipts_;
  int taken_ = 0;
};

}  // namespace

int main() {
  payments_server server;
  seawall::testing::virtual_clock clock;
  const auto pipeline = seawall::compose(seawall::retry());

  // The first answer is lost on its way back: the payment was made, and the client cannot know.
  const auto pay = [&server](const seawall::attempt& a) -> absl::StatusOr<std::string> {
    const std::string receipt = server.pay(a.idempotency_key(), 1999);
    fmt::print("attempt {} with key {}: {}\n", a.number(), a.idempotency_key(),
               a.number() == 1 ? "no answer" : receipt);
    if (a.number() == 1) return absl::UnavailableError("connection reset by peer");
    return receipt;
  };

  const auto first = seawall::testing::run(clock, pipeline, seawall::idempotent_by("order-4711", pay));
  fmt::print("{}, {} cents taken\n", *first, server.taken());
  const auto other = seawall::testing::run(clock, pipeline, seawall::idempotent_by("order-4712", pay));
  fmt::print("{}, {} cents taken\n", *other, server.taken());
  return *first == "receipt 1" && *other == "receipt 2" && server.taken() == 2 * 1999 ? 0 : 1;
}
