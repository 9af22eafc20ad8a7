// SPDX-License-Identifier: Apache-2.0
#include "judge.hpp"

#include <algorithm>
#include <utility>

#include "rendering.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

constexpr double availability_required = 0.99;
constexpr double lead_required = 0.05;
constexpr double reduction_required = 0.90;
constexpr double load_required = overload_factor - 0.5;  // times the capacity
constexpr double act_lead_required = 0.20;
constexpr double goodput_required = 0.90;
constexpr double stale_required = 0.90;  // of the recommendations that could not be had
constexpr double told_required = 0.90;   // some have left before the page was there

double percent(double share) { return 100 * share; }

// A run without a single customer proves nothing.
criterion availability(const evidence& e) {
  return {"checkout stays available with seawall", fmt::format(">= {:.0f}%", percent(availability_required)),
          fmt::format("{:.2f}% ({} of {})", percent(e.seawall.availability()),
                      e.seawall.full + e.seawall.degraded, e.seawall.offered),
          e.seawall.offered > 0 && e.seawall.availability() >= availability_required};
}

criterion lead(const evidence& e) {
  const double points = e.seawall.availability() - e.bare.availability();
  return {"bare calls do clearly worse in the same timeline",
          fmt::format(">= {:.0f} points", percent(lead_required)),
          fmt::format("{:.1f} points (bare {:.2f}%)", percent(points), percent(e.bare.availability())),
          e.bare.offered > 0 && points >= lead_required};
}

criterion left_alone(const isolation& i) {
  criterion c{fmt::format("{}: attempts while its breaker is open", i.act),
              fmt::format("> {:.0f}% fewer than in the first act", percent(reduction_required)), "", false};
  if (!i.breaker_opened) {
    c.measured = "the breaker did not open";
    return c;
  }
  c.measured = fmt::format("{:.1f}% fewer ({:.1f}/s after {:.1f}/s; {} in {:.1f} s)", percent(i.reduction()),
                           i.open_per_s(), i.healthy_per_s, i.attempts,
                           std::chrono::duration<double>(i.open.length()).count());
  c.met = i.open.length() > i.open.length().zero() && i.reduction() > reduction_required;
  return c;
}

criterion bounded(const evidence& e) {
  const auto limit = checkout_deadline + latency_tolerance;
  const std::chrono::duration<double, std::milli> p99 = e.seawall.p99_of_all;
  return {"p99 of all checkouts is bounded by the deadline",
          fmt::format("<= {} + {} ms", checkout_deadline.count(), latency_tolerance.count()),
          fmt::format("{:.0f} ms", p99.count()), e.seawall.offered > 0 && p99 <= limit};
}

criterion overloaded_enough(const overload& bare, const overload& seawall) {
  return {fmt::format("{}: really sent, to both", seawall.act),
          fmt::format(">= {:.1f} times what can be rendered", load_required),
          fmt::format("{:.2f} times (bare {:.2f})", seawall.offered, bare.offered),
          bare.offered >= load_required && seawall.offered >= load_required};
}

criterion stays_available(const std::string& act, const figures& f) {
  return {fmt::format("{}: checkout stays available", act),
          fmt::format(">= {:.0f}%", percent(availability_required)),
          fmt::format("{:.2f}% ({} of {})", percent(f.availability()), f.full + f.degraded, f.offered),
          f.offered > 0 && f.availability() >= availability_required};
}

criterion lead_in(std::string what, const figures& bare, const figures& seawall) {
  const double points = seawall.availability() - bare.availability();
  return {std::move(what), fmt::format(">= {:.0f} points", percent(act_lead_required)),
          fmt::format("{:.1f} points (bare {:.2f}%)", percent(points), percent(bare.availability())),
          bare.offered > 0 && points >= act_lead_required};
}

criterion goodput(const overload& bare, const overload& seawall) {
  return {fmt::format("{}: rendering that reaches somebody who still waits", seawall.act),
          fmt::format(">= {:.0f}% of what can be rendered", percent(goodput_required)),
          fmt::format("{:.1f}% (bare {:.1f}%)", percent(seawall.served), percent(bare.served)),
          seawall.served >= goodput_required};
}

// Somebody has to be turned away. Whoever waits in vain counts as well, so that silence is no way to be
// quick.
criterion refused_quickly(const overload& seawall) {
  const figures& f = seawall.browsing;
  const std::chrono::duration<double, std::milli> p99 = f.p99_of_failed;
  return {fmt::format("{}: p99 until those who get no product page know", seawall.act),
          fmt::format("<= {} ms", refusal_bound.count()),
          fmt::format("{:.0f} ms ({} of {} refused, {} without an answer)", p99.count(), f.refused, f.offered,
                      f.unanswered),
          f.refused > 0 && p99 <= refusal_bound};
}

void judge_overload(const evidence& e, std::vector<criterion>& criteria) {
  if (!e.bare_overload || !e.overloaded) {
    return criteria.push_back({"the storefront is overloaded", "once", "never", false});
  }
  criteria.push_back(overloaded_enough(*e.bare_overload, *e.overloaded));
  criteria.push_back(stays_available(e.overloaded->act, e.overloaded->checkout));
  criteria.push_back(
      lead_in(fmt::format("{}: without a limit, checkout does clearly worse", e.overloaded->act),
              e.bare_overload->checkout, e.overloaded->checkout));
  criteria.push_back(goodput(*e.bare_overload, *e.overloaded));
  criteria.push_back(refused_quickly(*e.overloaded));
}

// Chaos that does nothing proves nothing, and chaos that cannot be switched off is none.
criterion really_injected(const inner_chaos& bare, const inner_chaos& seawall) {
  const chaos_stats& c = seawall.injected;
  const std::uint64_t outside = bare.outside + seawall.outside;
  return {fmt::format("{}: faults injected into both, and none in other acts", seawall.act), "> 0, and 0",
          fmt::format("{} ({} failures, {} delays, {} hangs, {} wrong answers; bare {}), and {}", c.faults(),
                      c.failures, c.delays, c.hangs, c.wrong_answers, bare.injected.faults(), outside),
          c.faults() > 0 && bare.injected.faults() > 0 && outside == 0};
}

void judge_chaos(const evidence& e, std::vector<criterion>& criteria) {
  if (!e.bare_chaos || !e.chaos)
    return criteria.push_back({"there is chaos inside the storefront", "once", "never", false});
  criteria.push_back(really_injected(*e.bare_chaos, *e.chaos));
  criteria.push_back(stays_available(e.chaos->act, e.chaos->checkout));
  criteria.push_back(lead_in(fmt::format("{}: bare calls do clearly worse", e.chaos->act),
                             e.bare_chaos->checkout, e.chaos->checkout));
}

criterion from_stale_cache(const stand_ins& s) {
  const std::uint64_t missing = s.shown.stale + s.shown.none;
  const double share = missing > 0 ? static_cast<double>(s.shown.stale) / static_cast<double>(missing) : 0;
  return {
      fmt::format("{}: old recommendations for want of new ones", s.act),
      fmt::format(">= {:.0f}%", percent(stale_required)),
      fmt::format("{:.1f}% ({} from the cache, {} bestsellers)", percent(share), s.shown.stale, s.shown.none),
      missing > 0 && share >= stale_required};
}

// In the whole run, so that nobody is counted who came in one act and was answered in the next. More customers than
// such recommendations: new ones were called old.
criterion customers_told(const stand_ins& s) {
  const std::uint64_t old = s.shown_in_all.stale + s.shown_in_all.none;
  const double share = old > 0 ? static_cast<double>(s.told_in_all) / static_cast<double>(old) : 0;
  return {"customers are told which recommendations are not new",
          fmt::format("{:.0f} to 100%", percent(told_required)),
          fmt::format("{:.1f}% ({} customers, {} recommendations)", percent(share), s.told_in_all, old),
          share >= told_required && share <= 1};
}

void judge_recommendations(const evidence& e, std::vector<criterion>& criteria) {
  if (!e.recommendations)
    return criteria.push_back({"recommendations are in trouble", "once", "never", false});
  criteria.push_back(from_stale_cache(*e.recommendations));
  criteria.push_back(customers_told(*e.recommendations));
}

// The charges of the whole run: an order that was turned away is not to be charged later either.
criterion nothing_charged(const read_only_mode& m, const payment_audit& books) {
  return {fmt::format("{}: orders charged all the same", m.act), "0",
          fmt::format("{} ({} checkouts came)", m.charged, m.came),
          m.came > 0 && books.charges > 0 && m.charged == 0};
}

criterion all_turned_away(const read_only_mode& m) {
  const std::chrono::duration<double, std::milli> p99 = m.p99;
  return {fmt::format("{}: checkouts are turned away, and told when to come back", m.act),
          fmt::format("all, p99 <= {} ms", refusal_bound.count()),
          fmt::format("{} of {}, p99 {:.0f} ms", m.turned_away, m.came, p99.count()),
          m.came > 0 && m.turned_away == m.came && m.p99 <= refusal_bound};
}

criterion browsing_goes_on(const read_only_mode& m) {
  const figures& f = m.browsing;
  return {fmt::format("{}: browsing goes on", m.act),
          fmt::format(">= {:.0f}%", percent(availability_required)),
          fmt::format("{:.2f}% ({} of {} product pages)", percent(f.availability()), f.full + f.degraded,
                      f.offered + f.turned_away),
          f.offered > 0 && f.turned_away == 0 && f.availability() >= availability_required};
}

// What is left out of the availability of checkouts must not be left out when nobody has said so.
criterion only_then(const read_only_mode& m) {
  return {fmt::format("{}: checkouts turned away before and after it", m.act), "0",
          fmt::format("{}", m.outside), m.turned_away > 0 && m.outside == 0};
}

void judge_read_only(const evidence& e, std::vector<criterion>& criteria) {
  if (!e.read_only) return criteria.push_back({"the storefront is made read-only", "once", "never", false});
  criteria.push_back(all_turned_away(*e.read_only));
  criteria.push_back(nothing_charged(*e.read_only, e.books));
  criteria.push_back(browsing_goes_on(*e.read_only));
  criteria.push_back(only_then(*e.read_only));
  criteria.push_back(stays_available(e.read_only->next, e.read_only->after));
}

criterion nothing_twice(const evidence& e) {
  return {"no order is charged twice", "0",
          fmt::format("{} ({} repeats recognised)", e.books.double_charges, e.books.repeats_recognised),
          e.books.charges > 0 && e.books.double_charges == 0};
}

criterion nothing_lost(const evidence& e) {
  return {"no accepted order is left unpaid", "0", fmt::format("{}", e.orders.never_charged),
          e.books.charges > 0 && e.orders.never_charged == 0};
}

}  // namespace

evidence evidence_of(const run_record& bare, const run_record& seawall) {
  return {.bare = figures_within(bare, bare.whole()),
          .seawall = figures_within(seawall, seawall.whole()),
          .dead = isolations(seawall),
          .books = seawall.audit,
          .orders = reconcile(seawall),
          .bare_overload = overload_of(bare),
          .overloaded = overload_of(seawall),
          .bare_chaos = inner_chaos_of(bare),
          .chaos = inner_chaos_of(seawall),
          .recommendations = stand_ins_of(seawall),
          .read_only = read_only_mode_of(seawall)};
}

std::vector<criterion> judge(const evidence& e) {
  std::vector<criterion> criteria{availability(e), lead(e)};
  for (const isolation& i : e.dead) criteria.push_back(left_alone(i));
  if (e.dead.empty()) criteria.push_back({"a dependency dies", "at least once", "never", false});
  judge_recommendations(e, criteria);
  judge_read_only(e, criteria);
  judge_overload(e, criteria);
  judge_chaos(e, criteria);
  criteria.push_back(bounded(e));
  criteria.push_back(nothing_twice(e));
  criteria.push_back(nothing_lost(e));
  return criteria;
}

bool all_met(const std::vector<criterion>& criteria) {
  return std::all_of(criteria.begin(), criteria.end(), [](const criterion& c) { return c.met; });
}

}  // namespace drill
