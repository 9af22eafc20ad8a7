// SPDX-License-Identifier: Apache-2.0
#include "seawall/verdict.hpp"

#include <chrono>

#include <doctest/doctest.h>

using namespace seawall;
using namespace std::chrono_literals;

TEST_CASE("verdict: the ready-made ones say what their names say") {
  static_assert(verdict::ok() == verdict{.success = true, .health = health::healthy, .again = again::never});
  static_assert(verdict::refused() ==
                verdict{.success = false, .health = health::healthy, .again = again::never});
  static_assert(verdict::transient() == verdict{.health = health::unhealthy, .again = again::if_idempotent});
  static_assert(verdict::not_executed() == verdict{.health = health::unhealthy, .again = again::always});
  static_assert(verdict::permanent() == verdict{.health = health::unhealthy, .again = again::never});
  static_assert(verdict::cancelled() == verdict{.health = health::silent, .again = again::never});
  static_assert(verdict() == verdict::cancelled());
}

TEST_CASE("verdict: pushback is there only if it was given, zero included") {
  static_assert(!verdict::transient().has_pushback());
  static_assert(verdict::transient().with_retry_after(0s).has_pushback());
  static_assert(verdict::transient().with_retry_after(3s).retry_after == duration(3s));
  static_assert(!verdict::transient().with_retry_after(-1ns).has_pushback());
}

TEST_CASE("verdict: what may be repeated, by what the operation declares") {
  constexpr auto with = [](again a) { return verdict{.health = health::unhealthy, .again = a}; };
  static_assert(!may_repeat(with(again::never), idempotency::idempotent));
  static_assert(!may_repeat(with(again::never), idempotency::non_idempotent));
  static_assert(!may_repeat(with(again::never), idempotency::undeclared));
  static_assert(may_repeat(with(again::if_idempotent), idempotency::idempotent));
  static_assert(!may_repeat(with(again::if_idempotent), idempotency::non_idempotent));
  static_assert(!may_repeat(with(again::if_idempotent), idempotency::undeclared));
  static_assert(may_repeat(with(again::always), idempotency::idempotent));
  static_assert(may_repeat(with(again::always), idempotency::non_idempotent));
  static_assert(may_repeat(with(again::always), idempotency::undeclared));
}

TEST_CASE("verdict: is as small as it says") { static_assert(sizeof(verdict) <= 16); }
