// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_HPP
#define SEAWALL_ELECTION_RAFT_CORE_HPP

// Raft as a pure machine: told what has arrived, what is durable and what time it is, it says what to write, send and
// apply. It reads no clock, opens no file, and knows no network; raft_elector.hpp is the driver that does.

#include "seawall/election/raft_core/elections.hpp"
#include "seawall/election/raft_core/following.hpp"
#include "seawall/election/raft_core/leading.hpp"
#include "seawall/election/raft_core/machine.hpp"

#endif  // SEAWALL_ELECTION_RAFT_CORE_HPP
