// SPDX-License-Identifier: Apache-2.0
// A generic lambda does not say what it completes with.
// expect: an asynchronous operation takes (seawall::attempt, seawall::completion<R>), R spelt out, or takes a seawall::attempt or nothing and returns an awaitable; see seawall/exec/launch.hpp
#include "seawall/exec/async.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

int main() {
  seawall::testing::virtual_scheduler loop;
  const auto calls = seawall::compose();
#ifdef SEAWALL_MISTAKE
  const auto op = [](seawall::attempt, auto done) { done(absl::OkStatus()); };
#else
  const auto op = [](seawall::attempt, seawall::completion<absl::Status> done) { done(absl::OkStatus()); };
#endif
  calls.start(loop, op, [](const absl::Status&) {});
  loop.run();
}
