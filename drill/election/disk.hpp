// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_DISK_HPP
#define SEAWALL_DRILL_ELECTION_DISK_HPP

#include <string>

#include "statistics.hpp"

namespace drill::election {

/// What a write of 4 KiB over zeroes costs until it is synced, in this folder, with nothing else to do: without
/// that, no figure of a synced write says anything. Throws `std::system_error`.
summary time_syncs(const std::string& folder);

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_DISK_HPP
