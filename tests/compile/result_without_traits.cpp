// SPDX-License-Identifier: Apache-2.0
// expect: seawall cannot read this result: specialise seawall::outcome_traits<R> for it
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

struct answer {
  bool ok() const { return false; }
};

#ifndef SEAWALL_MISTAKE
template <>
struct seawall::outcome_traits<answer> {
  static verdict classify(const answer& a) { return a.ok() ? verdict::ok() : verdict::transient(); }
  static answer reject(const rejection&, const answer*) { return {}; }
};
#endif

int main() {
  return seawall::compose().run([] { return answer(); }).ok() ? 0 : 1;
}
