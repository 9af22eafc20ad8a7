// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_OPERATION_HPP
#define SEAWALL_OPERATION_HPP

// Operations and what their authors declare about repeating them. The declaration is part of the type: a
// pipeline that repeats does not take an operation without one.

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

namespace detail {

struct no_key {
  no_key() = default;
  constexpr explicit no_key(std::string_view) noexcept {}
  constexpr operator std::string_view() const noexcept { return {}; }
};

}  // namespace detail

/// An operation with its declaration; made by `idempotent`, `idempotent_by` and `non_idempotent`.
template <class Op, idempotency Declared, class Key = detail::no_key>
class declared_operation {
 public:
  static constexpr idempotency declared = Declared;

  explicit declared_operation(Op op, Key key = {}) : op_(std::move(op)), key_(std::move(key)) {}

  Op& operation() noexcept { return op_; }
  const Op& operation() const noexcept { return op_; }
  std::string_view key() const noexcept { return key_; }

 private:
  [[no_unique_address]] Op op_;
  [[no_unique_address]] Key key_;
};

/// Executing it twice is as good as once: reading, setting a value, deleting.
template <class Op>
declared_operation<std::decay_t<Op>, idempotency::idempotent> idempotent(Op&& op) {
  return declared_operation<std::decay_t<Op>, idempotency::idempotent>(std::forward<Op>(op));
}

/// Idempotent because the dependency recognises `key`, which every attempt carries
/// (`attempt::idempotency_key()`).
template <class Op>
declared_operation<std::decay_t<Op>, idempotency::idempotent, std::string> idempotent_by(std::string key,
                                                                                         Op&& op) {
  return declared_operation<std::decay_t<Op>, idempotency::idempotent, std::string>(std::forward<Op>(op),
                                                                                    std::move(key));
}

/// Executing it twice would do harm: it is repeated only where it provably was not executed, and never
/// hedged.
template <class Op>
declared_operation<std::decay_t<Op>, idempotency::non_idempotent> non_idempotent(Op&& op) {
  return declared_operation<std::decay_t<Op>, idempotency::non_idempotent>(std::forward<Op>(op));
}

namespace detail {

template <class Op>
struct operation_view {
  static constexpr idempotency declared = idempotency::undeclared;
  static auto& bare(auto& op) noexcept { return op; }
  static std::string_view key(const Op&) noexcept { return {}; }
};

template <class Op, idempotency D, class Key>
struct operation_view<declared_operation<Op, D, Key>> {
  static constexpr idempotency declared = D;
  static auto& bare(auto& op) noexcept { return op.operation(); }
  static std::string_view key(const declared_operation<Op, D, Key>& op) noexcept { return op.key(); }
};

template <class Op>
inline constexpr bool takes_attempt = std::invocable<Op&, attempt>;

template <class Op>
inline constexpr bool takes_nothing = std::invocable<Op&>;

template <class Op>
decltype(auto) invoke_operation(Op& op, const attempt& a) {
  if constexpr (takes_attempt<Op>) {
    return op(a);
  } else {
    return op();
  }
}

template <class Op>
using result_of =
    std::remove_cv_t<decltype(invoke_operation(std::declval<Op&>(), std::declval<const attempt&>()))>;

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_OPERATION_HPP
