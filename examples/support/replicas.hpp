// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_REPLICAS_HPP
#define SEAWALL_EXAMPLES_SUPPORT_REPLICAS_HPP

// What replicas "a", "b", "c"... of one cluster on loopback are told.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "seawall/election/raft_elector.hpp"

/// One of them: its name, the folder in which its log is, the ports of all. A certificate must carry the name.
inline seawall::raft_elector_options replica(const std::string& name, const std::string& folder,
                                             const std::vector<std::string>& ports) {
  seawall::raft_elector_options o{.cluster = "example", .directory = folder + "/log-" + name};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string node(1, static_cast<char>('a' + i));
    o.nodes.push_back({.id = i + 1,
                       .name = node,
                       .host = "127.0.0.1",
                       .port = static_cast<std::uint16_t>(std::atoi(ports[i].c_str())),
                       .identity = "DNS:" + node});
    if (node == name) o.self = i + 1;
  }
  // For a quick example on a machine that may be busy.
  o.raft.heartbeat = std::chrono::milliseconds(50);
  o.raft.election_timeout = std::chrono::milliseconds(500);
  o.raft.election_jitter = std::chrono::milliseconds(250);
  return o;
}

#endif  // SEAWALL_EXAMPLES_SUPPORT_REPLICAS_HPP
