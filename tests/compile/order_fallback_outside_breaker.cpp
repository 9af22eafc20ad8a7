// SPDX-License-Identifier: Apache-2.0
// expect: fallback turns failures into answers, so that a breaker outside it would never trip: it must come before it
#include "seawall/circuit_breaker.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"

seawall::circuit_breaker quotes;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::breaker(quotes), seawall::fallback(1));
#else
const auto calls = seawall::compose(seawall::fallback(1), seawall::breaker(quotes));
#endif
