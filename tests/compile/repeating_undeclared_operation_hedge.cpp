// SPDX-License-Identifier: Apache-2.0
// expect: this pipeline repeats operations (retry, hedge): say whether that is safe
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"

int main() {
  const auto calls = seawall::compose(seawall::hedge());
  const auto ask = [] { return 0; };
#ifdef SEAWALL_MISTAKE
  seawall::detail::check_operation<decltype(ask), decltype(calls)::repeats>();
#else
  auto declared = seawall::idempotent(ask);
  seawall::detail::check_operation<decltype(declared), decltype(calls)::repeats>();
#endif
}
