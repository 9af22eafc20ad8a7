// SPDX-License-Identifier: Apache-2.0
// expect: fallback turns failures into answers, so that a throttle outside it would never hear of a refusal: it must come before it
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/throttle.hpp"

seawall::adaptive_throttle quotes;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::throttle(quotes), seawall::fallback(1));
#else
const auto calls = seawall::compose(seawall::fallback(1), seawall::throttle(quotes));
#endif
