// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXPECTED_HPP
#define SEAWALL_EXPECTED_HPP

// std::expected<T, E> as a result, where the standard library has it (C++23). E says through `error_traits`
// how to be read and how to be made from a rejection.

#include <version>

#if defined(__cpp_lib_expected)

#include <concepts>
#include <expected>
#include <string>
#include <type_traits>

#include "seawall/outcome.hpp"

namespace seawall {

/// Specialise it for an error type of your own, or give that type a constructor from `const rejection&`; then
/// every error counts as a failure that may have been executed.
///
///     template <> struct seawall::error_traits<my_error> {
///       static verdict classify(const my_error&);
///       static my_error reject(const rejection&);
///       static void annotate(my_error&, const ending&);  // optional
///     };
template <class E>
struct error_traits;

template <class E>
  requires std::constructible_from<E, const rejection&>
struct error_traits<E> {
  static verdict classify(const E&) { return verdict::transient(); }
  static E reject(const rejection& r) { return E(r); }
};

template <>
struct error_traits<std::string> {
  static verdict classify(const std::string&) { return verdict::transient(); }
  static std::string reject(const rejection& r) { return describe(r); }
  static void annotate(std::string& text, const ending& e) { text.insert(0, describe(e) + ": "); }
};

/// An error type with the traits of a result (absl::Status): read and made by those.
template <class E>
  requires(outcome<E> && !std::constructible_from<E, const rejection&>)
struct error_traits<E> {
  static verdict classify(const E& e) { return outcome_traits<E>::classify(e); }
  static E reject(const rejection& r) { return outcome_traits<E>::reject(r, nullptr); }
  static void annotate(E& error, const ending& e) requires requires { outcome_traits<E>::annotate(error, e); }
  { outcome_traits<E>::annotate(error, e); }
};

template <class T, class E>
  requires requires(const E& e, const rejection& r) {
    { error_traits<E>::classify(e) } -> std::same_as<verdict>;
    { error_traits<E>::reject(r) } -> std::same_as<E>;
  }
struct outcome_traits<std::expected<T, E>> {
  using error_type = E;

  static verdict classify(const std::expected<T, E>& x) {
    return x.has_value() ? verdict::ok() : error_traits<E>::classify(x.error());
  }
  static std::expected<T, E> reject(const rejection& r, const std::expected<T, E>*) {
    return std::unexpected<E>(error_traits<E>::reject(r));
  }
  static const E& error(const std::expected<T, E>& x) { return x.error(); }
  static void annotate(std::expected<T, E>& x, const ending& e) requires requires(E& error) {
    error_traits<E>::annotate(error, e);
  }
  { error_traits<E>::annotate(x.error(), e); }
};

}  // namespace seawall

#endif  // __cpp_lib_expected

#endif  // SEAWALL_EXPECTED_HPP
