// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/pipeline.hpp"
#include "seawall/rate_limiter.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_rate(seawall::keyed<seawall::rate_limiter>()));
#else
seawall::keyed<seawall::rate_limiter> quotes;
const auto calls = seawall::compose(seawall::limit_rate(quotes));
#endif
