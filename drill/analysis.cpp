// SPDX-License-Identifier: Apache-2.0
#include "analysis.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <unordered_set>
#include <utility>

#include "rendering.hpp"

namespace drill {
namespace {

using std::chrono::microseconds;

double seconds(microseconds d) { return std::chrono::duration<double>(d).count(); }

void count(const customer& c, figures& f) {
  if (c.how != outcome::turned_away) ++f.offered;
  switch (c.how) {
    case outcome::full: ++f.full; break;
    case outcome::degraded: ++f.degraded; break;
    case outcome::error: ++f.errors; break;
    case outcome::refused: ++f.errors, ++f.refused; break;
    case outcome::turned_away: ++f.turned_away; break;
    case outcome::gave_up:
    case outcome::not_sent: ++f.unanswered; break;
  }
  if (c.how != outcome::degraded) return;
  for (const dependency d : all_dependencies) f.degraded_by[d] += c.degraded[d] ? 1 : 0;
}

/// What `counter` had counted up to `t`, linear between samples.
template <std::invocable<const shop_stats&> Counter>
double counted_until(const std::vector<shop_sample>& samples, Counter counter, microseconds t) {
  const auto after = std::lower_bound(samples.begin(), samples.end(), t,
                                      [](const shop_sample& s, microseconds at) { return s.at < at; });
  if (samples.empty()) return 0;
  if (after == samples.end()) return counter(samples.back().stats);
  const double until_after = counter(after->stats);
  if (after == samples.begin()) return until_after;
  const shop_sample& before = *std::prev(after);
  const double until_before = counter(before.stats);
  return until_before +
         (until_after - until_before) * seconds(t - before.at) / seconds(after->at - before.at);
}

template <std::invocable<const shop_stats&> Counter>
double counted_per_s(const run_record& r, Counter counter, time_span when) {
  if (when.length() <= microseconds(0)) return 0;
  return (counted_until(r.shop, counter, when.end) - counted_until(r.shop, counter, when.begin)) /
         seconds(when.length());
}

double attempts_per_s(const run_record& r, dependency d, time_span when) {
  return counted_per_s(
      r, [d](const shop_stats& s) { return static_cast<double>(s.of[d].attempts); }, when);
}

constexpr auto coming = [](const customer& c) { return c.came_at; };
constexpr auto leaving = [](const customer& c) { return c.came_at + c.waited; };

/// Of those for whom `moment` lies within `when`.
template <std::invocable<const customer&> Moment>
figures figures_of(const std::vector<customer>& visitors, time_span when, Moment moment) {
  figures f{.when = when};
  std::vector<microseconds> waited;
  std::vector<microseconds> waited_all;
  std::vector<microseconds> waited_for_nothing;
  for (const customer& c : visitors) {
    if (!when.contains(moment(c))) continue;
    count(c, f);
    if (c.how == outcome::turned_away) continue;
    waited_all.push_back(c.waited);
    if (!is_answered(c.how)) waited_for_nothing.push_back(c.waited);
    if (!is_error_page(c.how)) waited.push_back(c.waited);
  }
  f.p50 = percentile(waited, 0.5);
  f.p99 = percentile(waited, 0.99);
  f.max = percentile(waited, 1);
  f.p99_of_all = percentile(std::move(waited_all), 0.99);
  f.p99_of_failed = percentile(std::move(waited_for_nothing), 0.99);
  return f;
}

figures with_attempts(const run_record& r, figures f) {
  for (const dependency d : all_dependencies) f.attempts_per_s[d] = attempts_per_s(r, d, f.when);
  return f;
}

/// Those who really asked.
double sent(const std::vector<customer>& visitors, time_span when) {
  return static_cast<double>(std::count_if(visitors.begin(), visitors.end(), [when](const customer& c) {
    return c.how != outcome::not_sent && when.contains(c.came_at);
  }));
}

/// Workers' time within `when` for pages that found their visitors waiting. A page is rendered just before it
/// is there.
double served_s(const std::vector<customer>& visitors, microseconds page_takes, time_span when) {
  microseconds sum{0};
  for (const customer& c : visitors) {
    if (!is_answered(c.how)) continue;
    const microseconds begin = std::max(leaving(c) - page_takes, when.begin);
    sum += std::max(std::min(leaving(c), when.end) - begin, microseconds(0));
  }
  return seconds(sum);
}

overload overload_in(const run_record& r, const played_act& a) {
  overload o{
      .act = a.what.title, .checkout = figures_within(r, a.when), .browsing = browsing_within(r, a.when)};
  const double capacity_s = static_cast<double>(render_workers) * seconds(a.when.length());
  if (capacity_s <= 0) return o;
  const auto rendering = [](const shop_stats& s) { return seconds(s.rendering); };
  o.offered = (sent(r.customers, a.when) * seconds(checkout_page_takes) +
               sent(r.browsers, a.when) * seconds(product_page_takes)) /
              capacity_s;
  o.rendered = counted_per_s(r, rendering, a.when) / static_cast<double>(render_workers);
  o.served = (served_s(r.customers, checkout_page_takes, a.when) +
              served_s(r.browsers, product_page_takes, a.when)) /
             capacity_s;
  return o;
}

isolation isolation_in(const run_record& r, const played_act& a) {
  isolation i{.act = a.what.title, .victim = a.what.victim};
  i.healthy_per_s = attempts_per_s(r, i.victim, r.acts.front().when);
  std::uint64_t at_opening = 0;
  for (const shop_sample& s : r.shop) {
    if (!a.when.contains(s.at)) continue;
    const dependency_stats& victim = s.stats.of[i.victim];
    if (!i.breaker_opened && victim.breaker == breaker_view::open) {
      i.breaker_opened = true;
      i.open.begin = s.at;
      at_opening = victim.attempts;
    }
    i.open.end = s.at;
    i.attempts = victim.attempts - at_opening;
  }
  return i;
}

/// What the storefront has counted from the last sample before the act to the first one after it.
template <class Counts>
Counts counted_in(const run_record& r, time_span when, Counts shop_stats::*counts) {
  Counts before;
  Counts until_end;
  for (const shop_sample& s : r.shop) {
    if (s.at < when.begin) before = s.stats.*counts;
    until_end = s.stats.*counts;
    if (s.at >= when.end) break;
  }
  return until_end - before;
}

// Chaos is switched on after the act has begun, and off before it ends.
inner_chaos inner_chaos_in(const run_record& r, const played_act& a) {
  inner_chaos c{.act = a.what.title,
                .checkout = figures_within(r, a.when),
                .injected = counted_in(r, a.when, &shop_stats::chaos)};
  if (!r.shop.empty()) c.outside = r.shop.back().stats.chaos.faults() - c.injected.faults();
  return c;
}

/// The act after `a`, if there is one.
void look_after(const run_record& r, const played_act& a, read_only_mode& m) {
  const played_act* next = &a + 1;
  if (next == r.acts.data() + r.acts.size()) return;
  m.next = next->what.title;
  m.after = figures_within(r, next->when);
}

read_only_mode read_only_in(const run_record& r, const played_act& a) {
  read_only_mode m{
      .act = a.what.title, .checkout = figures_within(r, a.when), .browsing = browsing_within(r, a.when)};
  const time_span midst{a.in_force.begin, a.in_force.end - read_only_slack};
  const std::unordered_set<std::uint64_t> charged(r.audit.orders.begin(), r.audit.orders.end());
  std::vector<microseconds> waited;
  for (const customer& c : r.customers) {
    const bool away = c.how == outcome::turned_away;
    if (away && (leaving(c) < a.when.begin || c.came_at >= a.when.end)) ++m.outside;
    if (!midst.contains(c.came_at)) continue;
    ++m.came;
    if (away) ++m.turned_away;
    if (charged.contains(c.order)) ++m.charged;
    waited.push_back(c.waited);
  }
  m.p99 = percentile(std::move(waited), 0.99);
  look_after(r, a, m);
  return m;
}

template <class State, std::invocable<const shop_stats&> StateOf>
std::vector<band<State>> bands_of(const run_record& r, StateOf state_of) {
  std::vector<band<State>> bands;
  for (const shop_sample& s : r.shop) {
    if (s.at >= r.whole().end) break;
    const State state = state_of(s.stats);
    if (!bands.empty()) bands.back().when.end = s.at;
    if (bands.empty() || bands.back().state != state) bands.push_back({{s.at, s.at}, state});
  }
  if (!bands.empty()) bands.back().when.end = r.whole().end;
  return bands;
}

}  // namespace

microseconds percentile(std::vector<microseconds> values, double share) {
  if (values.empty()) return microseconds(0);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  const std::size_t index = std::clamp<std::size_t>(rank, 1, values.size()) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index), values.end());
  return values[index];
}

figures figures_within(const run_record& r, time_span when) {
  return with_attempts(r, figures_of(r.customers, when, coming));
}

figures figures_ended_within(const run_record& r, time_span when) {
  return with_attempts(r, figures_of(r.customers, when, leaving));
}

figures browsing_within(const run_record& r, time_span when) { return figures_of(r.browsers, when, coming); }

figures browsing_ended_within(const run_record& r, time_span when) {
  return figures_of(r.browsers, when, leaving);
}

std::vector<figures> figures_by_act(const run_record& r) {
  std::vector<figures> all;
  for (const played_act& a : r.acts) all.push_back(figures_within(r, a.when));
  return all;
}

std::vector<figures> figures_over_time(const run_record& r, microseconds step) {
  std::vector<figures> all;
  const microseconds end = r.whole().end;
  for (microseconds t{0}; t + step <= end; t += step) {
    all.push_back(figures_within(r, {t, t + 2 * step > end ? end : t + step}));
  }
  return all;
}

std::vector<band<breaker_view>> breaker_bands(const run_record& r, dependency d) {
  return bands_of<breaker_view>(r, [d](const shop_stats& s) { return s.of[d].breaker; });
}

std::vector<band<level_view>> level_bands(const run_record& r) {
  return bands_of<level_view>(r, [](const shop_stats& s) { return s.service.level; });
}

double isolation::open_per_s() const {
  return open.length() > microseconds(0) ? static_cast<double>(attempts) / seconds(open.length()) : 0;
}

double isolation::reduction() const {
  return breaker_opened && healthy_per_s > 0 ? 1 - open_per_s() / healthy_per_s : 0;
}

std::vector<isolation> isolations(const run_record& r) {
  std::vector<isolation> all;
  for (const played_act& a : r.acts) {
    if (is_dead(a.what.what)) all.push_back(isolation_in(r, a));
  }
  return all;
}

std::optional<overload> overload_of(const run_record& r) {
  for (const played_act& a : r.acts) {
    if (a.what.what == trouble::overload) return overload_in(r, a);
  }
  return std::nullopt;
}

std::optional<inner_chaos> inner_chaos_of(const run_record& r) {
  for (const played_act& a : r.acts) {
    if (a.what.what == trouble::chaos) return inner_chaos_in(r, a);
  }
  return std::nullopt;
}

std::optional<stand_ins> stand_ins_of(const run_record& r) {
  for (const played_act& a : r.acts) {
    if (!has_victim(a.what.what) || a.what.victim != dependency::recommendations) continue;
    stand_ins s{.act = a.what.title,
                .shown = counted_in(r, a.when, &shop_stats::recommendations),
                .shown_in_all = {},
                .told_in_all = figures_within(r, r.whole()).degraded_by[dependency::recommendations]};
    if (!r.shop.empty()) s.shown_in_all = r.shop.back().stats.recommendations;
    return s;
  }
  return std::nullopt;
}

std::optional<read_only_mode> read_only_mode_of(const run_record& r) {
  for (const played_act& a : r.acts) {
    if (a.what.what == trouble::read_only) return read_only_in(r, a);
  }
  return std::nullopt;
}

reconciliation reconcile(const run_record& r) {
  std::unordered_set<std::uint64_t> accepted;
  for (const customer& c : r.customers) {
    if (is_answered(c.how)) accepted.insert(c.order);
  }
  reconciliation found;
  std::uint64_t both = 0;
  for (const std::uint64_t order : r.audit.orders) {
    accepted.contains(order) ? ++both : ++found.charged_without_order;
  }
  found.never_charged = accepted.size() - both;
  return found;
}

}  // namespace drill
