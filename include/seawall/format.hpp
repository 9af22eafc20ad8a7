// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_FORMAT_HPP
#define SEAWALL_FORMAT_HPP

// fmt formatters for what people log: durations, verdicts, states, snapshots, rejections, events. Opt-in, as
// fmt costs compile time. All take the format specification of strings.

#include <concepts>
#include <string>
#include <string_view>

#include "seawall/core/adaptive_machine.hpp"
#include "seawall/core/admission_options.hpp"
#include "seawall/core/breaker_options.hpp"
#include "seawall/core/brownout_machine.hpp"
#include "seawall/core/bulkhead_options.hpp"
#include "seawall/core/cache_machine.hpp"
#include "seawall/core/chaos_machine.hpp"
#include "seawall/core/degradation_options.hpp"
#include "seawall/core/flight_group.hpp"
#include "seawall/core/gate_machine.hpp"
#include "seawall/core/rate_options.hpp"
#include "seawall/core/throttle_options.hpp"
#include "seawall/event.hpp"
#include "seawall/hedge.hpp"
#include "seawall/latency_window.hpp"
#include "seawall/options.hpp"
#include "seawall/retry_budget.hpp"
#include "seawall/text.hpp"
#include "seawall/verdict.hpp"
#include <fmt/format.h>

namespace seawall {

constexpr std::string_view to_string(health h) noexcept {
  switch (h) {
    case health::silent: return "silent";
    case health::healthy: return "healthy";
    case health::unhealthy: return "unhealthy";
  }
  return "?";
}

constexpr std::string_view to_string(again a) noexcept {
  switch (a) {
    case again::never: return "never";
    case again::if_idempotent: return "if_idempotent";
    case again::always: return "always";
  }
  return "?";
}

namespace detail {

inline std::string logged(duration d) { return to_text(d); }
inline std::string logged(instant i) {
  return i == instant::never() ? "never" : "+" + to_text(i - instant());
}
inline std::string logged(health h) { return std::string(to_string(h)); }
inline std::string logged(again a) { return std::string(to_string(a)); }
inline std::string logged(reason r) { return std::string(to_string(r)); }
inline std::string logged(give_up g) { return std::string(to_string(g)); }
inline std::string logged(hedge_reason r) { return std::string(to_string(r)); }
inline std::string logged(hedge_withheld_by w) { return std::string(to_string(w)); }
inline std::string logged(breaker_state s) { return std::string(to_string(s)); }
inline std::string logged(const rejection& r) { return describe(r); }
inline std::string logged(const ending& e) { return describe(e); }

inline std::string logged(const verdict& v) {
  std::string out =
      fmt::format("{}, {}, again {}", v.success ? "success" : "failure", logged(v.health), logged(v.again));
  if (v.slow) out += ", slow";
  if (v.degraded) out += ", degraded";
  if (v.has_pushback()) out += ", retry after " + to_text(v.retry_after);
  return out;
}

inline std::string logged(const core::window_counts& w) {
  return fmt::format("{} calls, {} bad, {} slow", w.calls, w.bad, w.slow);
}

inline std::string logged(const breaker_snapshot& s) {
  std::string out = fmt::format("circuit_breaker '{}' {}", s.name, logged(s.state));
  if (s.state == breaker_state::open) out += " for another " + to_text(s.time_left);
  if (s.state == breaker_state::half_open) {
    out += fmt::format(", probes: {} under way, {} succeeded, {} failed", s.probes, s.probes_succeeded,
                       s.probes_failed);
  }
  if (s.admitted_share < 1.0) out += fmt::format(", admits {:.0f}%", s.admitted_share * 100);
  return out + fmt::format(" ({} in the window, {} trips)", logged(s.counts.over_time), s.trips);
}

inline std::string logged(const retry_budget_snapshot& s) {
  return fmt::format("retry_budget '{}' {} left ({} repetitions of {} calls)", s.name, s.remaining,
                     s.repetitions, s.calls);
}

inline std::string logged(const latency_snapshot& s) {
  return fmt::format("latency_window '{}' p50 {}, p90 {}, p95 {}, p99 {}, p99.9 {} of {}", s.name,
                     to_text(s.p50), to_text(s.p90), to_text(s.p95), to_text(s.p99), to_text(s.p999),
                     s.count);
}

inline std::string logged(const hedge_snapshot& s) {
  const core::hedge_totals& t = s.totals;
  const char* const state = s.slow ? "off, everything is slow" : s.useless ? "off, of no use" : "on";
  return fmt::format(
      "hedge '{}' {}: after {}, {} hedges ({} won), {} after failures, withheld: {} slow, {} useless, {} load, {} "
      "chance, {} budget",
      s.name, state, to_text(s.delay), t.hedges, t.wins, t.after_failure, t.withheld_slow, t.withheld_useless,
      t.withheld_load, t.withheld_chance, t.withheld_budget);
}

inline std::string logged(const bulkhead_snapshot& s) {
  std::string out =
      fmt::format("bulkhead '{}' {} of {} in use, {} waiting", s.name, s.in_use, s.max_concurrent, s.waiting);
  for (const partition_snapshot& p : s.partitions)
    out += fmt::format(", '{}' {} of {}", p.name, p.in_use, p.guaranteed);
  return out + fmt::format(" ({} admitted late, {} timed out, {} displaced)", s.admitted_late, s.timed_out,
                           s.displaced);
}

inline std::string logged(const adaptive_limit_snapshot& s) {
  return fmt::format("adaptive_limit '{}' {} of {} in flight, latency {}, baseline {}", s.name, s.in_flight,
                     s.limit, to_text(s.latency), to_text(s.baseline));
}

inline std::string logged(const admission_snapshot& s) {
  return fmt::format(
      "admission '{}' {} of {} in flight, {} waiting, level {}{} ({} admitted late, {} timed out, {} expired, {} "
      "evicted, {} dropped by CoDel, {} refused)",
      s.name, s.in_flight, s.limit, s.waiting, to_string(s.level), s.overloaded ? ", overloaded" : "",
      s.admitted_late, s.timed_out, s.expired, s.evicted, s.dropped_by_codel, s.refused);
}

inline std::string logged(const rate_limiter_snapshot& s) {
  return fmt::format("rate_limiter '{}' {:.6g}/s ({:.0f}%), {} available, {} leased, {} waiting", s.name,
                     s.rate_per_second, s.share * 100, s.available, s.leased, s.waiting);
}

inline std::string logged(const throttle_snapshot& s) {
  return fmt::format("throttle '{}' {} ({} of {} requests accepted, {} throttled, rejects {:.1f}%)", s.name,
                     s.throttling ? "throttling" : "passing", s.accepts, s.requests, s.throttled,
                     s.rejection_probability * 100);
}

inline std::string logged(const chaos_snapshot& s) {
  return fmt::format("chaos '{}' {}, {} calls: {} failures, {} latencies, {} hangs, {} results, {} withheld",
                     s.name, s.enabled ? "on" : "off", s.calls, s.failures, s.latencies, s.hangs, s.results,
                     s.withheld);
}

inline std::string logged(const cache_snapshot& s) {
  return fmt::format(
      "cache '{}' {} entries, {} bytes: {} hits, {} negative, {} misses, {} stale while refreshed, {} stale for a "
      "failure; {} refreshing, {} waiting, {} evicted",
      s.name, s.entries, s.bytes, s.hits, s.negative_hits, s.misses, s.stale_while_revalidate,
      s.stale_if_error, s.refreshing, s.waiting, s.evictions);
}

inline std::string logged(const coalesce_snapshot& s) {
  return fmt::format("coalesce '{}' {} under way, {} waiting ({} led, {} joined, {} shared, {} alone)",
                     s.name, s.flying, s.waiting, s.led, s.joined, s.shared, s.alone);
}

inline std::string logged(const degradation_snapshot& s) {
  std::string out = fmt::format("degradation '{}' at level {} '{}'", s.name, s.level, s.level_name);
  if (s.read_only) out += ", read-only";
  if (s.by_hand) out += fmt::format(", by hand, signals would have {}", s.automatic);
  for (const signal_snapshot& g : s.signals) {
    if (g.wants != 0) out += fmt::format(", '{}' wants {}", g.name, g.wants);
  }
  return out + fmt::format(" ({} transitions{})", s.transitions, s.why.empty() ? "" : "; " + s.why);
}

inline std::string logged(const feature_gate_snapshot& s) {
  const std::string share = s.killed ? "killed" : fmt::format("{:.6g}%", s.percent);
  return fmt::format("feature_gate '{}' {}{} ({} refused)", s.name, share,
                     s.level_serves ? "" : ", not at this level of service", s.refused);
}

inline std::string logged(const brownout_snapshot& s) {
  return fmt::format("brownout '{}' serves {:.0f}% of the optional content, latency {} of {}", s.name,
                     s.dimmer * 100, to_text(s.latency), to_text(s.set_point));
}

inline std::string logged(gate_answer a) { return std::string(to_string(a)); }

inline std::string logged(const event::rejected& e) { return "rejected: " + describe(e.what); }
inline std::string logged(const event::gave_up& e) { return describe(e.what) + ": " + logged(e.failure); }
inline std::string logged(const event::retry_scheduled& e) {
  return fmt::format("attempt {} failed ({}), the next one in {}", e.attempt, logged(e.failure),
                     to_text(e.delay));
}
inline std::string logged(const event::hedged& e) {
  return fmt::format("hedge '{}' starts attempt {} after {}: {}", e.name, e.attempt, to_text(e.after),
                     logged(e.why));
}
inline std::string logged(const event::hedge_withheld& e) {
  return fmt::format("hedge '{}' starts no further attempt: {}", e.name, logged(e.by));
}
inline std::string logged(const event::fallback_used& e) {
  return fmt::format("fallback '{}' used: {}", e.name, logged(e.failure));
}
inline std::string logged(const event::stale_served& e) {
  const std::string why =
      e.on_error ? "in place of a failure: " + logged(e.failure) : "while it is refreshed";
  return fmt::format("cache '{}' [{}] served an answer {} old, {}", e.name, e.key, logged(e.age), why);
}
inline std::string logged(const event::state_changed& e) {
  const std::string key = e.key.empty() ? std::string() : fmt::format(" [{}]", e.key);
  return fmt::format("{} '{}'{}: {} -> {} ({})", e.policy, e.name, key, e.from, e.to, e.why);
}
inline std::string logged(const event::limit_changed& e) {
  const std::string key = e.key.empty() ? std::string() : fmt::format(" [{}]", e.key);
  return fmt::format("{} '{}'{}: limit {:.6g} -> {:.6g} ({})", e.policy, e.name, key, e.from, e.to, e.why);
}
inline std::string logged(const event::fault_injected& e) {
  return fmt::format("chaos '{}' injects a fault: {}", e.name, e.fault);
}

/// These types exactly: a conversion must not claim the types of others (`std::chrono::seconds` converts to
/// `duration`).
template <class T, class... Known>
concept one_of = (std::same_as<T, Known> || ...);
template <class T>
concept loggable =
    one_of<T, duration, instant, health, again, verdict, reason, give_up, rejection, ending, breaker_state,
           breaker_snapshot, retry_budget_snapshot, core::window_counts, hedge_reason, hedge_withheld_by,
           hedge_snapshot, latency_snapshot, event::rejected, event::gave_up, event::retry_scheduled,
           event::hedged, event::hedge_withheld, event::fallback_used, event::stale_served,
           event::state_changed, event::limit_changed, event::fault_injected, bulkhead_snapshot,
           adaptive_limit_snapshot, admission_snapshot, rate_limiter_snapshot, throttle_snapshot,
           chaos_snapshot, cache_snapshot, coalesce_snapshot, degradation_snapshot, feature_gate_snapshot,
           brownout_snapshot, gate_answer>;

}  // namespace detail

}  // namespace seawall

/// One formatter for all types of seawall that have words.
template <class T>
  requires seawall::detail::loggable<T>
struct fmt::formatter<T> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    const std::string text = seawall::detail::logged(value);
    return fmt::formatter<fmt::string_view>::format({text.data(), text.size()}, context);
  }
};

#endif  // SEAWALL_FORMAT_HPP
