// SPDX-License-Identifier: Apache-2.0
// expect: fallback turns failures into answers, so that a retry or hedge outside it would never see one: it must come before them
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::retry(), seawall::fallback(1));
#else
const auto calls = seawall::compose(seawall::fallback(1), seawall::retry());
#endif
