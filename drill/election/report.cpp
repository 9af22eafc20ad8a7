// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <string_view>
#include <thread>

#include "drill/json_writer.hpp"
#include "settings.hpp"
#include <fmt/format.h>

namespace drill::election {
namespace {

using seawall::duration;

double ms(duration d) { return static_cast<double>(d.ns()) * 1e-6; }

std::vector<duration> both(const failover_record& r, std::vector<duration> failovers::*what) {
  std::vector<duration> all = r.killed.*what;
  all.insert(all.end(), (r.paused.*what).begin(), (r.paused.*what).end());
  return all;
}

std::string columns(const summary& s) {
  if (s.count == 0) return fmt::format("{:>5} {:>7} {:>7} {:>7}", "-", "", "", "");
  return fmt::format("{:>5} {:>7.0f} {:>7.0f} {:>7.0f}", s.count, ms(s.median), ms(s.p95), ms(s.max));
}

std::string failover_line(std::string_view title, const std::vector<duration>& seawall,
                          const std::vector<duration>& etcd) {
  return fmt::format("  {:<28} |{} |{}\n", title, columns(summarise(seawall)), columns(summarise(etcd)));
}

std::string failover_table(const outcome& o) {
  const auto& s = o.faults.seawall;
  const auto& e = o.faults.etcd;
  const std::string etcd = o.etcd_version.empty() ? "no etcd" : "etcd " + o.etcd_version;
  std::string text = fmt::format("{:<30} |{:^30}|{:^30}\n", "time without a leader, in ms", "seawall", etcd);
  text += fmt::format("{:<30} |{:>5} {:>7} {:>7} {:>7} |{:>5} {:>7} {:>7} {:>7}\n{:-<31}+{:-<30}+{:-<30}\n",
                      "", "n", "median", "p95", "max", "n", "median", "p95", "max", "", "", "");
  text += "leader killed\n";
  text += failover_line("until a valid grant", s.killed.until_grant, {});
  text += failover_line("until a write has committed", s.killed.until_write, e.killed.until_write);
  text += "leader paused\n";
  text += failover_line("until a valid grant", s.paused.until_grant, {});
  text += failover_line("until a write has committed", s.paused.until_write, e.paused.until_write);
  text += "both\n";
  text += failover_line("until a valid grant", both(s, &failovers::until_grant), {});
  text += failover_line("until a write has committed", both(s, &failovers::until_write),
                        both(e, &failovers::until_write));
  return text;
}

std::string load_columns(const load_figures* f) {
  if (f == nullptr) return fmt::format("{:>9} {:>8} {:>8}", "-", "", "");
  return fmt::format("{:>9.0f} {:>8.2f} {:>8.2f}", f->per_second, ms(f->latency.median), ms(f->latency.p99));
}

std::string load_table(const load_result& l) {
  if (l.seawall.empty()) return {};
  std::string text = fmt::format("\n{:<30} |{:>9} {:>8} {:>8}   |{:>9} {:>8} {:>8}\n",
                                 fmt::format("writes of {} bytes, synced", value_bytes), "per s", "p50 ms",
                                 "p99 ms", "per s", "p50 ms", "p99 ms");
  text += fmt::format("{:-<31}+{:-<30}+{:-<30}\n", "", "", "");
  for (std::size_t i = 0; i < l.seawall.size(); ++i) {
    text += fmt::format("  {:<28} |{}   |{}\n", fmt::format("{} in flight", l.seawall[i].in_flight),
                        load_columns(&l.seawall[i]), load_columns(i < l.etcd.size() ? &l.etcd[i] : nullptr));
  }
  return text;
}

std::string lease_lines(const outcome& o) {
  std::string text =
      fmt::format("\n{} leases in {} records of the observer; ", o.leases.leases.size(), o.records);
  text += o.leases.least_gap ? fmt::format("between the end of one and the next: {:.1f} ms at least\n",
                                           ms(*o.leases.least_gap))
                             : std::string("one holder\n");
  for (const auto* list : {&o.leases.overlaps, &o.leases.wrong_tokens}) {
    for (const std::string& line : *list) text += "  " + line + "\n";
  }
  if (const auto missed = o.faults.seawall.missed; missed > 0)
    text += fmt::format("{} times the leader had changed by itself before it was hit, which was repeated\n",
                        missed);
  return text;
}

duration median_of(const failover_record& r) { return summarise(both(r, &failovers::until_write)).median; }

}  // namespace

std::vector<criterion> criteria(const outcome& o) {
  std::vector<criterion> all{
      {fmt::format("no two leases overlap: {} do", o.leases.overlaps.size()), o.leases.overlaps.empty()},
      {"tokens rise with each lease", o.leases.wrong_tokens.empty()},
  };
  if (o.asked.quick || o.etcd_version.empty()) return all;
  const duration seawall = median_of(o.faults.seawall), etcd = median_of(o.faults.etcd);
  all.push_back(
      {fmt::format("median until a write: {:.0f} ms, at or below etcd's {:.0f} ms", ms(seawall), ms(etcd)),
       seawall <= etcd});
  return all;
}

std::string text_report(const outcome& o) {
  std::string text =
      fmt::format("election drill: {} processes, heartbeat {} ms, election time-out {} ms; {} processors\n\n",
                  nodes, heartbeat.count(), election_timeout.count(), std::thread::hardware_concurrency());
  text += failover_table(o) + load_table(o.loads) + lease_lines(o) + "\n";
  for (const criterion& c : criteria(o))
    text += fmt::format("{} {}\n", c.met ? "[met]    " : "[NOT MET]", c.text);
  return text;
}

namespace {

void write(json_writer& w, std::string_view name, const std::vector<duration>& measured) {
  w.key(name).array_of(measured, [&](duration d) { w.value(ms(d)); });
}
void write(json_writer& w, std::string_view name, const failover_record& r) {
  w.key(name).object([&] {
    write(w, "killed_until_grant_ms", r.killed.until_grant);
    write(w, "killed_until_write_ms", r.killed.until_write);
    write(w, "paused_until_grant_ms", r.paused.until_grant);
    write(w, "paused_until_write_ms", r.paused.until_write);
    w.member("missed", r.missed);
  });
}
void write(json_writer& w, std::string_view name, const std::vector<load_figures>& loads) {
  w.key(name).array_of(loads, [&](const load_figures& f) {
    w.object([&] {
      w.member("in_flight", f.in_flight);
      w.member("per_second", f.per_second);
      w.member("p50_ms", ms(f.latency.median));
      w.member("p99_ms", ms(f.latency.p99));
      w.member("max_ms", ms(f.latency.max));
      w.member("failed", f.failed);
    });
  });
}

}  // namespace

std::string json_report(const outcome& o) {
  json_writer w;
  w.object([&] {
    w.member("heartbeat_ms", heartbeat.count());
    w.member("election_timeout_ms", election_timeout.count());
    w.member("etcd", o.etcd_version);
    write(w, "seawall_failover", o.faults.seawall);
    write(w, "etcd_failover", o.faults.etcd);
    write(w, "seawall_load", o.loads.seawall);
    write(w, "etcd_load", o.loads.etcd);
    w.member("leases", o.leases.leases.size());
    w.member("overlaps", o.leases.overlaps.size());
    w.member("wrong_tokens", o.leases.wrong_tokens.size());
    w.key("criteria").array_of(criteria(o), [&](const criterion& c) {
      w.object([&] {
        w.member("text", c.text);
        w.member("met", c.met);
      });
    });
  });
  return w.text() + "\n";
}

std::string json_lines(const std::vector<record>& log) {
  constexpr std::string_view kinds[] = {"valid", "ended", "wrote"};
  std::string text;
  for (const record& r : log) {
    text += fmt::format(R"({{"node": {}, "what": "{}", "token": {}, "at_ns": {})", r.from + 1,
                        kinds[static_cast<std::size_t>(r.what)], r.token, r.at.ns());
    text += r.what == record::kind::valid ? fmt::format(R"(, "until_ns": {}}})", r.until.ns()) : "}";
    text += "\n";
  }
  return text;
}

}  // namespace drill::election
