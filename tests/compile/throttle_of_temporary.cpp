// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/pipeline.hpp"
#include "seawall/throttle.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::throttle(seawall::adaptive_throttle()));
#else
seawall::adaptive_throttle quotes;
const auto calls = seawall::compose(seawall::throttle(quotes));
#endif
