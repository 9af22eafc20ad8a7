// SPDX-License-Identifier: Apache-2.0
// expect: coalesce outside cached would make hits wait for each other: cached must come first
#include "seawall/cache.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/pipeline.hpp"

seawall::cache<int> quotes;
seawall::coalescer<int> flights;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::coalesce(flights), seawall::cached(quotes));
#else
const auto calls = seawall::compose(seawall::cached(quotes), seawall::coalesce(flights));
#endif
