// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXEC_CONCLUSION_HPP
#define SEAWALL_EXEC_CONCLUSION_HPP

// How every driver begins and ends a call: what stands in the way of the first attempt, and what the caller
// is told.

#include <optional>
#include <utility>

#include "seawall/call.hpp"
#include "seawall/fallback.hpp"
#include "seawall/outcome.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// The caller's stop token may have fired, its deadline passed.
[[gnu::always_inline]] inline reason why_not(const call& c, instant now) {
  if (c.stop_requested()) return reason::cancelled;
  return c.deadline() <= now ? reason::deadline_expired : reason::none;
}

/// The call ends for a reason that no policy has given.
[[gnu::noinline, gnu::cold]] inline resolution reject_call(call& c, instant now, reason why) {
  rejection r{.policy = "deadline", .why = why};
  if (why == reason::cancelled) r.policy = "caller";
  if (why == reason::shut_down) r.policy = "scheduler";
  if (why == reason::wrong_driver) {
    r.policy = "run";
    r.detail =
        "hedge needs a driver in which attempts overlap: use run_on(pool, op), start(scheduler, op, done) or "
        "co_await async(scheduler, op)";
  }
  return c.reject(now, r, verdict::cancelled());
}

/// Adds to a failure which rule ended the retries.
template <class S>
void annotate(const call& c, S& failure) {
  if constexpr (requires(const ending& e) { outcome_traits<S>::annotate(failure, e); }) {
    const ending* const e = c.how_it_ended();
    if (e != nullptr && e->why != give_up::nested) outcome_traits<S>::annotate(failure, *e);
  }
}

/// What the substitute of `l` is asked with. `kept` is the result of the attempt or substitute that ended
/// last.
template <class S>
failure_view<S> failure_of(const call& c, const launch& l, std::optional<S>& kept) {
  const S* failed = nullptr;
  if (l.failure == resolution::kind::attempt) {
    annotate(c, *kept);
    failed = &*kept;
  }
  return {failed, l.failure == resolution::kind::rejection ? &c.last_rejection() : nullptr, l.held};
}

// Out of line: inlined into a driver's loop, it would cost those who have no such layer 40 instructions a
// call.
template <class R, class S, class Pipeline>
[[gnu::noinline]] void show_observers(call& c, const Pipeline& p, const std::optional<S>& kept) {
  c.take_observations([&](observation& o) {
    if (o.of_rejection()) {
      p.template observe<R, S>(o, outcome_traits<S>::reject(o.rejected(), nullptr));
    } else {
      p.template observe<R, S>(o, *kept);
    }
  });
}

/// Shows what passes to the typed sides of the layers whose frames have asked for it; after every step of the
/// frames.
template <class R, class S, class Pipeline>
[[gnu::always_inline]] inline void show_passing(call& c, const Pipeline& p, const std::optional<S>& kept) {
  if constexpr (Pipeline::observes) {
    if (c.has_observations()) [[unlikely]]
      show_observers<R>(c, p, kept);
  }
}

/// What the caller gets. `kept` is the result of the attempt or substitute that ended last; it is moved from.
template <class S>
S conclude(const call& c, const resolution& r, std::optional<S>& kept) {
  if (r.how == resolution::kind::rejection)
    return outcome_traits<S>::reject(c.last_rejection(), kept ? &*kept : nullptr);
  S result = *std::move(kept);
  if (!r.v.success && !r.v.degraded) annotate(c, result);
  return result;
}

/// `c.report()` is not null.
inline void fill_report(const call& c, const resolution& r, instant now) {
  call_report& report = *c.report();
  report = {.attempts = c.attempts(), .degraded = r.v.degraded && r.v.success};
  if (report.degraded) report.degraded_by = c.degraded_by();
  if (r.how == resolution::kind::attempt) report.age = c.age_of(r.which);
  report.elapsed = now - c.started();
  if (!r.v.success && c.how_it_ended() != nullptr) report.gave_up = c.how_it_ended()->why;
  if (r.how == resolution::kind::rejection) {
    report.rejected = c.last_rejection().why;
    report.rejected_by = c.last_rejection().policy;
  }
}

}  // namespace seawall::detail

#endif  // SEAWALL_EXEC_CONCLUSION_HPP
