// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_OUTCOME_HPP
#define SEAWALL_OUTCOME_HPP

// The edge between results and verdicts: how to read a result type, and how to make one from a rejection.
// Here: the trait itself, and plain values with exceptions. See status.hpp for absl::Status, expected.hpp for
// std::expected.

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "seawall/rejection.hpp"
#include "seawall/text.hpp"
#include "seawall/verdict.hpp"

#if defined(__cpp_exceptions)
#include <exception>
#include <new>
#include <stdexcept>
#endif

namespace seawall {

/// How seawall reads and makes results of type R. Specialise it for a result type of your own:
///
///     template <> struct seawall::outcome_traits<my_result> {
///       static verdict classify(const my_result&);
///       static my_result reject(const rejection&, const my_result* last);  // last: of a real attempt, or null
///       using error_type = my_error;                                 // optional: what fallbacks are told
///       static error_type error(const my_result&);                  // optional
///       static void annotate(my_result&, const ending&);            // optional: say why nothing more was tried
///       static bool is_absent(const my_result&);                    // optional: what was asked for does not exist; for caches
///     };
template <class R>
struct outcome_traits;

template <class R>
concept outcome = requires(const R& r, const rejection& why) {
  { outcome_traits<R>::classify(r) } -> std::same_as<verdict>;
  { outcome_traits<R>::reject(why, &r) } -> std::same_as<R>;
};

/// Say `true` for a value type that merely looks like a result (it has `ok()`, `error()` or `status()`):
/// success is then returning it, failure is throwing.
template <class T>
inline constexpr bool is_plain = !requires(const T& t) {
  t.ok();
}
&&!requires(const T& t) { t.error(); }
&&!requires(const T& t) { t.status(); };

/// What a rejection says for layers and calls outside: it was not executed, and nobody is to blame.
constexpr verdict verdict_of(const rejection& r) noexcept {
  switch (r.why) {
    case reason::deadline_exceeded:
    case reason::deadline_expired:
    case reason::degraded:
    case reason::shut_down:
    case reason::wrong_driver:
    case reason::cancelled: return verdict::cancelled();
    case reason::timed_out:
    case reason::threw: return verdict::transient();
    // As a dependency would say it.
    case reason::injected: return verdict::transient().with_retry_after(r.retry_after);
    // It may have been executed; whose fault it is nobody knows.
    case reason::no_answer: return {.again = again::if_idempotent};
    default: break;
  }
  return {.health = health::silent, .again = again::always, .retry_after = r.retry_after};
}

#if defined(__cpp_exceptions)

/// Thrown in place of a plain value when a policy rejects the call. Owns its texts.
class rejected_error : public std::runtime_error {
 public:
  explicit rejected_error(const rejection& r)
      : std::runtime_error(describe(r)), what_(r), policy_(r.policy), name_(r.name), detail_(r.detail) {}

  /// Views into this object.
  rejection why() const noexcept {
    rejection r = what_;
    r.policy = policy_;
    r.name = name_;
    r.detail = detail_;
    return r;
  }

 private:
  rejection what_;
  std::string policy_;
  std::string name_;
  std::string detail_;
};

namespace detail {

/// A plain value, or what was thrown instead.
template <class T>
class caught {
 public:
  template <class F>
  static caught from(F&& f) {
    try {
      return caught(std::in_place, std::forward<F>(f));
    } catch (...) {
      return caught(std::current_exception());
    }
  }
  explicit caught(std::exception_ptr e) noexcept : error_(std::move(e)) {}

  const std::exception_ptr& error() const noexcept { return error_; }
  const T& value() const noexcept { return *value_; }
  T release() && {
    if (error_) std::rethrow_exception(std::move(error_));
    return *std::move(value_);
  }

 private:
  template <class F>
  caught(std::in_place_t, F&& f) : value_(std::forward<F>(f)()) {}

  std::exception_ptr error_;
  std::optional<T> value_;
};

template <>
class caught<void> {
 public:
  template <class F>
  static caught from(F&& f) {
    try {
      std::forward<F>(f)();
      return caught(nullptr);
    } catch (...) {
      return caught(std::current_exception());
    }
  }
  explicit caught(std::exception_ptr e) noexcept : error_(std::move(e)) {}

  const std::exception_ptr& error() const noexcept { return error_; }
  void release() && {
    if (error_) std::rethrow_exception(std::move(error_));
  }

 private:
  std::exception_ptr error_;
};

}  // namespace detail

/// The default reading of an exception: a rejection of a nested call as such; `std::logic_error` is the
/// caller's own fault; `std::bad_alloc` says nothing about the dependency; everything else is a failure that
/// may have been executed.
inline verdict classify_exception(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const rejected_error& r) {
    return verdict_of(r.why());
  } catch (const std::logic_error&) {
    return verdict::refused();
  } catch (const std::bad_alloc&) {
    return verdict::cancelled();
  } catch (...) {
    return verdict::transient();
  }
}

template <class T>
struct outcome_traits<detail::caught<T>> {
  using error_type = std::exception_ptr;

  static verdict classify(const detail::caught<T>& c) {
    return c.error() == nullptr ? verdict::ok() : classify_exception(c.error());
  }
  static detail::caught<T> reject(const rejection& r, const detail::caught<T>*) {
    return detail::caught<T>(std::make_exception_ptr(rejected_error(r)));
  }
  static const error_type& error(const detail::caught<T>& c) { return c.error(); }
};

#endif  // __cpp_exceptions

namespace detail {

/// What a driver keeps while a call runs: the result itself, or a plain value together with what may be
/// thrown.
template <class R>
struct stored_as {
  using type = R;

  template <class F>
  static R keep(F&& f) {
    return std::forward<F>(f)();
  }
  static R release(R&& kept) { return std::move(kept); }
};

#if defined(__cpp_exceptions)
template <class T>
  requires(!outcome<T> && (std::is_void_v<T> || is_plain<T>))
struct stored_as<T> {
  using type = caught<T>;

  template <class F>
  static caught<T> keep(F&& f) {
    return caught<T>::from(std::forward<F>(f));
  }
  static T release(caught<T>&& kept) { return std::move(kept).release(); }
};
#endif

}  // namespace detail

/// R is a type that pipelines can return: it has traits, or it is a plain value and exceptions are on.
template <class R>
concept runnable = outcome<typename detail::stored_as<R>::type>;

}  // namespace seawall

#endif  // SEAWALL_OUTCOME_HPP
