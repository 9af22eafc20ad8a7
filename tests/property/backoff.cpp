// SPDX-License-Identifier: Apache-2.0
// Backoff against exact arithmetic, and its distribution against the uniform one.

#include "seawall/core/backoff.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "property/backoff_model.hpp"
#include "property/support.hpp"
#include "seawall/retry.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::backoff_options;
using seawall::backoff_shape;
using seawall::jitter;

std::uint32_t any_attempt(dice& d) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(any_size(d) >> d.below(64), 1, UINT32_MAX));
}

std::optional<std::string> try_schedule(dice& d, std::uint64_t& operations) {
  const backoff_options o = random_backoff(d);
  if (const auto error = validate(o)) return error->text("random options");
  const backoff_model model(o);
  // Now and then the very least or the very most that can be drawn.
  seawall::random_source random =
      d.chance(30) ? loaded_source(d.pick({std::uint64_t{1}, UINT64_MAX})) : seawall::random_source(d.next());
  seawall::core::backoff_schedule schedule;
  duration previous;
  std::uint32_t n = d.chance(50) ? 1 : any_attempt(d);
  for (std::uint64_t i = d.between(1, 8); i != 0; --i, ++operations) {
    const duration delay = schedule.next(o, n, [&]() -> seawall::random_source& { return random; });
    const delay_range allowed = model.range(n, previous);
    if (!allowed.holds(delay) || delay < duration::zero() || delay > o.max) {
      return text("shape ", static_cast<int>(o.shape), ", jitter ", static_cast<int>(o.jitter), ", initial ",
                  o.initial.ns(), ", max ", o.max.ns(), ", multiplier ", o.multiplier, ", share ", o.share,
                  ", n ", n, ": ", delay.ns(), ", expected ", allowed.least, " to ", allowed.most);
    }
    previous = delay;
    n = d.chance(50) && n != UINT32_MAX ? n + 1 : any_attempt(d);
  }
  return {};
}

TEST_CASE("backoff: every delay lies where exact arithmetic says, for any attempt number") {
  run_sequences(400'000, try_schedule);
}

TEST_CASE("backoff: the source can be loaded") {
  CHECK(loaded_source(1).next() == 1);
  CHECK(loaded_source(UINT64_MAX).next() == UINT64_MAX);
  CHECK(loaded_source(12345).next() == 12345);
}

constexpr std::uint64_t draws = 200'000;

/// Calls `f(delay)` for many first delays after attempt n.
template <class F>
void draw_many(const backoff_options& o, std::uint32_t n, F&& f) {
  seawall::random_source random(seed());
  for (std::uint64_t i = 0; i < draws; ++i) {
    seawall::core::backoff_schedule schedule;
    f(schedule.next(o, n, [&]() -> seawall::random_source& { return random; }));
  }
}

/// Pearson's statistic over 32 bins of [least, most).
double chi_square(const backoff_options& o, std::uint32_t n, std::int64_t least, std::int64_t most) {
  std::array<double, 32> seen{};
  const double width = static_cast<double>(most - least) / static_cast<double>(seen.size());
  draw_many(o, n, [&](duration d) {
    const auto bin = static_cast<std::size_t>(static_cast<double>(d.ns() - least) / width);
    seen[std::min(bin, seen.size() - 1)] += 1;
  });
  const double expected = static_cast<double>(draws) / static_cast<double>(seen.size());
  double sum = 0;
  for (const double s : seen) sum += (s - expected) * (s - expected) / expected;
  return sum;
}

// With 31 degrees of freedom a fair source exceeds this once in a million seeds.
constexpr double chi_square_limit = 82.1;

backoff_options second_to_minute(jitter j) {
  return {.initial = std::chrono::seconds(1),
          .max = std::chrono::minutes(1),
          .multiplier = 2.0,
          .jitter = j,
          .share = 0.2};
}

TEST_CASE("backoff: delays are uniform over the documented range") {
  const std::int64_t s = 1'000'000'000;
  CHECK(chi_square(second_to_minute(jitter::full), 4, 0, 8 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::full), 40, 0, 60 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::equal), 4, 4 * s, 8 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::equal), UINT32_MAX, 30 * s, 60 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::decorrelated), 7, s, 3 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::proportional), 4, 64 * s / 10, 96 * s / 10) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::proportional), 40, 48 * s, 60 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::linear_window), 5, 0, 5 * s) < chi_square_limit);
  CHECK(chi_square(second_to_minute(jitter::linear_window), 500, 0, 60 * s) < chi_square_limit);
}

TEST_CASE("backoff: with jitter, delays do not bunch at the cap") {
  for (const jitter j : {jitter::full, jitter::equal, jitter::proportional, jitter::linear_window}) {
    CAPTURE(static_cast<int>(j));
    std::uint64_t at_cap = 0;
    draw_many(second_to_minute(j), 1'000'000,
              [&](duration d) { at_cap += d >= std::chrono::minutes(1) ? 1 : 0; });
    // One nanosecond of at least 12 seconds.
    CHECK(at_cap <= 1);
  }
}

TEST_CASE("backoff: decorrelated delays do not bunch at the cap after many attempts") {
  seawall::random_source random(seed());
  const backoff_options o = second_to_minute(jitter::decorrelated);
  std::uint64_t at_cap = 0, above_half = 0;
  seawall::core::backoff_schedule schedule;
  for (std::uint32_t n = 1; n <= draws; ++n) {
    const duration d = schedule.next(o, n, [&]() -> seawall::random_source& { return random; });
    at_cap += d >= std::chrono::minutes(1) ? 1 : 0;
    above_half += d >= std::chrono::seconds(30) ? 1 : 0;
  }
  CHECK(at_cap <= 1);
  CHECK(above_half > draws / 10);
}

TEST_CASE("backoff: both ends of a range are reached, and nothing else than the range") {
  const auto values = [](jitter j, std::int64_t ns) {
    std::set<std::int64_t> seen;
    const backoff_options o{.shape = backoff_shape::constant,
                            .initial = duration::from_ns(ns),
                            .max = duration::from_ns(ns),
                            .jitter = j,
                            .share = 0.5};
    draw_many(o, 1, [&](duration d) { seen.insert(d.ns()); });
    return seen;
  };
  CHECK(values(jitter::none, 4) == std::set<std::int64_t>{4});
  CHECK(values(jitter::full, 4) == std::set<std::int64_t>{0, 1, 2, 3, 4});
  CHECK(values(jitter::equal, 4) == std::set<std::int64_t>{2, 3, 4});
  CHECK(values(jitter::linear_window, 3) == std::set<std::int64_t>{0, 1, 2, 3});
  CHECK(values(jitter::proportional, 4) == std::set<std::int64_t>{2, 3, 4});
  CHECK(values(jitter::full, 0) == std::set<std::int64_t>{0});
}

}  // namespace
