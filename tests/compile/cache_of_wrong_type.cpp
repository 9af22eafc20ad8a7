// SPDX-License-Identifier: Apache-2.0
// expect: cached(store): store must be a seawall::cache<R> of the operation's result R
#include "seawall/cache.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

int main() {
#ifdef SEAWALL_MISTAKE
  seawall::cache<long> store;
#else
  seawall::cache<int> store;
#endif
  return seawall::compose(seawall::cached(store)).run([] { return 0; });
}
