// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_WIRE_HPP
#define SEAWALL_TESTS_SIMULATION_WIRE_HPP

// Between two cores lies the codec: what a core sends is put into bytes and read again, as by the real transport. A message that
// the codec or the receiver would refuse, or that arrives as another one, is a violation.

#include <string>

#include "seawall/election/raft_codec.hpp"
#include "seawall/election/raft_types.hpp"

namespace raftsim {

namespace raft = seawall::raft;

class wire {
 public:
  /// `m` as it arrives. Throws a violation.
  raft::message carried(const raft::message& m);

 private:
  const raft::codec_options options_ = {.checksum = false};
  std::string frame_;  // kept for the next one
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_WIRE_HPP
