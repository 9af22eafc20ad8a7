// SPDX-License-Identifier: Apache-2.0
// expect: retry inside retry multiplies the attempts: use one, with more attempts
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::retry({.max_attempts = 3}), seawall::retry({.max_attempts = 3}));
#else
const auto calls = seawall::compose(seawall::retry({.max_attempts = 9}));
#endif
