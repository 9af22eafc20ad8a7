// SPDX-License-Identifier: Apache-2.0
// expect: this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op), idempotent_by(key, op) or non_idempotent(op)
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"

absl::Status charge() { return absl::OkStatus(); }

int main() {
  const auto calls = seawall::compose(seawall::retry());
#ifdef SEAWALL_MISTAKE
  return calls.run(charge).raw_code();
#else
  return calls.run(seawall::non_idempotent(charge)).raw_code();
#endif
}
