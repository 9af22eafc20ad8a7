// SPDX-License-Identifier: Apache-2.0
// expect: deadline bounds the whole call and must come before retry and hedge; for one attempt use attempt_timeout
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

using namespace std::chrono_literals;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::retry(), seawall::deadline({.after = 2s}));
#else
const auto calls = seawall::compose(seawall::deadline({.after = 2s}), seawall::retry());
#endif
