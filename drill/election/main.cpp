// SPDX-License-Identifier: Apache-2.0

// The election drill: real processes with seawall's Raft, real faults, etcd at the same settings beside them. This
// program is the driver and observer and, in processes that the driver starts, each of the candidates.

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "drill/child_process.hpp"
#include "etcd/etcd_server.hpp"
#include "etcd_side.hpp"
#include "faults.hpp"
#include "judge.hpp"
#include "node_process.hpp"
#include "observer.hpp"
#include "options.hpp"
#include "raft_side.hpp"
#include "report.hpp"
#include <fmt/format.h>

namespace drill::election {
namespace {

void save(const std::string& file, const std::string& text) {
  if (file.empty()) return;
  std::ofstream out(file);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

/// The log is judged, and kept, whatever has become of the run.
outcome run(const options& o) {
  const etcd_test::temporary_folder folder;
  outcome result{.asked = o};
  observer watching(folder.path() + "/observer");
  const auto close = [&] {
    const std::vector<record> log = watching.log();
    result.leases = judge(log);
    result.records = log.size();
    save(o.log_file, json_lines(log));
  };
  try {
    raft_side raft(folder.path(), watching);
    const auto etcd = o.with_etcd ? etcd_side::start() : nullptr;
    result.faults = run_faults(o, raft, watching, etcd.get());
    result.loads = run_loads(o, raft, etcd.get());
    if (etcd) result.etcd_version = etcd->version();
  } catch (...) {
    close();
    fmt::print("{}", text_report(result));
    throw;
  }
  close();
  return result;
}

int drive(const std::vector<std::string_view>& arguments) {
  const auto parsed = parse_options(arguments);
  if (std::holds_alternative<help_wanted>(parsed)) {
    fmt::print("{}", usage());
    return 0;
  }
  if (const auto* error = std::get_if<usage_error>(&parsed)) {
    fmt::print(stderr, "seawall_election_drill: {}\n\n{}", error->message, usage());
    return 2;
  }
  const outcome o = run(std::get<options>(parsed));
  fmt::print("{}", text_report(o));
  save(o.asked.json_file, json_report(o));
  bool met = true;
  for (const criterion& c : criteria(o)) met = met && c.met;
  return met ? 0 : 1;
}

}  // namespace
}  // namespace drill::election

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  try {
    if (!arguments.empty() && arguments.front() == "serve-node") {
      drill::become_child();
      return drill::election::serve_node(arguments);
    }
    return drill::election::drive(arguments);
  } catch (const std::exception& e) {
    fmt::print(stderr, "seawall_election_drill: {}\n", e.what());
    return 1;
  }
}
