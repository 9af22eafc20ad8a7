// SPDX-License-Identifier: Apache-2.0
// expect: cached serves stale answers in place of failures, so that an adaptive limit outside it would never hear of an overload: it must come before it
#include "seawall/adaptive_limit.hpp"
#include "seawall/cache.hpp"
#include "seawall/pipeline.hpp"

seawall::cache<int> quotes;
seawall::adaptive_limit guard;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_concurrency(guard), seawall::cached(quotes));
#else
const auto calls = seawall::compose(seawall::cached(quotes), seawall::limit_concurrency(guard));
#endif
