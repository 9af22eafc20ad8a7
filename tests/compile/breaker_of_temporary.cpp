// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/circuit_breaker.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::breaker(seawall::circuit_breaker()));
#else
seawall::circuit_breaker quotes;
const auto calls = seawall::compose(seawall::breaker(quotes));
#endif
