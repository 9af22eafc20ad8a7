// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/brownout.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::degrade(seawall::brownout()));
#else
seawall::brownout shared;
const auto calls = seawall::compose(seawall::degrade(shared));
#endif
