// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "node_process.hpp"
#include <fmt/format.h>

namespace drill::election {

std::string to_line(const node_status& s) {
  return fmt::format("{} {} {} {} {}", s.part, s.leader, s.term, s.committed, s.applied);
}

std::optional<node_status> status_from(std::string_view line) {
  std::istringstream in{std::string(line)};
  node_status s;
  if (!(in >> s.part >> s.leader >> s.term >> s.committed >> s.applied)) return std::nullopt;
  return s;
}

std::string to_line(const load_figures& f) {
  const summary& l = f.latency;
  return fmt::format("{} {:.3f} {} {} {} {} {} {}", f.in_flight, f.per_second, f.failed, l.count,
                     l.median.ns(), l.p95.ns(), l.p99.ns(), l.max.ns());
}

std::optional<load_figures> load_from(std::string_view line) {
  std::istringstream in{std::string(line)};
  load_figures f;
  std::int64_t median = 0, p95 = 0, p99 = 0, max = 0;
  if (!(in >> f.in_flight >> f.per_second >> f.failed >> f.latency.count >> median >> p95 >> p99 >> max))
    return std::nullopt;
  using seawall::duration;
  f.latency.median = duration::from_ns(median);
  f.latency.p95 = duration::from_ns(p95);
  f.latency.p99 = duration::from_ns(p99);
  f.latency.max = duration::from_ns(max);
  return f;
}

}  // namespace drill::election
