// SPDX-License-Identifier: Apache-2.0
// expect: cached serves stale answers in place of failures, so that a retry or hedge outside it would never see one: it must come before them
#include "seawall/cache.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

seawall::cache<int> quotes;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::retry(), seawall::cached(quotes));
#else
const auto calls = seawall::compose(seawall::cached(quotes), seawall::retry());
#endif
