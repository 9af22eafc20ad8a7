// SPDX-License-Identifier: Apache-2.0
// expect: cached serves stale answers in place of failures, and an open breaker outside it would reject what it could serve: it must come before it
#include "seawall/cache.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/pipeline.hpp"

seawall::cache<int> quotes;
seawall::circuit_breaker guard;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::breaker(guard), seawall::cached(quotes));
#else
const auto calls = seawall::compose(seawall::cached(quotes), seawall::breaker(guard));
#endif
