// SPDX-License-Identifier: Apache-2.0
#include "drill/rendering.hpp"

#include <chrono>
#include <cstddef>

#include <doctest/doctest.h>

namespace drill {

using namespace std::chrono_literals;

namespace {

constexpr renderer::clock::time_point start{1h};

}  // namespace

TEST_CASE(
    "renderer: as many pages at once as there are workers, the next one waits for the first that is free") {
  renderer r;
  CHECK(r.reserve(start, 10ms) == start + 10ms);
  for (std::size_t i = 1; i < render_workers; ++i) CHECK(r.reserve(start, 80ms) == start + 80ms);
  CHECK(r.reserve(start, 80ms) == start + 90ms);
  CHECK(r.reserve(start, 10ms) == start + 90ms);  // behind the others, however little it asks for
}

TEST_CASE("renderer: time in which nobody asked is not saved up") {
  renderer r;
  for (std::size_t i = 0; i < render_workers; ++i) r.reserve(start, 10ms);
  for (std::size_t i = 0; i < render_workers; ++i) CHECK(r.reserve(start + 1s, 10ms) == start + 1010ms);
  CHECK(r.reserve(start + 1s, 10ms) == start + 1020ms);
}

TEST_CASE("renderer: pages queued without end are rendered at the capacity, no faster and no slower") {
  renderer r;
  auto last = start;
  for (std::size_t i = 0; i < 100 * render_workers; ++i) last = r.reserve(start, 80ms);
  CHECK(last == start + 8s);
}

TEST_CASE("renderer: only pages that are ready count as rendered") {
  renderer r;
  r.reserve(renderer::clock::now(), 1h);
  CHECK(r.spent() == 0us);
  r.render(1ms);
  CHECK(r.spent() == 1ms);
}

TEST_CASE("renderer: checkouts and browsing together ask for four times the workers' time") {
  for (const int checkouts : {50, 150, 250}) {
    const auto asked = checkouts * checkout_page_takes + browsing_per_s(checkouts) * product_page_takes;
    const auto capacity = static_cast<int>(render_workers) * 1000ms;
    CHECK(asked <= overload_factor * capacity);
    CHECK(asked > overload_factor * capacity - product_page_takes);
    CHECK(checkouts * checkout_page_takes < capacity / 2);  // checkout alone is no overload
  }
}

}  // namespace drill
