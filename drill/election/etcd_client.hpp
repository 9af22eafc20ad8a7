// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_ETCD_CLIENT_HPP
#define SEAWALL_DRILL_ELECTION_ETCD_CLIENT_HPP

// etcd as its own clients see it: gRPC, connections that are kept, no wait between an answer and the next request.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "seawall/time.hpp"
#include "statistics.hpp"

namespace drill::election {

class etcd_client {
 public:
  explicit etcd_client(const std::vector<std::string>& addresses);
  ~etcd_client();
  etcd_client(const etcd_client&) = delete;
  etcd_client& operator=(const etcd_client&) = delete;

  struct state {
    std::string version;
    std::uint64_t id = 0;
    std::uint64_t leader = 0;
  };
  std::optional<state> status(std::size_t member);
  /// A write through this member succeeds.
  bool writes(std::size_t member);

  /// When the first write that was begun from now on has succeeded, by `boot_clock`: through `members` in turn, one every
  /// other millisecond, without waiting for what was sent before. What a follower has forwarded to a
  /// leader that is dead is answered only seconds later, so that a client that waits would measure its own patience.
  std::optional<seawall::instant> first_write(const std::vector<std::size_t>& members,
                                              std::chrono::milliseconds patience);

  load_figures load(std::size_t member, std::size_t in_flight, std::chrono::milliseconds length);

 private:
  struct member;
  std::vector<std::unique_ptr<member>> members_;
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_ETCD_CLIENT_HPP
