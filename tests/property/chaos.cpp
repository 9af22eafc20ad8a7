// SPDX-License-Identifier: Apache-2.0
// Chaos with threads: the bound on calls that are held, and the counts.

#include "seawall/chaos.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::fault_kind;

TEST_CASE("chaos: threads never hold more calls than allowed, and no fault goes uncounted") {
  constexpr unsigned threads = 4;
  constexpr std::uint32_t allowed = 3;
  const std::uint64_t tries = sequences_wanted(50'000);
  seawall::chaos c({.enabled = true,
                    .faults = {{.rate = 0.5}, {.kind = fault_kind::hang, .rate = 0.4}},
                    .max_at_once = allowed});
  std::atomic<std::uint32_t> held{0}, too_many{0};
  std::atomic<std::uint64_t> suffered{0};
  const noise looks([&] { c.snapshot(); });
  in_threads(threads, [&](unsigned) {
    std::vector<seawall::chaos::injection> mine;
    std::uint64_t hit = 0;
    for (std::uint64_t i = 0; i < tries; ++i) {
      auto one = c.next(instant::from_ns(static_cast<std::int64_t>(i)));
      if (one.kind != fault_kind::none) {
        ++hit;
        if (++held > allowed) ++too_many;
        mine.push_back(std::move(one));
      }
      // Counted before the place is free, so that the bound can only be exceeded by a defect.
      if (!mine.empty() && i % 2 == 0) {
        --held;
        mine.pop_back();
      }
    }
    held -= static_cast<std::uint32_t>(mine.size());
    suffered += hit;
  });
  const seawall::chaos_snapshot s = c.snapshot();
  CHECK(too_many.load() == 0);
  CHECK(s.active == 0);
  CHECK(s.calls == threads * tries);
  CHECK(s.failures + s.hangs == suffered);
  CHECK(s.withheld > 0);
}

TEST_CASE("chaos: switching and reconfiguring while threads call") {
  const std::uint64_t tries = sequences_wanted(20'000);
  seawall::chaos c({.enabled = true, .faults = {{.rate = 1, .text = "first"}}});
  in_threads(3, [&](unsigned thread) {
    for (std::uint64_t i = 0; i < tries; ++i) {
      if (thread != 0) {
        const auto one = c.next(instant::from_ns(1));
        if (one.text) CHECK((*one.text == "first" || *one.text == "second"));
      } else if (i % 3 == 0) {
        c.disable();
      } else if (i % 3 == 1) {
        c.enable();
      } else {
        c.reconfigure(
            {.enabled = true, .faults = {{.rate = 1, .text = "second"}}, .script = "fail, ok x3 ..."});
      }
    }
  });
  CHECK(c.snapshot().active == 0);
}

}  // namespace
