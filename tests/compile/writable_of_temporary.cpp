// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/degradation.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::require_writable(seawall::degradation()));
#else
seawall::degradation shared;
const auto calls = seawall::compose(seawall::require_writable(shared));
#endif
