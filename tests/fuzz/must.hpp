// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_FUZZ_MUST_HPP
#define SEAWALL_TESTS_FUZZ_MUST_HPP

#include <cstdio>
#include <cstdlib>

/// What has to hold for every input; libFuzzer keeps the input for which it doesn't.
inline void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

#endif  // SEAWALL_TESTS_FUZZ_MUST_HPP
