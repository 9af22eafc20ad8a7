// SPDX-License-Identifier: Apache-2.0
// expect: this build forbids chaos (SEAWALL_FORBID_CHAOS is defined): compose the pipeline without inject(...), or build without the definition
#define SEAWALL_FORBID_CHAOS
#include "seawall/chaos.hpp"
#include "seawall/pipeline.hpp"

// Including the header is harmless, and so are options.
const seawall::chaos_options options;

#ifdef SEAWALL_MISTAKE
seawall::chaos storm(options);
const auto calls = seawall::compose(seawall::inject(storm));
#else
const auto calls = seawall::compose();
#endif
