// SPDX-License-Identifier: Apache-2.0
// expect: coalesce lets calls with one key share one execution, so that the second attempt of a hedge outside it would join the first: it must come before hedge
#include "seawall/coalesce.hpp"
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"

seawall::coalescer<int> flights;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::hedge(), seawall::coalesce(flights));
#else
const auto calls = seawall::compose(seawall::coalesce(flights), seawall::hedge());
#endif
