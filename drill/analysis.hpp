// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ANALYSIS_HPP
#define SEAWALL_DRILL_ANALYSIS_HPP

// From what was observed to figures. Pure functions of a record.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "record.hpp"

namespace drill {

/// Nearest rank: the smallest value that at least `share` (0 to 1) of them do not exceed. Zero if there is
/// none.
std::chrono::microseconds percentile(std::vector<std::chrono::microseconds> values, double share);

struct figures {
  time_span when;
  std::uint64_t turned_away = 0;  ///< on purpose: they count neither as served nor as failed, nor as offered
  std::uint64_t offered = 0;
  std::uint64_t full = 0;
  std::uint64_t degraded = 0;
  std::uint64_t errors = 0;
  std::uint64_t refused = 0;     ///< of the errors, those who were told when to come back
  std::uint64_t unanswered = 0;  ///< gave up, or could not even be sent
  per_dependency<std::uint64_t> degraded_by = {};
  /// Of those who were answered or gave up. A customer who gave up has waited for the whole patience, at
  /// least. Error pages are not among them: they count against availability, and their quickness is no merit.
  std::chrono::microseconds p50{0};
  std::chrono::microseconds p99{0};
  std::chrono::microseconds max{0};
  /// Of everybody, error pages too.
  std::chrono::microseconds p99_of_all{0};
  /// Of those who left with nothing: how long it took to tell them, or they waited in vain.
  std::chrono::microseconds p99_of_failed{0};
  per_dependency<double> attempts_per_s = {};

  double availability() const { return offered == 0 ? 0 : static_cast<double>(full + degraded) / offered; }
  double degraded_share() const { return offered == 0 ? 0 : static_cast<double>(degraded) / offered; }
  bool has_latency() const { return full + degraded + unanswered > 0; }
};

/// Of those who came, and what was sent, within `when`.
figures figures_within(const run_record& r, time_span when);

/// Of those who were answered, or gave up, within `when`: what one can know while it goes on.
figures figures_ended_within(const run_record& r, time_span when);

/// The same of those who only browse.
figures browsing_within(const run_record& r, time_span when);
figures browsing_ended_within(const run_record& r, time_span when);

std::vector<figures> figures_by_act(const run_record& r);

/// In steps of `step`; the last one is longer by what is left over.
std::vector<figures> figures_over_time(const run_record& r, std::chrono::microseconds step);

/// As sampled: resolution a tenth of a second.
template <class State>
struct band {
  time_span when;
  State state = State::absent;
};

std::vector<band<breaker_view>> breaker_bands(const run_record& r, dependency d);
std::vector<band<level_view>> level_bands(const run_record& r);

/// How well a dead dependency was left alone.
struct isolation {
  std::string act;
  dependency victim = dependency::inventory;
  double healthy_per_s = 0;  ///< attempts sent to it in the first act
  bool breaker_opened = false;
  time_span open = {};         ///< from the first sample that shows the breaker open to the end of the act
  std::uint64_t attempts = 0;  ///< sent to it in that span, probes included

  double open_per_s() const;
  double reduction() const;  ///< 0.99: of a hundred attempts, one is left
};

std::vector<isolation> isolations(const run_record& r);

/// How the shop fared while far more was asked of its render workers than they can do. The shares are
/// workers' time, of all that they have: 4 is four times what can be done, whoever asks for it.
struct overload {
  std::string act;
  figures checkout;
  figures browsing;
  double offered = 0;   ///< asked for, and really sent
  double rendered = 0;  ///< spent, also on pages for visitors who had left
  double served = 0;    ///< spent on pages that reached somebody who still waited for them
};

/// Nothing if the run had no such act.
std::optional<overload> overload_of(const run_record& r);

/// How the shop fared while its own calls suffered.
struct inner_chaos {
  std::string act;
  figures checkout;
  chaos_stats injected;       ///< in the act
  std::uint64_t outside = 0;  ///< faults before and after it
};

/// Nothing if the run had no such act.
std::optional<inner_chaos> inner_chaos_of(const run_record& r);

/// How the shop fared while its recommendations were in trouble.
struct stand_ins {
  std::string act;
  recommendation_stats shown;         ///< in the act
  recommendation_stats shown_in_all;  ///< in the whole run
  std::uint64_t told_in_all = 0;      ///< customers whose answer said that its recommendations are not new
};

/// Nothing if the run had no such act.
std::optional<stand_ins> stand_ins_of(const run_record& r);

/// Who comes so shortly before the storefront takes orders again may be looked at only then.
inline constexpr std::chrono::milliseconds read_only_slack{400};

/// How the shop fared while it was to take no orders.
struct read_only_mode {
  std::string act;
  // Checkouts in the midst of the act: the storefront had been told, and had time to answer them.
  std::uint64_t came = 0;
  std::uint64_t turned_away = 0;     ///< on purpose
  std::uint64_t charged = 0;         ///< all the same
  std::chrono::microseconds p99{0};  ///< how long they waited, whatever for

  std::uint64_t outside = 0;  ///< turned away before and after the act
  figures checkout;
  figures browsing;
  std::string next = {};  ///< the act after it
  figures after = {};     ///< checkouts in that act
};

/// Nothing if the run had no such act.
std::optional<read_only_mode> read_only_mode_of(const run_record& r);

/// The customers' view of their orders against the books of payment.
struct reconciliation {
  std::uint64_t charged_without_order = 0;  ///< charged, but the customer saw an error page or no answer
  std::uint64_t never_charged = 0;          ///< the shop accepted the order, and its payment was lost
};

reconciliation reconcile(const run_record& r);

}  // namespace drill

#endif  // SEAWALL_DRILL_ANALYSIS_HPP
