// SPDX-License-Identifier: Apache-2.0
// expect: this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op), idempotent_by(key, op) or non_idempotent(op)
#include "seawall/any_pipeline.hpp"
#include "seawall/exec/blocking.hpp"

absl::Status charge() { return absl::OkStatus(); }

int main() {
  const auto calls = seawall::any_pipeline<absl::Status>::from({.name = "payments"});
#ifdef SEAWALL_MISTAKE
  return calls->run(charge).raw_code();
#else
  return calls->run(seawall::idempotent_by("order-17", charge)).raw_code();
#endif
}
