// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/exec/blocking.hpp"
#include "seawall/fallback.hpp"
#include "seawall/pipeline.hpp"

int ask_replica() { return 1; }

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::fallback_to(seawall::compose(), ask_replica));
#else
const auto replica = seawall::compose();
const auto calls = seawall::compose(seawall::fallback_to(replica, ask_replica));
#endif
