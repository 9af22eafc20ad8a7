// SPDX-License-Identifier: Apache-2.0
#include "seawall/random.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>

#include <doctest/doctest.h>

using seawall::random_source;
using seawall::thread_random;

namespace {

// Chi-square of `draws` draws of up_to(Bound) against the uniform distribution.
template <std::size_t Bound>
double chi_square(random_source r, int draws) {
  std::array<int, Bound + 1> seen{};
  for (int i = 0; i < draws; ++i) ++seen[static_cast<std::size_t>(r.up_to(Bound))];
  const double expected = static_cast<double>(draws) / (Bound + 1);
  double sum = 0;
  for (const int n : seen) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

}  // namespace

TEST_CASE("random_source: is SplitMix64, by its published first numbers") {
  // For seed 1234567: the values of the reference implementation (Vigna, splitmix64.c).
  random_source r(1234567);
  for (const std::uint64_t expected : {6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                       4593380528125082431U, 16408922859458223821U}) {
    CHECK(r.next() == expected);
  }
}

TEST_CASE("random_source: one seed, one sequence") {
  random_source a(42);
  random_source b(42);
  random_source c(43);
  CHECK(a.next() == b.next());
  CHECK(a.next() != c.next());
}

TEST_CASE("random_source: unit lies in [0, 1) and fills it") {
  random_source r(1);
  std::array<int, 10> tenths{};
  for (int i = 0; i < 100'000; ++i) {
    const double u = r.unit();
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    ++tenths[static_cast<std::size_t>(u * 10)];
  }
  for (const int n : tenths) {
    CHECK(n > 9500);
    CHECK(n < 10'500);
  }
}

TEST_CASE("random_source: up_to draws both ends and nothing beyond") {
  random_source r(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(r.up_to(3));
  CHECK(seen == std::set<std::uint64_t>{0, 1, 2, 3});
  for (int i = 0; i < 100; ++i) CHECK(r.up_to(0) == 0);
}

TEST_CASE("random_source: up_to is uniform") {
  // Critical values at 1 in 10^6: 6 degrees of freedom 38.3, 9: 46.0, 99: 172.
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    CHECK(chi_square<6>(random_source(seed), 70'000) < 38.3);
    CHECK(chi_square<9>(random_source(seed), 100'000) < 46.0);
    CHECK(chi_square<99>(random_source(seed), 100'000) < 172.0);
  }
}

TEST_CASE("random_source: up_to has no bias where a plain remainder or product would have") {
  // 2^64 numbers over a range of 3 * 2^62 are four for three: without rejection one value in three would be drawn
  // twice as often as the others.
  constexpr std::uint64_t range = std::uint64_t{3} << 62U;
  random_source r(7);
  std::array<int, 3> thirds{};
  int multiples = 0;
  constexpr int draws = 90'000;
  for (int i = 0; i < draws; ++i) {
    const std::uint64_t x = r.up_to(range - 1);
    REQUIRE(x < range);
    ++thirds[static_cast<std::size_t>(x >> 62U)];
    multiples += x % 3 == 0 ? 1 : 0;
  }
  for (const int n : thirds) {
    CHECK(n > 30'000 - 900);  // 900: more than six standard deviations
    CHECK(n < 30'000 + 900);
  }
  CHECK(multiples > 30'000 - 900);
  CHECK(multiples < 30'000 + 900);
}

TEST_CASE("random_source: up_to takes the largest bounds") {
  random_source r(3);
  bool high = false;
  for (int i = 0; i < 100; ++i) {
    high = high || r.up_to(UINT64_MAX) > UINT64_MAX / 2;
    CHECK(r.up_to(UINT64_MAX - 1) < UINT64_MAX);
  }
  CHECK(high);
}

TEST_CASE("thread_random: the child of a fork draws another sequence") {
  thread_random().next();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::uint64_t drawn = thread_random().next();
    const bool written = ::write(ends[1], &drawn, sizeof drawn) == sizeof drawn;
    ::_exit(written ? 0 : 1);
  }
  std::uint64_t of_child = 0;
  REQUIRE(::read(ends[0], &of_child, sizeof of_child) == sizeof of_child);
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(of_child != thread_random().next());
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("thread_random: goes on, call by call") {
  const std::uint64_t first = thread_random().next();
  CHECK(thread_random().next() != first);
  CHECK(&thread_random() == &thread_random());
}
