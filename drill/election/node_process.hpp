// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_NODE_PROCESS_HPP
#define SEAWALL_DRILL_ELECTION_NODE_PROCESS_HPP

// A process that wants to lead: a service with seawall's embedded Raft, set up as a user would: mutual TLS, synced log.
//
// It tells the observer of its leadership, and answers the driver:
//   status           what `node_status` holds
//   load <n> <ms>    keeps n writes under way for so long; answers as `load_figures` are written

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "statistics.hpp"

namespace drill::election {

struct node_status {
  std::string part = {};
  std::string leader = {};  ///< "-": unknown
  std::uint64_t term = 0;
  std::uint64_t committed = 0;
  std::uint64_t applied = 0;
  friend bool operator==(const node_status&, const node_status&) = default;
};

// As they travel.
std::string to_line(const node_status& s);
std::optional<node_status> status_from(std::string_view line);
std::string to_line(const load_figures& f);
std::optional<load_figures> load_from(std::string_view line);

/// main() of that process: serve-node --self N --folder F --observer PATH --ports A,B,C
int serve_node(std::span<const std::string_view> arguments);

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_NODE_PROCESS_HPP
