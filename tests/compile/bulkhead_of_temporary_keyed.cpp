// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/bulkhead.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_concurrency(seawall::keyed<seawall::bulkhead>()));
#else
seawall::keyed<seawall::bulkhead> shards;
const auto calls = seawall::compose(seawall::limit_concurrency(shards));
#endif
