// SPDX-License-Identifier: Apache-2.0
// The rest of the message is in quotes, which compilers print differently.
// expect: pipeline::start needs #include
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#ifndef SEAWALL_MISTAKE
#include "seawall/exec/async.hpp"
#endif

int main() {
  seawall::testing::virtual_scheduler loop;
  const auto calls = seawall::compose();
  calls.start(
      loop, [] { return absl::OkStatus(); }, [](const absl::Status&) {});
  loop.run();
}
