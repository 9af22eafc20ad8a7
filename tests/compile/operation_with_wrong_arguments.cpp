// SPDX-License-Identifier: Apache-2.0
// expect: an operation takes a seawall::attempt or nothing
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"

int main() {
#ifdef SEAWALL_MISTAKE
  return seawall::compose().run([](const char* symbol) { return *symbol == 'E' ? 0 : 1; });
#else
  return seawall::compose().run([](const seawall::attempt& a) { return a.number() == 1 ? 0 : 1; });
#endif
}
