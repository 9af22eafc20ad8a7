// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/feature_gate.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::degrade(seawall::feature_gate()));
#else
seawall::feature_gate shared;
const auto calls = seawall::compose(seawall::degrade(shared));
#endif
