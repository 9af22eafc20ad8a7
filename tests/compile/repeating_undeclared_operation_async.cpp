// SPDX-License-Identifier: Apache-2.0
// expect: this pipeline repeats operations (retry, hedge): say whether that is safe, with idempotent(op), idempotent_by(key, op) or non_idempotent(op)
#include "seawall/exec/async.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

void charge(seawall::completion<absl::Status> done) { done(absl::OkStatus()); }

int main() {
  seawall::testing::virtual_scheduler loop;
  const auto calls = seawall::compose(seawall::retry());
  const auto done = [](const absl::Status&) {};
#ifdef SEAWALL_MISTAKE
  calls.start(loop, charge, done);
#else
  calls.start(loop, seawall::non_idempotent(charge), done);
#endif
  loop.run();
}
