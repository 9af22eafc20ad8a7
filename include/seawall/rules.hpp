// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_RULES_HPP
#define SEAWALL_RULES_HPP

// Which orders of layers are nonsense. One table; `compose` asserts each row when it compiles, `any_pipeline`
// checks the same rows when it is built. Only nonsense is refused: a breaker outside a retry is legitimate,
// for instance.

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "seawall/frame.hpp"

// A static_assert wants a literal, so the table is a list of rows that is expanded twice. Undefined below.
// row(name, holds, text): `holds` is an expression over `layers`, outermost first.
// One rule below the other:
// clang-format off
#define SEAWALL_ORDER_RULES(row) \
  row(deadline_outside_repeats, \
      !outside(layers, layer_kind::retry, layer_kind::deadline) && \
          !outside(layers, layer_kind::hedge, layer_kind::deadline), \
      "deadline bounds the whole call and must come before retry and hedge; for one attempt use attempt_timeout") \
  row(attempt_timeout_inside_repeats, \
      !outside(layers, layer_kind::attempt_timeout, layer_kind::retry) && \
          !outside(layers, layer_kind::attempt_timeout, layer_kind::hedge), \
      "attempt_timeout bounds one attempt and must come after retry and hedge; for the whole call use deadline") \
  row(deadline_outside_admission, \
      !outside(layers, layer_kind::admission, layer_kind::deadline), \
      "deadline bounds the whole call and must come before admit, which rejects calls that cannot meet it; for what is " \
      "inside use attempt_timeout") \
  row(fallback_outside_repeats, \
      !outside(layers, layer_kind::retry, layer_kind::fallback) && \
          !outside(layers, layer_kind::hedge, layer_kind::fallback), \
      "fallback turns failures into answers, so that a retry or hedge outside it would never see one: it must come " \
      "before them") \
  row(fallback_outside_breaker, \
      !outside(layers, layer_kind::breaker, layer_kind::fallback), \
      "fallback turns failures into answers, so that a breaker outside it would never trip: it must come before it") \
  row(fallback_outside_throttle, \
      !outside(layers, layer_kind::throttle, layer_kind::fallback), \
      "fallback turns failures into answers, so that a throttle outside it would never hear of a refusal: it must " \
      "come before it") \
  row(fallback_outside_adaptive_limit, \
      !outside(layers, layer_kind::adaptive_limit, layer_kind::fallback), \
      "fallback turns failures into answers, so that an adaptive limit outside it would learn from answers that cost " \
      "nothing: it must come before it") \
  row(cache_outside_repeats, \
      !outside(layers, layer_kind::retry, layer_kind::cache) && \
          !outside(layers, layer_kind::hedge, layer_kind::cache), \
      "cached serves stale answers in place of failures, so that a retry or hedge outside it would never see one: it " \
      "must come before them") \
  row(cache_outside_breaker, \
      !outside(layers, layer_kind::breaker, layer_kind::cache), \
      "cached serves stale answers in place of failures, and an open breaker outside it would reject what it could " \
      "serve: it must come before it") \
  row(cache_outside_throttle, \
      !outside(layers, layer_kind::throttle, layer_kind::cache), \
      "cached serves stale answers in place of failures, so that a throttle outside it would never hear of a refusal: " \
      "it must come before it") \
  row(cache_outside_adaptive_limit, \
      !outside(layers, layer_kind::adaptive_limit, layer_kind::cache), \
      "cached serves stale answers in place of failures, so that an adaptive limit outside it would never hear of an " \
      "overload: it must come before it") \
  row(cache_outside_coalesce, \
      !outside(layers, layer_kind::coalesce, layer_kind::cache), \
      "coalesce outside cached would make hits wait for each other: cached must come first") \
  row(coalesce_outside_hedge, \
      !outside(layers, layer_kind::hedge, layer_kind::coalesce), \
      "coalesce lets calls with one key share one execution, so that the second attempt of a hedge outside it would " \
      "join the first: it must come before hedge") \
  row(one_retry, count(layers, layer_kind::retry) <= 1, \
      "retry inside retry multiplies the attempts: use one, with more attempts") \
  row(one_hedge, count(layers, layer_kind::hedge) <= 1, \
      "hedge inside hedge multiplies the attempts: use one, with more attempts") \
  row(classify_innermost, is_last(layers, layer_kind::classify), \
      "classify reads the result of an attempt and must be the innermost layer")
// clang-format on

namespace seawall {

namespace detail {

/// A layer of kind `outer` stands somewhere outside one of kind `inner`.
constexpr bool outside(std::span<const layer_kind> layers, layer_kind outer, layer_kind inner) noexcept {
  bool seen = false;
  for (const layer_kind k : layers) {
    if (k == inner && seen) return true;
    if (k == outer) seen = true;
  }
  return false;
}

constexpr std::size_t count(std::span<const layer_kind> layers, layer_kind wanted) noexcept {
  std::size_t n = 0;
  for (const layer_kind k : layers) n += k == wanted ? 1 : 0;
  return n;
}

/// No layer of this kind, or exactly one, at the end.
constexpr bool is_last(std::span<const layer_kind> layers, layer_kind wanted) noexcept {
  const std::size_t n = count(layers, wanted);
  return n == 0 || (n == 1 && layers.back() == wanted);
}

}  // namespace detail

struct order_rule {
  std::string_view name;
  bool (*holds)(std::span<const layer_kind>) noexcept;
  std::string_view text;
};

#define SEAWALL_RULE_AS_ROW(name, holds_, text)                          \
  order_rule{#name,                                                      \
             [](std::span<const layer_kind> layers) noexcept {           \
               using namespace detail; /* the vocabulary of the table */ \
               return holds_;                                            \
             },                                                          \
             text},

/// The rules as data.
inline constexpr order_rule order_rules[] = {SEAWALL_ORDER_RULES(SEAWALL_RULE_AS_ROW)};
#undef SEAWALL_RULE_AS_ROW

/// The text of the first rule that is broken, or nothing.
inline std::string_view broken_rule(std::span<const layer_kind> layers) noexcept {
  for (const order_rule& rule : order_rules) {
    if (!rule.holds(layers)) return rule.text;
  }
  return {};
}

namespace detail {

/// Fails to compile, with the rule's text, if `Kinds` break one.
template <layer_kind... Kinds>
struct order_check {
  static constexpr std::array<layer_kind, sizeof...(Kinds)> layers = {Kinds...};
#define SEAWALL_RULE_AS_ASSERTION(name, holds, text) static_assert(holds, text);
  SEAWALL_ORDER_RULES(SEAWALL_RULE_AS_ASSERTION)
#undef SEAWALL_RULE_AS_ASSERTION
  static constexpr bool done = true;
};

}  // namespace detail

}  // namespace seawall

#undef SEAWALL_ORDER_RULES

#endif  // SEAWALL_RULES_HPP
