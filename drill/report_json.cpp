// SPDX-License-Identifier: Apache-2.0
#include "report_json.hpp"

#include <chrono>

#include "analysis.hpp"
#include "checkout.hpp"
#include "json_writer.hpp"
#include "rendering.hpp"

namespace drill {
namespace {

using std::chrono::microseconds;

double seconds(microseconds d) { return std::chrono::duration<double>(d).count(); }
double milliseconds(microseconds d) { return std::chrono::duration<double, std::milli>(d).count(); }

void write(json_writer& w, time_span when) {
  w.member("begin_s", seconds(when.begin));
  w.member("end_s", seconds(when.end));
}

void write(json_writer& w, const figures& f) {
  w.object([&] {
    write(w, f.when);
    w.member("turned_away", f.turned_away);
    w.member("offered", f.offered);
    w.member("full", f.full);
    w.member("degraded", f.degraded);
    w.member("errors", f.errors);
    w.member("refused", f.refused);
    w.member("unanswered", f.unanswered);
    w.member("has_latency", f.has_latency());
    w.member("p50_ms", milliseconds(f.p50));
    w.member("p99_ms", milliseconds(f.p99));
    w.member("max_ms", milliseconds(f.max));
    w.member("p99_of_failed_ms", milliseconds(f.p99_of_failed));
    w.key("attempts_per_s").object([&] {
      for (const dependency d : all_dependencies) w.member(name_of(d), f.attempts_per_s[d]);
    });
    w.key("degraded_by").object([&] {
      for (const dependency d : all_dependencies) w.member(name_of(d), f.degraded_by[d]);
    });
  });
}

void write_acts(json_writer& w, const run_record& r) {
  w.array_of(r.acts, [&](const played_act& a) {
    w.object([&] {
      w.member("title", a.what.title);
      w.member("trouble", a.what.what != trouble::none);
      w.member("victim", has_victim(a.what.what) ? name_of(a.what.victim) : "");
      w.key("figures");
      write(w, figures_within(r, a.when));
    });
  });
}

template <class State>
void write(json_writer& w, const band<State>& b) {
  w.object([&] {
    w.member("state", name_of(b.state));
    write(w, b.when);
  });
}

void write_breakers(json_writer& w, const run_record& r) {
  w.object([&] {
    for (const dependency d : all_dependencies) {
      w.key(name_of(d)).array_of(breaker_bands(r, d), [&](const auto& b) { write(w, b); });
    }
  });
}

void write(json_writer& w, const overload& o) {
  w.object([&] {
    w.member("act", o.act);
    w.member("offered_share", o.offered);
    w.member("rendered_share", o.rendered);
    w.member("served_share", o.served);
    w.key("checkout");
    write(w, o.checkout);
    w.key("browsing");
    write(w, o.browsing);
  });
}

void write(json_writer& w, const inner_chaos& c) {
  w.object([&] {
    w.member("act", c.act);
    w.member("calls", c.injected.calls);
    w.member("failures", c.injected.failures);
    w.member("delays", c.injected.delays);
    w.member("hangs", c.injected.hangs);
    w.member("wrong_answers", c.injected.wrong_answers);
    w.member("outside", c.outside);
    w.key("checkout");
    write(w, c.checkout);
  });
}

void write(json_writer& w, const stand_ins& s) {
  w.object([&] {
    w.member("act", s.act);
    w.member("fresh", s.shown.fresh);
    w.member("stale", s.shown.stale);
    w.member("none", s.shown.none);
    w.member("fresh_in_all", s.shown_in_all.fresh);
    w.member("stale_in_all", s.shown_in_all.stale);
    w.member("none_in_all", s.shown_in_all.none);
    w.member("told_in_all", s.told_in_all);
  });
}

void write(json_writer& w, const read_only_mode& m) {
  w.object([&] {
    w.member("act", m.act);
    w.member("came", m.came);
    w.member("turned_away", m.turned_away);
    w.member("charged", m.charged);
    w.member("p99_ms", milliseconds(m.p99));
    w.member("outside", m.outside);
    w.key("checkout");
    write(w, m.checkout);
    w.key("browsing");
    write(w, m.browsing);
    w.member("next", m.next);
    w.key("after");
    write(w, m.after);
  });
}

void write_books(json_writer& w, const run_record& r) {
  const reconciliation found = reconcile(r);
  w.object([&] {
    w.member("charges", r.audit.charges);
    w.member("repeats_recognised", r.audit.repeats_recognised);
    w.member("double_charges", r.audit.double_charges);
    w.member("charged_without_order", found.charged_without_order);
    w.member("never_charged", found.never_charged);
    if (r.shop.empty()) return;
    w.member("queued", r.shop.back().stats.payments_queued);
    w.member("captured_later", r.shop.back().stats.payments_captured);
  });
}

void write(json_writer& w, const run_record& r, microseconds step) {
  w.object([&] {
    w.member("name", name_of(r.kind));
    w.key("total");
    write(w, figures_within(r, r.whole()));
    w.key("acts");
    write_acts(w, r);
    w.key("series").array_of(figures_over_time(r, step), [&](const figures& f) { write(w, f); });
    w.key("breakers");
    write_breakers(w, r);
    w.key("levels").array_of(level_bands(r), [&](const auto& b) { write(w, b); });
    if (const auto o = overload_of(r)) {
      w.key("overload");
      write(w, *o);
    }
    if (const auto c = inner_chaos_of(r)) {
      w.key("chaos");
      write(w, *c);
    }
    if (const auto s = stand_ins_of(r)) {
      w.key("recommendations");
      write(w, *s);
    }
    if (const auto m = read_only_mode_of(r)) {
      w.key("read_only");
      write(w, *m);
    }
    w.key("payments");
    write_books(w, r);
  });
}

}  // namespace

std::string json_report(const options& o, const run_record& bare, const run_record& seawall,
                        const std::vector<criterion>& criteria) {
  const microseconds step(o.pace == pace::quick ? 250'000 : 1'000'000);
  json_writer w;
  w.object([&] {
    w.member("rate_per_s", o.rate_per_s);
    w.member("seed", o.seed);
    w.member("patience_ms", customer_patience.count());
    w.member("deadline_ms", checkout_deadline.count());
    w.member("browser_patience_ms", browser_patience.count());
    w.member("render_workers", render_workers);
    w.member("checkout_page_ms", checkout_page_takes.count());
    w.member("product_page_ms", product_page_takes.count());
    w.member("step_s", seconds(step));
    w.key("criteria").array_of(criteria, [&](const criterion& c) {
      w.object([&] {
        w.member("what", c.what);
        w.member("required", c.required);
        w.member("measured", c.measured);
        w.member("met", c.met);
      });
    });
    w.key("bare");
    write(w, bare, step);
    w.key("seawall");
    write(w, seawall, step);
  });
  return w.text();
}

}  // namespace drill
