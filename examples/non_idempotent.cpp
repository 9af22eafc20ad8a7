// SPDX-License-Identifier: Apache-2.0

//   caller --> [ retry ] --> card terminal
//
// Charging a card twice does harm. A non-idempotent operation is repeated only where it provably was not executed: the
// connection was refused, or a policy rejected it. When the connection breaks afterwards, nobody knows, and it isn't.

#include "seawall/format.hpp"
#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_clock.hpp"

int main() {
  const auto pipeline = seawall::compose(seawall::retry({.max_attempts = 4}));
  seawall::testing::virtual_clock clock;

  // Two refused connections, then the terminal answers. The status code alone would not tell that nothing was sent; the
  // client knows, and says so.
  seawall::call_report refused;
  const absl::Status charged = seawall::testing::run(
      clock, pipeline, {.report = &refused}, seawall::non_idempotent([](const seawall::attempt& a) {
        if (a.number() <= 2) return seawall::not_executed(absl::UnavailableError("connection refused"));
        return absl::OkStatus();
      }));
  fmt::print("refused twice: {} after {} attempts\n", charged.ToString(), refused.attempts);

  // The terminal takes the charge, and the answer is lost.
  int charges = 0;
  seawall::call_report lost;
  const absl::Status unknown =
      seawall::testing::run(clock, pipeline, {.report = &lost}, seawall::non_idempotent([&charges] {
                              ++charges;
                              return absl::UnavailableError("connection reset by peer");
                            }));
  fmt::print("answer lost: {} ({} charge)\n", unknown.ToString(), charges);

  const bool repeated = charged.ok() && refused.attempts == 3;
  const bool not_repeated = !unknown.ok() && charges == 1 && lost.gave_up == seawall::give_up::not_repeatable;
  return repeated && not_repeated ? 0 : 1;
}
