// SPDX-License-Identifier: Apache-2.0
// expect: cached serves stale answers in place of failures, so that a throttle outside it would never hear of a refusal: it must come before it
#include "seawall/cache.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/throttle.hpp"

seawall::cache<int> quotes;
seawall::adaptive_throttle guard;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::throttle(guard), seawall::cached(quotes));
#else
const auto calls = seawall::compose(seawall::cached(quotes), seawall::throttle(guard));
#endif
