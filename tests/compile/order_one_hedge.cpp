// SPDX-License-Identifier: Apache-2.0
// expect: hedge inside hedge multiplies the attempts: use one, with more attempts
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::hedge({.max_attempts = 2}), seawall::hedge({.max_attempts = 2}));
#else
const auto calls = seawall::compose(seawall::hedge({.max_attempts = 4}));
#endif
