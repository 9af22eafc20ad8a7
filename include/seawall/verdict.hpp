// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_VERDICT_HPP
#define SEAWALL_VERDICT_HPP

// What an outcome means, in the four answers that policies need. Policies never see a result, only its
// verdict, so the same machines serve absl::Status, std::expected, exceptions and anything a user defines.

#include <cstdint>

#include "seawall/time.hpp"

namespace seawall {

/// Does the outcome speak against the health of the dependency?
enum class health : std::uint8_t {
  silent,     ///< says nothing: cancelled, rejected before it was sent, over a quota
  healthy,    ///< the dependency did its work, whatever the caller thinks of the answer
  unhealthy,  ///< the dependency failed to do its work
};

/// May the operation be tried again?
enum class again : std::uint8_t {
  never,          ///< the same request will fail the same way, or the dependency asked not to
  if_idempotent,  ///< it may have been executed: only an idempotent operation may be repeated
  always,         ///< it provably was not executed
};

/// The meaning of an outcome. A plain value of 16 bytes.
struct verdict {
  bool success = false;  ///< the caller got what it wanted
  seawall::health health = health::silent;
  seawall::again again = again::never;
  bool slow = false;                     ///< it came after the time it was given
  bool degraded = false;                 ///< it is a substitute
  duration retry_after = no_pushback();  ///< the dependency's wish; meaningful if `has_pushback()`

  constexpr bool has_pushback() const noexcept { return retry_after >= duration::zero(); }
  static constexpr duration no_pushback() noexcept { return duration::from_ns(-1); }

  static constexpr verdict ok() noexcept { return {.success = true, .health = health::healthy}; }
  /// The dependency answered, and the answer is no: not found, invalid argument.
  static constexpr verdict refused() noexcept { return {.health = health::healthy}; }
  /// The dependency failed; the request may have been executed.
  static constexpr verdict transient() noexcept {
    return {.health = health::unhealthy, .again = again::if_idempotent};
  }
  /// The dependency failed before it could have executed the request: connection refused.
  static constexpr verdict not_executed() noexcept {
    return {.health = health::unhealthy, .again = again::always};
  }
  /// The dependency failed in a way that repeating will not mend.
  static constexpr verdict permanent() noexcept { return {.health = health::unhealthy}; }
  /// Nobody learns anything from it: the caller cancelled.
  static constexpr verdict cancelled() noexcept { return {}; }

  constexpr verdict with_retry_after(duration d) const noexcept {
    verdict v = *this;
    v.retry_after = d;
    return v;
  }

  friend constexpr bool operator==(const verdict&, const verdict&) = default;
};

/// What the author of an operation says about repeating it.
enum class idempotency : std::uint8_t {
  undeclared,      ///< only in pipelines that do not repeat
  idempotent,      ///< executing it twice is as good as once
  non_idempotent,  ///< repeat only what provably was not executed
};

/// May an operation that ended like this be started again?
constexpr bool may_repeat(const verdict& v, idempotency declared) noexcept {
  return v.again == again::always || (v.again == again::if_idempotent && declared == idempotency::idempotent);
}

}  // namespace seawall

#endif  // SEAWALL_VERDICT_HPP
