// SPDX-License-Identifier: Apache-2.0
// expect: classify(f): f must accept the result of the operation (const R&), or what it throws (const std::exception_ptr&)
#include <string>

#include "seawall/classify.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
seawall::verdict reading(const std::string&) { return {}; }
#else
seawall::verdict reading(int answer) {
  return answer >= 0 ? seawall::verdict::ok() : seawall::verdict::transient();
}
#endif

int main() {
  return seawall::compose(seawall::classify(reading)).run([] { return 0; });
}
