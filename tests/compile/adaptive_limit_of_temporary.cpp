// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/adaptive_limit.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_concurrency(seawall::adaptive_limit()));
#else
seawall::adaptive_limit quotes;
const auto calls = seawall::compose(seawall::limit_concurrency(quotes));
#endif
