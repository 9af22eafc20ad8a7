// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_SCRIPT_HPP
#define SEAWALL_TESTING_SCRIPT_HPP

// A dependency that behaves as a line of text says, in virtual time; seawall/script.hpp has the words.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "seawall/call.hpp"
#include "seawall/options.hpp"
#include "seawall/script.hpp"
#include "seawall/status.hpp"
#include "seawall/testing/virtual_clock.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

using phase = script_phase;
using seawall::script;
using step = script_step;

namespace detail {

/// A bad script is a bad test: refused as bad options are.
inline script checked(absl::StatusOr<script> s) {
  if (!s.ok()) seawall::detail::refuse(std::string(seawall::detail::from_absl(s.status().message())));
  for (const script_phase& p : s->phases()) {
    for (const script_step& one : p.steps) {
      if (one.wrong) seawall::detail::refuse("script: 'wrong': a scripted operation has one answer only");
    }
  }
  return *std::move(s);
}

inline absl::Status failure_of(const step& s) {
  const absl::Status failure(s.code, "scripted");
  return s.retry_after ? with_retry_after(failure, *s.retry_after) : failure;
}

inline absl::Status no_answer_in_time() { return absl::DeadlineExceededError("scripted: no answer in time"); }

}  // namespace detail

/// An operation that answers `value` or fails as its script says, and passes virtual time. Hand it to a
/// pipeline with `std::ref`, so that the script goes on where it was: `idempotent(std::ref(quotes))`.
///
/// Cancellation: a hanging step ends at the attempt's deadline, as a client with a time-out would; without a
/// deadline the test is ended.
template <class T>
class scripted {
 public:
  scripted(virtual_clock& clock, std::string_view text, T value)
      : scripted(clock, detail::checked(script::parse(text)), std::move(value)) {}
  scripted(virtual_clock& clock, script s, T value)
      : clock_(clock), script_(std::move(s)), value_(std::move(value)) {}

  absl::StatusOr<T> operator()(const attempt& a) {
    ++calls_;
    const step s = script_.next(clock_.now());
    const instant answer = clock_.now() + s.after;
    if (s.hangs || answer > a.deadline()) return hang(a);
    clock_.advance_to(answer);
    if (s.code == absl::StatusCode::kOk) return value_;
    return detail::failure_of(s);
  }

  std::uint64_t calls() const noexcept { return calls_; }

 private:
  absl::Status hang(const attempt& a) {
    if (a.deadline() == instant::never())
      seawall::detail::refuse("script: a call without a deadline hangs for ever");
    clock_.advance_to(a.deadline());
    return detail::no_answer_in_time();
  }

  virtual_clock& clock_;
  script script_;
  T value_;
  std::uint64_t calls_ = 0;
};

}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_SCRIPT_HPP
