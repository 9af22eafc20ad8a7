// SPDX-License-Identifier: Apache-2.0
// Quorums against all subsets of up to seven voters, and which memberships may follow each other.
#include "seawall/election/raft_core/quorum.hpp"

#include <bit>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

using namespace seawall::raft;

namespace {

std::vector<node_id> first(std::size_t n) {
  std::vector<node_id> out;
  for (node_id i = 1; i <= n; ++i) out.push_back(i);
  return out;
}
bool in(std::uint32_t set, node_id voter) { return (set >> (voter - 1) & 1U) != 0; }
std::vector<node_id> members_of(std::uint32_t set) {
  std::vector<node_id> out;
  for (node_id i = 1; i <= 7; ++i) {
    if (in(set, i)) out.push_back(i);
  }
  return out;
}

}  // namespace

TEST_CASE("defect quorum_too_small: any two quorums overlap, and one voter less is none") {
  for (std::size_t n = 1; n <= 7; ++n) {
    const auto voters = first(n);
    const std::uint32_t sets = 1U << n;
    for (std::uint32_t a = 0; a < sets; ++a) {
      const bool quorum = is_quorum(voters, [a](node_id v) { return in(a, v); });
      // By definition: a set that overlaps with each set of its size, and none that is smaller does.
      const auto size = static_cast<std::size_t>(std::popcount(a));
      REQUIRE_MESSAGE(quorum == (2 * size > n), n << " voters, set " << a);
      for (std::uint32_t b = 0; b < sets && quorum; ++b) {
        if (is_quorum(voters, [b](node_id v) { return in(b, v); })) REQUIRE((a & b) != 0);
      }
    }
  }
}

TEST_CASE("what a quorum has reached is what as many voters have that they are a quorum") {
  for (std::size_t n = 1; n <= 7; ++n) {
    const auto voters = first(n);
    std::uint32_t cases = 1;
    for (std::size_t i = 0; i < n; ++i) cases *= 4;
    for (std::uint32_t c = 0; c < cases; ++c) {
      const auto value = [c](node_id v) { return static_cast<log_index>(c >> (2 * (v - 1)) & 3U); };
      log_index expected = 0;
      for (log_index x = 1; x <= 3; ++x) {
        if (is_quorum(voters, [&](node_id v) { return value(v) >= x; })) expected = x;
      }
      REQUIRE(reached_by_quorum(voters, log_index{9}, value) == expected);
    }
  }
  CHECK(reached_by_quorum({}, log_index{9}, [](node_id) { return log_index{0}; }) == 9);
  CHECK_FALSE(is_quorum({}, [](node_id) { return true; }));
}

TEST_CASE("single steps: each quorum before overlaps with each quorum after") {
  constexpr std::uint32_t sets = 1U << 5;
  for (std::uint32_t a = 1; a < sets; ++a) {
    for (std::uint32_t b = 1; b < sets; ++b) {
      const membership from{members_of(a), {}}, to{members_of(b), {}};
      const bool step = single_step(from, to);
      REQUIRE(step == (std::popcount(a ^ b) <= 1));
      for (std::uint32_t p = 0; p < sets && step; ++p) {
        if (!is_quorum(from.voters, [p](node_id v) { return in(p, v); })) continue;
        for (std::uint32_t q = 0; q < sets; ++q) {
          if (is_quorum(to.voters, [q](node_id v) { return in(q, v); })) REQUIRE((p & q) != 0);
        }
      }
    }
  }
}

TEST_CASE("memberships that contradict themselves are none") {
  struct row {
    membership m;
    bool fine;
  };
  std::vector<node_id> many = first(max_members);
  const row rows[] = {
      {{{1, 2, 3}, {}}, true}, {{{1}, {2, 3}}, true},
      {{{}, {}}, true},        {{{2, 1}, {}}, false},
      {{{1, 1}, {}}, false},   {{{0, 1}, {}}, false},
      {{{1, 2}, {2}}, false},  {{{1}, {3, 2}}, false},
      {{many, {}}, true},      {{many, {max_members + 1}}, false},
  };
  for (const row& r : rows) CHECK(well_formed(r.m) == r.fine);
  CHECK(single_step({{1}, {}}, {{1}, {2, 3, 4}}));
  CHECK(single_step({{1, 2}, {}}, {{1}, {2}}));
  CHECK_FALSE(single_step({{1}, {}}, {{}, {1}}));
}
