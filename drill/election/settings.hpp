// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_SETTINGS_HPP
#define SEAWALL_DRILL_ELECTION_SETTINGS_HPP

// What is the same for both clusters.

#include <chrono>
#include <cstddef>
#include <string>

namespace drill::election {

inline constexpr std::size_t nodes = 3;
inline constexpr std::chrono::milliseconds heartbeat{20};
inline constexpr std::chrono::milliseconds election_timeout{200};
/// Of seawall: by how much replicas' time-outs differ at most, half the time-out as by default. etcd adds up to
/// a whole time-out, which it has no option for.
inline constexpr std::chrono::milliseconds election_jitter{100};

// Of writes.
inline constexpr std::size_t value_bytes = 100;
inline constexpr std::size_t keys = 500;
inline std::string key(std::size_t i) { return "load/" + std::to_string(i % keys); }

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_SETTINGS_HPP
