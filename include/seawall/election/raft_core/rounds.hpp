// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_ROUNDS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_ROUNDS_HPP

// A leader's rounds: a number in each of its messages that comes back in the answer. Who answers a round followed the
// leader after the round began, so leases count from there, and reads wait for it.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "seawall/time.hpp"

namespace seawall::raft {

/// Thread safety: distinct objects safe. Cost: 8 bytes for each round that a quorum has not answered, up to `max_open`.
class round_book {
 public:
  static constexpr std::size_t max_open = 1024;

  /// Messages from now on belong to a new round.
  std::uint64_t open(instant now) {
    began_.push_back(now);
    if (began_.size() > max_open) forget_first();
    assert(began_.size() <= max_open);
    return current();
  }
  std::uint64_t current() const noexcept { return first_ + began_.size() - 1; }

  /// A quorum has answered `round`. Empty for a round that began too long ago to be remembered, or that was known before.
  std::optional<instant> answered(std::uint64_t round) {
    assert(round <= current());
    if (round < first_) return std::nullopt;
    while (first_ < round) forget_first();
    return began_.front();
  }

 private:
  void forget_first() {
    assert(!began_.empty());
    began_.pop_front();
    ++first_;
  }

  std::uint64_t first_ = 1;  // the number of began_.front()
  std::deque<instant> began_;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_ROUNDS_HPP
