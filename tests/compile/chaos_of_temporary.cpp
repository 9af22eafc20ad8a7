// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/chaos.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::inject(seawall::chaos()));
#else
seawall::chaos storm;
const auto calls = seawall::compose(seawall::inject(storm));
#endif
