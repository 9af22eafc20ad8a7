// SPDX-License-Identifier: Apache-2.0
#include "seawall/core/watermarks.hpp"

#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

using seawall::queue_level;
using seawall::core::watermarks;

namespace {

/// The least number of items at which it is high, and the most at which it is low again.
struct marks {
  std::uint64_t high, low;
  friend bool operator==(const marks&, const marks&) = default;
};

marks marks_of(double high, double low, std::uint64_t bound) {
  watermarks w;
  w.set(high, low, bound, 0);
  marks m{};
  while (w.level() == queue_level::low) (void)w.see(++m.high, 0);
  m.low = m.high + 1;
  while (w.level() == queue_level::high) (void)w.see(--m.low, 0);
  return m;
}

}  // namespace

TEST_CASE("watermarks: high from the share on, low at the share or less, where it is no whole number too") {
  CHECK(marks_of(0.8, 0.3, 10) == marks{8, 3});
  CHECK(marks_of(0.75, 0.25, 10) == marks{8, 2});  // 3 of 10 is more than a quarter
  CHECK(marks_of(1.0, 0.5, 1) == marks{1, 0});
  CHECK(marks_of(0.07, 0.0, 100) == marks{7, 0});    // 0.07 * 100 is a little more than 7
  CHECK(marks_of(0.9, 0.29, 100) == marks{90, 29});  // and 0.29 * 100 a little less than 29
}

TEST_CASE("watermarks: two that are close to each other are not both passed by one level") {
  for (std::uint64_t bound = 1; bound <= 20; ++bound) {
    for (int high = 1; high <= 20; ++high) {
      for (int low = 0; low < high; ++low) {
        const marks m = marks_of(high / 20.0, low / 20.0, bound);
        CAPTURE(bound);
        CAPTURE(high);
        CAPTURE(low);
        CHECK(m.low < m.high);
      }
    }
  }
}

TEST_CASE("watermarks: a bound of as many bytes as can be counted is not passed by one") {
  watermarks w;
  w.set(1.0, 0.5, 10, UINT64_MAX);
  (void)w.see(0, UINT64_MAX / 2 + UINT64_MAX / 4);
  CHECK(w.level() == queue_level::low);
}
