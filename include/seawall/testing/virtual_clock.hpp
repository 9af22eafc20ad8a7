// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTING_VIRTUAL_CLOCK_HPP
#define SEAWALL_TESTING_VIRTUAL_CLOCK_HPP

// Time that passes only when a test says so, or when a call under test pauses. An hour of outage takes
// microseconds, and every figure is exact.

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>

#include "seawall/exec/blocking.hpp"
#include "seawall/time.hpp"

namespace seawall::testing {

/// A clock that can be paused on. Starts at zero.
///
/// Thread safety: none; virtual time has one thread.
class virtual_clock final : public environment {
 public:
  explicit virtual_clock(instant start = instant()) noexcept : now_(start) {}
  virtual_clock(const virtual_clock&) = delete;
  virtual_clock& operator=(const virtual_clock&) = delete;

  instant now() noexcept override { return now_; }
  /// Since the clock's zero: what a test compares with.
  duration elapsed() const noexcept { return now_ - instant(); }

  /// Does not go back.
  void advance(duration d) { advance_to(now_ + d); }
  void advance_to(instant t) {
    while (due_by(t)) happen();
    if (t > now_) now_ = t;
  }

  /// Something that happens while the time passes: the caller goes away, a flag is thrown. `happening()` is
  /// called once at `t`, before whatever else goes on then; as soon as the time passes, if `t` has been. It
  /// must not advance the clock.
  void at(instant t, std::function<void()> happening) { happenings_.emplace(t, std::move(happening)); }

  /// Part of `blocking_environment`. Nobody else runs, so a pause without an end is a deadlock: the test is
  /// ended.
  void pause(instant until, parker& p) override {
    while (!p.poked() && due_by(until)) happen();
    if (p.poked()) return p.wait_until(until);
    if (until == instant::never()) {
      std::fputs("seawall::testing::virtual_clock: the call waits for ever\n", stderr);
      std::abort();
    }
    advance_to(until);
  }

 private:
  bool due_by(instant t) const { return !happenings_.empty() && happenings_.begin()->first <= t; }
  void happen() {
    const auto next = happenings_.extract(happenings_.begin());
    if (next.key() > now_) now_ = next.key();
    next.mapped()();
  }

  instant now_;
  std::multimap<instant, std::function<void()>> happenings_;
};

/// Runs `op` in virtual time: as `pipeline.run(options, op)`, on this clock. The operation passes time by
/// itself (`clock.advance`, or a `script`); pipelines that it runs inside its attempt, with
/// `inner.run(attempt, op)`, are on the same clock.
template <class Pipeline, class Op>
auto run(virtual_clock& clock, const Pipeline& pipeline, const call_options& options, Op&& op) {
  seawall::detail::check_operation<std::remove_cvref_t<Op>, Pipeline::repeats>();
  return seawall::detail::run_blocking::run_in(clock, pipeline, &options, nullptr, op);
}
template <class Pipeline, class Op>
auto run(virtual_clock& clock, const Pipeline& pipeline, Op&& op) {
  seawall::detail::check_operation<std::remove_cvref_t<Op>, Pipeline::repeats>();
  return seawall::detail::run_blocking::run_in(clock, pipeline, nullptr, nullptr, op);
}
}  // namespace seawall::testing

#endif  // SEAWALL_TESTING_VIRTUAL_CLOCK_HPP
