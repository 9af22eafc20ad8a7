// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_ELECTION_ETCD_SIDE_HPP
#define SEAWALL_DRILL_ELECTION_ETCD_SIDE_HPP

// The cluster of etcd servers to compare with: three members on loopback, plain text, synced logs.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "seawall/time.hpp"
#include "statistics.hpp"

namespace drill::election {

class etcd_side {
 public:
  /// Null: there is no etcd on this machine. Throws `std::runtime_error` if there is, and it does not come up.
  static std::unique_ptr<etcd_side> start();
  virtual ~etcd_side() = default;

  virtual const std::string& version() const = 0;
  /// All run, follow one leader, and take writes: who leads.
  virtual std::optional<std::size_t> settled(std::chrono::milliseconds patience) = 0;

  virtual void kill(std::size_t member) = 0;
  virtual void restart(std::size_t member) = 0;
  virtual void suspend(std::size_t member) = 0;
  virtual void resume(std::size_t member) = 0;

  /// When a write through one of the others first succeeds again.
  virtual std::optional<seawall::instant> first_write_without(std::size_t member,
                                                              std::chrono::milliseconds patience) = 0;
  virtual load_figures load(std::size_t member, std::size_t in_flight, std::chrono::milliseconds length) = 0;
};

}  // namespace drill::election

#endif  // SEAWALL_DRILL_ELECTION_ETCD_SIDE_HPP
