// SPDX-License-Identifier: Apache-2.0
// The rest of the message is in quotes, which compilers print differently.
// expect: pipeline::run needs #include
#include "seawall/pipeline.hpp"
#ifndef SEAWALL_MISTAKE
#include "seawall/exec/blocking.hpp"
#endif

int main() {
  return seawall::compose().run([] { return 0; });
}
