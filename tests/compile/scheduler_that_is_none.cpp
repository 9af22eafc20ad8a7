// SPDX-License-Identifier: Apache-2.0
// expect: pipeline::start and pipeline::async run on a scheduler; see exec/scheduler.hpp
#include "seawall/exec/async.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

int main() {
#ifdef SEAWALL_MISTAKE
  seawall::testing::virtual_clock loop;
#else
  seawall::testing::virtual_scheduler loop;
#endif
  const auto calls = seawall::compose();
  calls.start(
      loop, [] { return absl::OkStatus(); }, [](const absl::Status&) {});
}
