// SPDX-License-Identifier: Apache-2.0
// expect: fallback(x): x must be a value of the operation's result, or a function that returns one and takes nothing, the error, the attempt, or the error and the attempt
#include <string>

#include "seawall/exec/blocking.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"

int main() {
#ifdef SEAWALL_MISTAKE
  return seawall::compose(seawall::fallback(std::string("none"))).run([] { return 0; });
#else
  return seawall::compose(seawall::fallback(7)).run([] { return 0; });
#endif
}
