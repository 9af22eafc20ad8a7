// SPDX-License-Identifier: Apache-2.0
// expect: seawall cannot read this result: specialise seawall::outcome_traits<R> for it, include the header that does (seawall/status.hpp, seawall/expected.hpp)
#include "absl/status/status.h"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#ifndef SEAWALL_MISTAKE
#include "seawall/status.hpp"
#endif

int main() {
  return seawall::compose().run([] { return absl::OkStatus(); }).raw_code();
}
