// SPDX-License-Identifier: Apache-2.0
#include "drill/election/judge.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "seawall/time.hpp"
#include <doctest/doctest.h>

namespace {

using namespace drill::election;
using seawall::instant;
using std::chrono::milliseconds;

instant at(int ms) { return instant{} + milliseconds(ms); }

record valid(node from, std::uint64_t token, int seen, int until) {
  return {.from = from, .what = record::kind::valid, .token = token, .at = at(seen), .until = at(until)};
}
record ended(node from, std::uint64_t token, int seen) {
  return {.from = from, .what = record::kind::ended, .token = token, .at = at(seen)};
}

struct row {
  const char* name;
  std::vector<record> log;
  std::size_t leases;
  std::size_t overlaps;
  std::size_t wrong_tokens;
  std::optional<milliseconds> least_gap = {};
};

}  // namespace

TEST_CASE("judge: two leases at once are seen, and nothing else is taken for that") {
  const row rows[] = {
      {"an empty log", {}, 0, 0, 0},
      {"one holder, renewed", {valid(0, 1, 0, 200), valid(0, 1, 20, 220)}, 1, 0, 0},
      {"one after the other",
       {valid(0, 1, 0, 200), valid(0, 1, 20, 220), valid(1, 2, 230, 430)},
       2,
       0,
       0,
       milliseconds(10)},
      {"begun in the instant in which the other one ends",
       {valid(0, 1, 0, 200), valid(1, 2, 200, 400)},
       2,
       0,
       0,
       milliseconds(0)},
      {"begun before the end that the first one was told last",
       {valid(0, 1, 0, 200), valid(0, 1, 20, 220), valid(1, 2, 219, 400)},
       2,
       1,
       0,
       milliseconds(-1)},
      {"within the other one, whose renewal is told later",
       {valid(1, 2, 100, 150), valid(0, 1, 0, 50), valid(0, 1, 40, 300)},
       2,
       1,
       0,
       milliseconds(-200)},
      {"with an old one, when a lease lies in between",
       {valid(0, 1, 0, 500), valid(0, 2, 100, 200), valid(1, 3, 300, 400)},
       3,
       1,
       0,
       milliseconds(-200)},
      {"the records of one holder come in another order",
       {valid(0, 1, 20, 220), valid(0, 1, 0, 200), valid(1, 2, 219, 400)},
       2,
       1,
       0,
       milliseconds(-1)},
      {"the first one said that it had ended",
       {valid(0, 1, 0, 200), ended(0, 1, 90), valid(1, 2, 100, 300)},
       2,
       0,
       0,
       milliseconds(10)},
      {"the first one said so too late",
       {valid(0, 1, 0, 200), ended(0, 1, 110), valid(1, 2, 100, 300)},
       2,
       1,
       0,
       milliseconds(-10)},
      {"who noticed its end long after it, as a process that was paused does",
       {valid(0, 1, 0, 200), valid(1, 2, 210, 400), ended(0, 1, 900)},
       2,
       0,
       0,
       milliseconds(10)},
      {"an end of what was never seen", {ended(0, 1, 10), valid(1, 2, 20, 40)}, 1, 0, 0},
      {"one holder twice in a row, before the first lease would have run out",
       {valid(0, 1, 0, 200), ended(0, 1, 150), valid(0, 2, 160, 300)},
       2,
       0,
       0},
  };
  for (const row& r : rows) {
    CAPTURE(r.name);
    const verdict v = judge(r.log);
    CHECK(v.leases.size() == r.leases);
    CHECK(v.overlaps.size() == r.overlaps);
    CHECK(v.wrong_tokens.size() == r.wrong_tokens);
    CHECK(v.clean() == (r.overlaps == 0 && r.wrong_tokens == 0));
    CHECK(v.least_gap.has_value() == r.least_gap.has_value());
    if (v.least_gap && r.least_gap) CHECK(*v.least_gap == seawall::duration(*r.least_gap));
  }
}

TEST_CASE("judge: a token that does not rise, is given twice, or comes back is seen") {
  const row rows[] = {
      {"falls", {valid(0, 5, 0, 200), valid(1, 4, 210, 400)}, 2, 0, 1},
      {"falls at the same holder", {valid(0, 5, 0, 200), valid(0, 4, 210, 400)}, 2, 0, 1},
      {"of two holders", {valid(0, 5, 0, 200), valid(1, 5, 210, 400)}, 2, 0, 1},
      {"valid again after its end", {valid(0, 5, 0, 200), ended(0, 5, 100), valid(0, 5, 120, 300)}, 1, 0, 1},
      {"leaves some out", {valid(0, 5, 0, 200), valid(1, 9, 210, 400)}, 2, 0, 0},
  };
  for (const row& r : rows) {
    CAPTURE(r.name);
    const verdict v = judge(r.log);
    CHECK(v.leases.size() == r.leases);
    CHECK(v.overlaps.size() == r.overlaps);
    CHECK(v.wrong_tokens.size() == r.wrong_tokens);
  }
}
