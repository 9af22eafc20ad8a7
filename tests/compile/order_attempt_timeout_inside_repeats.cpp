// SPDX-License-Identifier: Apache-2.0
// expect: attempt_timeout bounds one attempt and must come after retry and hedge; for the whole call use deadline
#include "seawall/attempt_timeout.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

using namespace std::chrono_literals;

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::attempt_timeout({.after = 250ms}), seawall::retry());
#else
const auto calls = seawall::compose(seawall::retry(), seawall::attempt_timeout({.after = 250ms}));
#endif
