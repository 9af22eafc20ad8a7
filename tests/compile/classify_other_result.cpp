// SPDX-License-Identifier: Apache-2.0
// expect: classify(f): f must accept the result of the operation (const R&)
#include <string>

#include "seawall/classify.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"

#ifdef SEAWALL_MISTAKE
seawall::verdict reading(const std::string&) { return {}; }
#else
seawall::verdict reading(const absl::Status& s) {
  return s.ok() ? seawall::verdict::ok() : seawall::verdict::permanent();
}
#endif

int main() {
  return seawall::compose(seawall::classify(reading)).run([] { return absl::OkStatus(); }).raw_code();
}
