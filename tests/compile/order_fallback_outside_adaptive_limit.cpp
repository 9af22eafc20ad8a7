// SPDX-License-Identifier: Apache-2.0
// expect: fallback turns failures into answers, so that an adaptive limit outside it would learn from answers that cost nothing: it must come before it
#include "seawall/adaptive_limit.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"

seawall::adaptive_limit quotes;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::limit_concurrency(quotes), seawall::fallback(1));
#else
const auto calls = seawall::compose(seawall::fallback(1), seawall::limit_concurrency(quotes));
#endif
