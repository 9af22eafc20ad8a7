// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_OPTIONS_HPP
#define SEAWALL_DRILL_ELECTION_OPTIONS_HPP

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace drill::election {

/// What the driver was asked to do.
struct options {
  std::uint32_t faults = 200;      ///< of the leader, of each cluster; every other one is a pause
  std::uint32_t load_seconds = 5;  ///< of each measurement of throughput; zero: none
  std::uint64_t seed = 1;          ///< of when faults come and how long pauses are
  bool quick = false;              ///< a smoke test: judged by leases and tokens, not by times
  bool with_etcd = true;
  std::string json_file = {};  ///< the figures
  std::string log_file = {};   ///< the observer's log, a record in each line
};

struct help_wanted {};
struct usage_error {
  std::string message;
};

std::variant<options, help_wanted, usage_error> parse_options(std::span<const std::string_view> arguments);
std::string_view usage();

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_OPTIONS_HPP
