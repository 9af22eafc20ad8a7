// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CLASSIFY_HPP
#define SEAWALL_CLASSIFY_HPP

// A pipeline's own reading of results, in place of the default one.

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "seawall/frame.hpp"
#include "seawall/outcome.hpp"

namespace seawall {

/// The layer made by `classify`. Its frame does nothing; drivers ask its typed side.
template <class F>
class classify_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::classify;
  static constexpr bool straight = true;

  explicit classify_layer(F f) : f_(std::move(f)) {}

  template <class Inner>
  using frame = passthrough<classify_layer, Inner>;

  /// The verdict of a result that a driver keeps as S.
  template <class S>
  verdict classify(const S& kept) const {
    if constexpr (std::invocable<const F&, const S&>) {
      return or_default(f_(kept), kept);
    } else {
      return classify_caught(kept);
    }
  }

 private:
  template <class S>
  static verdict or_default(const std::optional<verdict>& v, const S& kept) {
    return v ? *v : outcome_traits<S>::classify(kept);
  }

#if defined(__cpp_exceptions)
  template <class T>
  verdict classify_caught(const detail::caught<T>& kept) const {
    constexpr bool reads_errors = std::invocable<const F&, const std::exception_ptr&>;
    constexpr bool reads_values = requires(const F& f) { f(kept.value()); };
    static_assert(reads_errors || reads_values,
                  "classify(f): f must accept the result of the operation (const R&), or what it throws "
                  "(const std::exception_ptr&)");
    if constexpr (reads_errors) {
      if (kept.error() != nullptr) return or_default(f_(kept.error()), kept);
    }
    if constexpr (reads_values) {
      if (kept.error() == nullptr) return or_default(f_(kept.value()), kept);
    }
    return outcome_traits<detail::caught<T>>::classify(kept);
  }
#endif
  template <class S>
  verdict classify_caught(const S&) const {
    static_assert(std::invocable<const F&, const S&>,
                  "classify(f): f must accept the result of the operation (const R&)");
    return {};
  }

  F f_;
};

/// Reads each attempt's result with `f`, which takes the result (or, where failures are thrown, a
/// `const std::exception_ptr&`) and returns a `verdict`, or a `std::optional<verdict>` to leave some to the
/// default reading. Must be the innermost layer. `f` must be safe to call from several threads.
template <class F>
classify_layer<std::decay_t<F>> classify(F&& f) requires(!outcome<std::decay_t<F>>) {
  return classify_layer<std::decay_t<F>>(std::forward<F>(f));
}

}  // namespace seawall

#endif  // SEAWALL_CLASSIFY_HPP
