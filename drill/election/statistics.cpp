// SPDX-License-Identifier: Apache-2.0
#include "statistics.hpp"

#include <algorithm>
#include <cmath>

namespace drill::election {

summary summarise(std::vector<seawall::duration> measured) {
  if (measured.empty()) return {};
  std::sort(measured.begin(), measured.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(measured.size())));
    return measured[std::max<std::size_t>(rank, 1) - 1];
  };
  return {
      .count = measured.size(), .median = at(0.5), .p95 = at(0.95), .p99 = at(0.99), .max = measured.back()};
}

}  // namespace drill::election
