// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/bulkhead.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_concurrency(seawall::bulkhead()));
#else
seawall::bulkhead quotes;
const auto calls = seawall::compose(seawall::limit_concurrency(quotes));
#endif
