// SPDX-License-Identifier: Apache-2.0
#include "report_text.hpp"

#include <algorithm>
#include <array>

#include "rendering.hpp"
#include <fmt/format.h>

namespace drill {
namespace {

using std::chrono::microseconds;

std::string share_text(const figures& f, double share) {
  return f.offered == 0 ? "-" : fmt::format("{:.1f}%", 100 * share);
}

std::string columns(const figures& f, std::string sick) {
  return fmt::format("{:>7} {:>6} {:>7} {:>7} {:>7} {:>6}", share_text(f, f.availability()),
                     share_text(f, f.degraded_share()), latency_text(f, f.p50), latency_text(f, f.p99),
                     latency_text(f, f.max), sick);
}

std::string time_text(microseconds value) {
  const double ms = std::chrono::duration<double, std::milli>(value).count();
  return ms < 1000 ? fmt::format("{:.0f}ms", ms) : fmt::format("{:.2f}s", ms / 1000);
}

std::string per_second(const figures& f) {
  const double length = std::chrono::duration<double>(f.when.length()).count();
  return fmt::format("{:.0f}", length > 0 ? static_cast<double>(f.offered) / length : 0);
}

std::string sick_rate(const act& a, const figures& f) {
  return !has_victim(a.what) ? "" : fmt::format("{:.1f}", f.attempts_per_s[a.victim]);
}

std::string heading() {
  const std::string names =
      fmt::format("{:>7} {:>6} {:>7} {:>7} {:>7} {:>6}", "ok", "degr.", "p50", "p99", "max", "sick/s");
  return fmt::format("{:<22} {:>5} | {:^45} | {:^45}\n{:<22} {:>5} | {} | {}\n{:-<29}+{:-<47}+{:-<46}\n", "",
                     "", "bare", "seawall", "act", "s", names, names, "", "", "");
}

std::string line(std::string_view title, const figures& bare, const figures& seawall,
                 const std::string& bare_sick, const std::string& seawall_sick) {
  return fmt::format("{:<22} {:>5.1f} | {} | {}\n", title,
                     std::chrono::duration<double>(seawall.when.length()).count(), columns(bare, bare_sick),
                     columns(seawall, seawall_sick));
}

std::string part(std::uint64_t count, const figures& f) {
  return share_text(f, f.offered == 0 ? 0 : static_cast<double>(count) / static_cast<double>(f.offered));
}

struct overload_row {
  std::string_view what;
  std::string (*value)(const overload&);
};

constexpr std::array overload_rows{
    overload_row{"asked for, of what can be rendered",
                 [](const overload& o) { return fmt::format("{:.1f}x", o.offered); }},
    overload_row{"rendered", [](const overload& o) { return fmt::format("{:.1f}%", 100 * o.rendered); }},
    overload_row{"  and reached who still waited",
                 [](const overload& o) { return fmt::format("{:.1f}%", 100 * o.served); }},
    overload_row{"checkouts answered",
                 [](const overload& o) { return share_text(o.checkout, o.checkout.availability()); }},
    overload_row{"product pages answered",
                 [](const overload& o) { return share_text(o.browsing, o.browsing.availability()); }},
    overload_row{"  refused, told when to come back",
                 [](const overload& o) { return part(o.browsing.refused, o.browsing); }},
    overload_row{"  waited in vain",
                 [](const overload& o) { return part(o.browsing.unanswered, o.browsing); }},
    overload_row{"  p99 until who gets none knows",
                 [](const overload& o) { return time_text(o.browsing.p99_of_failed); }},
};

std::string overload_table(const run_record& bare, const run_record& seawall) {
  const auto b = overload_of(bare);
  const auto s = overload_of(seawall);
  if (!b || !s) return {};
  std::string text = fmt::format("{:<36} {:>8} {:>8}\n", s->act, "bare", "seawall");
  for (const overload_row& row : overload_rows) {
    text += fmt::format("  {:<34} {:>8} {:>8}\n", row.what, row.value(*b), row.value(*s));
  }
  return text +
         fmt::format(
             "{} checkouts and {} product pages came in a second. {} workers render both, {} ms for the one "
             "and {} ms\nfor the other. Who asks for a product page leaves after {} s.\n\n",
             per_second(s->checkout), per_second(s->browsing), render_workers, checkout_page_takes.count(),
             product_page_takes.count(), std::chrono::duration<double>(browser_patience).count());
}

struct chaos_row {
  std::string_view what;
  std::string (*value)(const inner_chaos&);
};

constexpr std::array chaos_rows{
    chaos_row{"calls of inventory, recommendations",
              [](const inner_chaos& c) { return fmt::format("{}", c.injected.calls); }},
    chaos_row{"  failed on purpose",
              [](const inner_chaos& c) { return fmt::format("{}", c.injected.failures); }},
    chaos_row{"  held up", [](const inner_chaos& c) { return fmt::format("{}", c.injected.delays); }},
    chaos_row{"  hung until they were given up",
              [](const inner_chaos& c) { return fmt::format("{}", c.injected.hangs); }},
    chaos_row{"  answered wrongly",
              [](const inner_chaos& c) { return fmt::format("{}", c.injected.wrong_answers); }},
    chaos_row{"checkouts answered",
              [](const inner_chaos& c) { return share_text(c.checkout, c.checkout.availability()); }},
    chaos_row{"  degraded",
              [](const inner_chaos& c) { return share_text(c.checkout, c.checkout.degraded_share()); }},
};

std::string chaos_table(const run_record& bare, const run_record& seawall) {
  const auto b = inner_chaos_of(bare);
  const auto s = inner_chaos_of(seawall);
  if (!b || !s) return {};
  std::string text = fmt::format("{:<37} {:>7} {:>8}\n", s->act, "bare", "seawall");
  for (const chaos_row& row : chaos_rows) {
    text += fmt::format("  {:<35} {:>7} {:>8}\n", row.what, row.value(*b), row.value(*s));
  }
  return text +
         "The same chaos in both storefronts, innermost in seawall's pipelines, in front of the bare calls. With\n"
         "seawall, retries are calls too. A wrong answer looks right: it counts as an answer in both.\n\n";
}

struct read_only_row {
  std::string_view what;
  std::string (*value)(const read_only_mode&);
};

constexpr std::array read_only_rows{
    read_only_row{"checkouts that came in the midst of it",
                  [](const read_only_mode& m) { return fmt::format("{}", m.came); }},
    read_only_row{"  turned away, told when to come back",
                  [](const read_only_mode& m) { return fmt::format("{}", m.turned_away); }},
    read_only_row{"  charged", [](const read_only_mode& m) { return fmt::format("{}", m.charged); }},
    read_only_row{"  p99 until they knew", [](const read_only_mode& m) { return time_text(m.p99); }},
    read_only_row{"product pages answered",
                  [](const read_only_mode& m) { return share_text(m.browsing, m.browsing.availability()); }},
    read_only_row{"checkouts answered in the next act",
                  [](const read_only_mode& m) { return share_text(m.after, m.after.availability()); }},
};

std::string levels(const run_record& r) {
  std::string text;
  for (const band<level_view>& b : level_bands(r)) {
    text += fmt::format("{}{} until {}", text.empty() ? "" : ", ", name_of(b.state), time_text(b.when.end));
  }
  return text;
}

std::string read_only_table(const run_record& bare, const run_record& seawall) {
  const auto b = read_only_mode_of(bare);
  const auto s = read_only_mode_of(seawall);
  if (!b || !s) return {};
  std::string text = fmt::format("{:<40} {:>7} {:>8}\n", s->act, "bare", "seawall");
  for (const read_only_row& row : read_only_rows) {
    text += fmt::format("  {:<38} {:>7} {:>8}\n", row.what, row.value(*b), row.value(*s));
  }
  return text +
         fmt::format(
             "The bare storefront has no such mode: to it the act is a calm one. With seawall, whoever is "
             "turned away on\npurpose counts here alone. Level of service: {}.\n\n",
             levels(seawall));
}

std::string recommendations(const run_record& r) {
  const auto s = stand_ins_of(r);
  if (!s) return {};
  const recommendation_stats& all = s->shown_in_all;
  return fmt::format(
      "{:<8} {}: {} recommendations from the stale cache, {} bestsellers\n"
      "{:<8} in all acts {} recommendations from the cache while they were fresh, {} stale, {} bestsellers; {} "
      "customers were told\n",
      name_of(r.kind), s->act, s->shown.stale, s->shown.none, name_of(r.kind), all.fresh, all.stale, all.none,
      s->told_in_all);
}

std::string orders(const run_record& r) {
  const reconciliation found = reconcile(r);
  return fmt::format(
      "{:<8} {} charges, {} repeats recognised, {} double charges; {} customers charged without an "
      "order, {} accepted orders never charged\n",
      name_of(r.kind), r.audit.charges, r.audit.repeats_recognised, r.audit.double_charges,
      found.charged_without_order, found.never_charged);
}

std::string queue(const run_record& r) {
  if (r.shop.empty()) return {};
  const shop_stats& last = r.shop.back().stats;
  return fmt::format(
      "{:<8} {} payments queued for later, {} captured since, {} still queued, {} refused (queue full); "
      "empty {:.1f} s after the last customer\n",
      name_of(r.kind), last.payments_queued, last.payments_captured, last.payments_in_queue,
      last.payments_refused, std::chrono::duration<double>(r.drained_after).count());
}

}  // namespace

std::string latency_text(const figures& f, microseconds value) {
  return f.has_latency() ? time_text(value) : "-";
}

std::string summary(const run_record& bare, const run_record& seawall) {
  const auto bare_acts = figures_by_act(bare);
  const auto seawall_acts = figures_by_act(seawall);
  std::string text = heading();
  for (std::size_t i = 0; i < std::min(bare_acts.size(), seawall_acts.size()); ++i) {
    const act& a = seawall.acts[i].what;
    text += line(a.title, bare_acts[i], seawall_acts[i], sick_rate(a, bare_acts[i]),
                 sick_rate(a, seawall_acts[i]));
  }
  text +=
      line("in all", figures_within(bare, bare.whole()), figures_within(seawall, seawall.whole()), "", "");
  text += fmt::format(
      "\nok: answered within the {} s that a customer waits, degraded answers included, of all who came in the"
      "\nact. degr.: answered without one or more dependencies. Latencies of those who were answered or gave up"
      "\n(error pages are not answers), from the moment at which the request was to be sent. sick/s: attempts per"
      "\nsecond that the storefront sent to the dependency in trouble.\n\n",
      std::chrono::duration<double>(customer_patience).count());
  return text + overload_table(bare, seawall) + chaos_table(bare, seawall) + read_only_table(bare, seawall) +
         orders(bare) + orders(seawall) + queue(seawall) + recommendations(seawall);
}

std::string verdicts(const std::vector<criterion>& criteria) {
  std::string text;
  for (const criterion& c : criteria) {
    text += fmt::format("{}  {}: {}, required {}\n", c.met ? "PASS" : "FAIL", c.what, c.measured, c.required);
  }
  return text;
}

}  // namespace drill
