// SPDX-License-Identifier: Apache-2.0
// expect: coalesce(flights): flights must be a seawall::coalescer<R> of the operation's result R
#include "seawall/coalesce.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

int main() {
#ifdef SEAWALL_MISTAKE
  seawall::coalescer<long> flights;
#else
  seawall::coalescer<int> flights;
#endif
  return seawall::compose(seawall::coalesce(flights)).run([] { return 0; });
}
