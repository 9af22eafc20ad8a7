// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/cache.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::cached(seawall::cache<int>()));
#else
seawall::cache<int> quotes;
const auto calls = seawall::compose(seawall::cached(quotes));
#endif
