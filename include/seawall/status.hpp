// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_STATUS_HPP
#define SEAWALL_STATUS_HPP

// absl::Status and absl::StatusOr as results: the one table of what each code means, rejections as statuses
// that machines can read, and `create` for policies.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "seawall/options.hpp"
#include "seawall/outcome.hpp"

namespace seawall {

/// What a code means unless the user says otherwise. The reasons are in docs/verdicts.md.
constexpr verdict classify(absl::StatusCode code) noexcept {
  switch (code) {
    case absl::StatusCode::kOk: return verdict::ok();
    case absl::StatusCode::kCancelled: return verdict::cancelled();
    case absl::StatusCode::kResourceExhausted:
      return {.health = health::silent, .again = again::if_idempotent};
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented: return verdict::refused();
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable: return verdict::transient();
    case absl::StatusCode::kDataLoss: return verdict::permanent();
    default: return verdict::transient();  // a code of the future: as kUnknown
  }
}

/// The code of a status made from a rejection.
constexpr absl::StatusCode code_of(reason r) noexcept {
  switch (r) {
    case reason::deadline_exceeded:
    case reason::deadline_expired:
    case reason::timed_out: return absl::StatusCode::kDeadlineExceeded;
    case reason::cancelled: return absl::StatusCode::kCancelled;
    case reason::limit_reached:
    case reason::queue_full:
    case reason::wait_timed_out:
    case reason::throttled: return absl::StatusCode::kResourceExhausted;
    case reason::no_answer:
    case reason::threw: return absl::StatusCode::kUnknown;
    // Not UNAVAILABLE: callers' breakers would open for reads as well.
    case reason::degraded:
    case reason::wrong_driver: return absl::StatusCode::kFailedPrecondition;
    default: return absl::StatusCode::kUnavailable;
  }
}

/// A rejection read back from a status.
struct rejection_info {
  std::string policy;
  std::string name;
  reason why = reason::none;
  std::optional<duration> retry_after;
};

namespace detail {

// Abseil's own string_view is a type apart in some builds of it.
inline absl::string_view to_absl(std::string_view s) noexcept { return {s.data(), s.size()}; }
inline std::string_view from_absl(absl::string_view s) noexcept { return {s.data(), s.size()}; }

inline constexpr std::string_view rejection_payload = "seawall/rejection";
inline constexpr std::string_view pushback_payload = "seawall/retry-after";
inline constexpr std::string_view not_executed_payload = "seawall/not-executed";
inline constexpr std::string_view do_not_retry_payload = "seawall/do-not-retry";

inline std::optional<std::int64_t> parse_int64(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

inline std::string_view next_field(std::string_view& text) noexcept {
  const auto end = text.find(';');
  const std::string_view field = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return field;
}

// "open;9800000000;circuit_breaker;quotes": reason, retry-after in ns (-1: none), policy, name. Printable,
// since Status::ToString shows it; the name comes last, as it may hold anything.
inline std::string encode(const rejection& r) {
  std::string out(to_string(r.why));
  out.append(";").append(std::to_string(r.retry_after.ns()));
  return out.append(";").append(r.policy).append(";").append(r.name);
}

inline std::optional<reason> reason_named(std::string_view name) noexcept {
  for (int i = 0; i <= static_cast<int>(reason::custom); ++i) {
    if (to_string(static_cast<reason>(i)) == name) return static_cast<reason>(i);
  }
  return std::nullopt;
}

inline std::optional<rejection_info> decode(std::string_view text) {
  const auto why = reason_named(next_field(text));
  const auto retry_after = parse_int64(next_field(text));
  if (!why || !retry_after) return std::nullopt;
  rejection_info info;
  info.why = *why;
  if (*retry_after >= 0) info.retry_after = duration::from_ns(*retry_after);
  info.policy = next_field(text);
  info.name = text;
  return info;
}

inline std::optional<std::string> payload(const absl::Status& s, std::string_view url) {
  const auto found = s.GetPayload(to_absl(url));
  if (!found.has_value()) return std::nullopt;
  return std::string(*found);
}

inline absl::Status with_message(const absl::Status& s, const std::string& message) {
  absl::Status out(s.code(), message);
  s.ForEachPayload([&](absl::string_view url, const absl::Cord& cord) { out.SetPayload(url, cord); });
  return out;
}

inline absl::Status status_of(const rejection& r, const absl::Status* last) {
  const absl::StatusCode code = r.code != 0 ? static_cast<absl::StatusCode>(r.code) : code_of(r.why);
  if (r.detail_level == rejection_detail::code_only) return absl::Status(code, absl::string_view());
  std::string text = describe(r);
  if (last != nullptr && !last->ok()) text.append("; last error: ").append(last->ToString());
  absl::Status out(code, text);
  const std::string encoded = encode(r);
  // From a view: with clang 18 and later, Cord(std::string&&) does not link against Debian's Abseil.
  out.SetPayload(to_absl(rejection_payload), absl::Cord(to_absl(encoded)));
  return out;
}

inline void annotate_status(absl::Status& s, const ending& e) {
  std::string text = describe(e);
  text.append(": ").append(from_absl(s.message()));
  s = with_message(s, text);
}

}  // namespace detail

/// The rejection that a status was made from; nothing if it wasn't, or was made with
/// `rejection_detail::code_only`.
inline std::optional<rejection_info> rejection_of(const absl::Status& s) {
  if (s.ok()) return std::nullopt;
  const auto text = detail::payload(s, detail::rejection_payload);
  return text ? detail::decode(*text) : std::nullopt;
}

/// Adds the dependency's wish not to be called again before `d` has passed: what a client makes of a
/// Retry-After header.
inline absl::Status with_retry_after(absl::Status s, duration d) {
  const std::string ns = std::to_string(d.ns());
  s.SetPayload(detail::to_absl(detail::pushback_payload), absl::Cord(detail::to_absl(ns)));
  return s;
}

/// Adds that the request provably was not executed (no connection, refused before it was read): it may be
/// tried again even if it is not idempotent.
inline absl::Status not_executed(absl::Status s) {
  s.SetPayload(detail::to_absl(detail::not_executed_payload), absl::Cord());
  return s;
}

/// Adds the dependency's wish not to be asked again with this request, whatever the code says: gRPC's
/// negative pushback.
inline absl::Status do_not_retry(absl::Status s) {
  s.SetPayload(detail::to_absl(detail::do_not_retry_payload), absl::Cord());
  return s;
}

/// The wish of the dependency, or the time left of the policy that rejected.
inline std::optional<duration> retry_after_of(const absl::Status& s) {
  if (s.ok()) return std::nullopt;
  if (const auto text = detail::payload(s, detail::pushback_payload)) {
    const auto ns = detail::parse_int64(*text);
    if (ns && *ns >= 0) return duration::from_ns(*ns);
  }
  const auto r = rejection_of(s);
  return r ? r->retry_after : std::nullopt;
}

namespace detail {

inline verdict classify_failure(const absl::Status& s) {
  // An injected fault is to be taken for what its code says.
  if (const auto r = rejection_of(s); r && r->why != reason::injected) {
    const duration left = r->retry_after.value_or(verdict::no_pushback());
    return verdict_of({.why = r->why, .retry_after = left});
  }
  verdict v = classify(s.code());
  if (const auto d = retry_after_of(s)) v.retry_after = *d;
  if (detail::payload(s, detail::not_executed_payload)) v.again = again::always;
  // Last: it may be true that nothing was executed.
  if (detail::payload(s, detail::do_not_retry_payload)) v.again = again::never;
  return v;
}

}  // namespace detail

/// Reads code and payloads: a rejection by a nested pipeline is recognised as one.
[[gnu::always_inline]] inline verdict classify(const absl::Status& s) {
  return s.ok() ? verdict::ok() : detail::classify_failure(s);
}

template <>
struct outcome_traits<absl::Status> {
  using error_type = absl::Status;

  [[gnu::always_inline]] static verdict classify(const absl::Status& s) { return seawall::classify(s); }
  static absl::Status reject(const rejection& r, const absl::Status* last) {
    return detail::status_of(r, last);
  }
  static const absl::Status& error(const absl::Status& s) { return s; }
  static void annotate(absl::Status& s, const ending& e) { detail::annotate_status(s, e); }
  static bool is_absent(const absl::Status& s) { return s.code() == absl::StatusCode::kNotFound; }
};

template <class T>
struct outcome_traits<absl::StatusOr<T>> {
  using error_type = absl::Status;

  [[gnu::always_inline]] static verdict classify(const absl::StatusOr<T>& s) {
    return s.ok() ? verdict::ok() : detail::classify_failure(s.status());
  }
  static absl::StatusOr<T> reject(const rejection& r, const absl::StatusOr<T>* last) {
    return detail::status_of(r, last != nullptr ? &last->status() : nullptr);
  }
  static absl::Status error(const absl::StatusOr<T>& s) { return s.status(); }
  static void annotate(absl::StatusOr<T>& s, const ending& e) {
    absl::Status status = s.status();
    detail::annotate_status(status, e);
    s = std::move(status);
  }
  static bool is_absent(const absl::StatusOr<T>& s) {
    return s.status().code() == absl::StatusCode::kNotFound;
  }
};

namespace detail {

template <class Policy>
struct creator {
  static absl::StatusOr<Policy> make(typename Policy::options_type options) {
    if (const auto error = validate(options))
      return absl::InvalidArgumentError(error->text(Policy::policy_name));
    return absl::StatusOr<Policy>(absl::in_place, std::move(options));
  }
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_STATUS_HPP
