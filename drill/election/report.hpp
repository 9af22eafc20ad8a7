// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_REPORT_HPP
#define SEAWALL_DRILL_ELECTION_REPORT_HPP

#include <cstddef>
#include <string>
#include <vector>

#include "faults.hpp"
#include "judge.hpp"
#include "options.hpp"

namespace drill::election {

struct outcome {
  options asked = {};
  std::string etcd_version = {};  ///< empty: there is none
  failover_result faults = {};
  load_result loads = {};
  verdict leases = {};
  std::size_t records = 0;
};

struct criterion {
  std::string text;
  bool met;
};
/// Times are criteria only if they were measured at length.
std::vector<criterion> criteria(const outcome& o);

std::string text_report(const outcome& o);
std::string json_report(const outcome& o);
/// A record in each line.
std::string json_lines(const std::vector<record>& log);

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_REPORT_HPP
