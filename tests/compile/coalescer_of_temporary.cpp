// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/coalesce.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::coalesce(seawall::coalescer<int>()));
#else
seawall::coalescer<int> quotes;
const auto calls = seawall::compose(seawall::coalesce(quotes));
#endif
