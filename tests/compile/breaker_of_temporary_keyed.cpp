// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/circuit_breaker.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::breaker(seawall::keyed<seawall::circuit_breaker>()));
#else
seawall::keyed<seawall::circuit_breaker> shards;
const auto calls = seawall::compose(seawall::breaker(shards));
#endif
