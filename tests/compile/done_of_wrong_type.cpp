// SPDX-License-Identifier: Apache-2.0
// Where failures are thrown, done is told of them, too.
// expect: done must accept the result of the operation (seawall::answer_of<R> where failures are thrown)
#include "seawall/exec/async.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/testing/virtual_scheduler.hpp"

int main() {
  seawall::testing::virtual_scheduler loop;
  const auto calls = seawall::compose();
#ifdef SEAWALL_MISTAKE
  const auto done = [](int) {};
#else
  const auto done = [](const seawall::answer_of<int>&) {};
#endif
  calls.start(
      loop, [] { return 7; }, done);
  loop.run();
}
