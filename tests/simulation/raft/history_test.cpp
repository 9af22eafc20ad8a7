// SPDX-License-Identifier: Apache-2.0
#include "simulation/raft/parts/history.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "simulation/raft/parts/dice.hpp"
#include <doctest/doctest.h>

namespace {

using raftsim::dice;
using raftsim::linearisable;
using raftsim::operation;
using raftsim::operation_kind;

operation put(std::uint64_t v, std::uint64_t begun, std::uint64_t ended = operation::open) {
  return {.kind = operation_kind::put, .value = v, .begun = begun, .ended = ended};
}
operation get(std::uint64_t v, std::uint64_t begun, std::uint64_t ended) {
  return {.kind = operation_kind::get, .value = v, .begun = begun, .ended = ended};
}
operation cas(std::uint64_t from, std::uint64_t to, bool swapped, std::uint64_t begun,
              std::uint64_t ended = operation::open) {
  return {.kind = operation_kind::cas,
          .value = to,
          .expected = from,
          .swapped = swapped,
          .begun = begun,
          .ended = ended};
}

TEST_CASE("linearisability: what one thread after another could have seen is accepted") {
  CHECK(linearisable({}));
  CHECK(linearisable({get(0, 1, 2), put(1, 3, 4), get(1, 5, 6)}));
  CHECK(linearisable({put(1, 1, 2), cas(1, 2, true, 3, 4), cas(1, 3, false, 5, 6), get(2, 7, 8)}));
  CHECK(linearisable({cas(0, 1, true, 1, 2), get(1, 3, 4)}));  // made where there was nothing
}

TEST_CASE("linearisability: what overlaps may have been in either order, but in one for all") {
  CHECK(linearisable({put(1, 1, 4), get(0, 2, 3)}));
  CHECK(linearisable({put(1, 1, 4), get(1, 2, 3)}));
  CHECK_FALSE(linearisable({put(1, 1, 8), get(1, 2, 3), get(0, 4, 5)}));  // new, then old
  CHECK_FALSE(linearisable({put(1, 1, 10), put(2, 2, 9), get(1, 3, 4), get(2, 5, 6), get(1, 7, 8)}));
}

TEST_CASE("linearisability: a stale read, a lost write and a write done twice are refused") {
  CHECK_FALSE(linearisable({put(1, 1, 2), get(0, 3, 4)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), put(2, 3, 4), get(1, 5, 6)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), put(2, 3, 4), get(2, 5, 6), get(1, 7, 8)}));
  CHECK_FALSE(linearisable({get(7, 1, 2)}));  // out of thin air
}

TEST_CASE(
    "linearisability: two that swapped from the same value, or one that did not and could, are refused") {
  CHECK_FALSE(linearisable({put(1, 1, 2), cas(1, 2, true, 3, 6), cas(1, 3, true, 4, 5)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), cas(1, 2, false, 3, 4)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), cas(2, 3, true, 3, 4)}));
}

TEST_CASE(
    "linearisability: what nobody got an answer to may take effect late or never, but once, and not before it began") {
  CHECK(linearisable({put(1, 1, 2), put(2, 3), get(1, 4, 5), get(1, 6, 7)}));
  CHECK(linearisable({put(1, 1, 2), put(2, 3), get(1, 4, 5), get(2, 6, 7)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), put(2, 3), get(2, 4, 5), get(1, 6, 7)}));
  CHECK_FALSE(linearisable({get(2, 1, 2), put(2, 3)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), put(2, 3), get(2, 4, 5), put(3, 6, 7), get(2, 8, 9)}));
  CHECK(linearisable({put(1, 1, 2), cas(1, 2, false, 3), get(2, 4, 5)}));
  CHECK_FALSE(linearisable({put(1, 1, 2), cas(3, 2, false, 3), get(2, 4, 5)}));
}

/// Every order of the operations, one after another.
bool by_brute_force(const std::vector<operation>& h) {
  std::vector<std::size_t> order(h.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    // Whatever is open may be left out.
    for (std::uint32_t left_out = 0; left_out < 1U << h.size(); ++left_out) {
      bool good = true;
      std::uint64_t value = 0, latest_begin = 0;
      for (const std::size_t i : order) {
        const operation& o = h[i];
        if ((left_out & 1U << i) != 0) {
          good = good && o.ended == operation::open;
          continue;
        }
        good = good && o.ended > latest_begin;
        latest_begin = std::max(latest_begin, o.begun);
        if (o.kind == operation_kind::put) value = o.value;
        if (o.kind == operation_kind::get && o.ended != operation::open) good = good && o.value == value;
        if (o.kind != operation_kind::cas) continue;
        if (o.ended != operation::open) good = good && (o.expected == value) == o.swapped;
        if (o.expected == value) value = o.value;
      }
      if (good) return true;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST_CASE("linearisability: the checker agrees with one that tries every order") {
  dice d(1);
  int accepted = 0;
  constexpr int wanted = 1500;
  for (int k = 0; k < wanted; ++k) {
    std::vector<operation> h(4 + d.below(2));
    std::vector<std::uint64_t> times(2 * h.size());
    std::iota(times.begin(), times.end(), std::uint64_t{1});
    for (std::size_t i = times.size(); i > 1; --i) std::swap(times[i - 1], times[d.below(i)]);
    for (std::size_t i = 0; i < h.size(); ++i) {
      operation& o = h[i];
      o.kind = d.pick({operation_kind::put, operation_kind::get, operation_kind::get, operation_kind::cas});
      o.value = d.below(3);
      o.expected = d.below(3);
      o.swapped = d.chance(0.5);
      o.begun = std::min(times[2 * i], times[2 * i + 1]);
      o.ended = d.chance(0.2) ? operation::open : std::max(times[2 * i], times[2 * i + 1]);
    }
    const bool expected = by_brute_force(h);
    accepted += expected ? 1 : 0;
    REQUIRE_MESSAGE(linearisable(h) == expected, raftsim::told(h));
  }
  CHECK(accepted > wanted / 10);
  CHECK(accepted < wanted * 9 / 10);
}

TEST_CASE("linearisability: a history of full length with many open ends is judged in no time") {
  std::vector<operation> h;
  std::uint64_t t = 0;
  for (std::uint64_t v = 1; v <= 20; ++v) h.push_back(put(v, ++t));
  for (std::uint64_t v = 20; v >= 1; --v) {
    h.push_back(get(v, t + 1, t + 2));
    t += 2;
  }
  CHECK(linearisable(h));
  h.push_back(get(20, t + 1, t + 2));
  CHECK_FALSE(linearisable(h));
}

}  // namespace
