// SPDX-License-Identifier: Apache-2.0
// expect: inject(chaos, x): x must be a value of the operation's result, or a function that returns one and takes nothing or the attempt
#include <string>

#include "absl/status/statusor.h"
#include "seawall/chaos.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

int main() {
  seawall::chaos storm;
#ifdef SEAWALL_MISTAKE
  const auto calls = seawall::compose(seawall::inject(storm, std::string("seven")));
#else
  const auto calls = seawall::compose(seawall::inject(storm, 7));
#endif
  return calls.run([] { return absl::StatusOr<int>(0); }).ok() ? 0 : 1;
}
