// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_OPTIONS_HPP
#define SEAWALL_DRILL_ELECTION_OPTIONS_HPP

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "drill/command_line.hpp"

namespace drill::election {

/// What the driver was asked to do.
struct options {
  std::uint32_t faults = 200;      ///< of the leader, of each cluster; every other one is a pause
  std::uint32_t load_seconds = 5;  ///< of each measurement of throughput; zero: none
  /// Of seawall: by how much replicas' time-outs differ at most; as by default, half the time-out. etcd adds up to a
  /// whole time-out, and has no option for it.
  std::uint32_t jitter_ms = 100;
  std::uint64_t seed = 1;  ///< of when faults come and how long pauses are
  bool quick = false;      ///< a smoke test: judged by leases and tokens, not by times
  bool with_etcd = true;
  std::string json_file = {};  ///< the figures
  std::string log_file = {};   ///< the observer's log, a record in each line
};

std::variant<options, help_wanted, usage_error> parse_options(std::span<const std::string_view> arguments);
std::string_view usage();

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_OPTIONS_HPP
