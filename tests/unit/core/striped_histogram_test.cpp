// SPDX-License-Identifier: Apache-2.0
// Quantiles and threads: tests/property/striped_histogram.cpp.
#include "seawall/core/striped_histogram.hpp"

#include <atomic>
#include <cstdint>

#include <doctest/doctest.h>

namespace {

using seawall::core::slice_count;

constexpr std::uint64_t word_of(std::uint64_t slice, std::uint64_t count) {
  return slice << slice_count::count_bits | count;
}

TEST_CASE(
    "striped_histogram: a recording counts in its slice, or in a newer one, but never takes a place back") {
  struct row {
    std::uint64_t before, slice, after;
  };
  for (const row& r : {row{0, 1, word_of(1, 1)}, row{word_of(1, 5), 1, word_of(1, 6)},
                       row{word_of(1, 5), 7, word_of(7, 1)}, row{word_of(7, 5), 1, word_of(7, 6)}}) {
    std::atomic<std::uint64_t> word{r.before};
    slice_count::add(word, r.slice);
    CHECK(word.load() == r.after);
  }
}

TEST_CASE(
    "striped_histogram: a bin that is full stays full, and does not spill into the number of its slice") {
  std::atomic<std::uint64_t> word{word_of(3, slice_count::full - 1)};
  for (int i = 0; i < 3; ++i) slice_count::add(word, 3);
  CHECK(word.load() == word_of(3, slice_count::full));
  slice_count::add(word, 4);
  CHECK(word.load() == word_of(4, 1));
}

}  // namespace
