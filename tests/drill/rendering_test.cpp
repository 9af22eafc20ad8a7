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

TEST_CASE("renderer: what is spent until a moment, of pages that are ready, under way, and still queued") {
  renderer r;
  CHECK(r.spent(start) == 0us);
  r.reserve(start, 10ms);
  for (std::size_t i = 0; i < render_workers; ++i)
    r.reserve(start, 80ms);  // the last one behind the short page
  CHECK(r.spent(start) == 0us);
  CHECK(r.spent(start + 5ms) == render_workers * 5ms);
  CHECK(r.spent(start + 80ms) == render_workers * 80ms);
  CHECK(r.spent(start + 85ms) == render_workers * 80ms + 5ms);
  CHECK(r.spent(start + 1s) == render_workers * 80ms + 10ms);
}

TEST_CASE("renderer: rendering takes its time") {
  renderer r;
  const auto begun = renderer::clock::now();
  r.render(3ms);
  CHECK(renderer::clock::now() - begun >= 3ms);
  CHECK(r.spent(renderer::clock::now()) == 3ms);
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
