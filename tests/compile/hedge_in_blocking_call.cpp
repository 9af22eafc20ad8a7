// SPDX-License-Identifier: Apache-2.0
// expect: hedge needs a driver in which attempts overlap: use run_on(pool, op), start(scheduler, op, done) or
// expect: co_await async(scheduler, op)
#include "seawall/exec/blocking.hpp"
#include "seawall/hedge.hpp"
#include "seawall/retry.hpp"

int main() {
  const auto hedged = seawall::compose(seawall::hedge(), seawall::retry());
#ifdef SEAWALL_MISTAKE
  const auto& calls = hedged;
#else
  static_assert(decltype(hedged)::overlaps);
  const auto calls = seawall::compose(seawall::retry());
#endif
  return calls.run(seawall::idempotent([] { return 0; }));
}
