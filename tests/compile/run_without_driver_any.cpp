// SPDX-License-Identifier: Apache-2.0
// The rest of the message is in quotes, which compilers print differently.
// expect: pipeline::run needs #include
#include "seawall/any_pipeline.hpp"
#ifndef SEAWALL_MISTAKE
#include "seawall/exec/blocking.hpp"
#endif

int main() {
  const auto calls = seawall::any_pipeline<absl::Status>::from({});
  return calls->run(seawall::idempotent([] { return absl::OkStatus(); })).raw_code();
}
