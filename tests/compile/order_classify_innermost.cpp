// SPDX-License-Identifier: Apache-2.0
// expect: classify reads the result of an attempt and must be the innermost layer
#include "seawall/classify.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/retry.hpp"

seawall::verdict reading(int answer) {
  return answer > 0 ? seawall::verdict::ok() : seawall::verdict::transient();
}

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::classify(reading), seawall::retry());
#else
const auto calls = seawall::compose(seawall::retry(), seawall::classify(reading));
#endif
