// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_CORE_REQUEST_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_CORE_REQUEST_HPP

// How a replica finds out whose request its core has answered, and what the map said to it.

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"

namespace seawall::detail {

/// A core has one number for a request: it says whose it is, and which of his.
struct core_request {
  enum class owned_by : std::uint8_t { book, other_replica, change_book };

  owned_by owner;
  std::uint64_t number;

  constexpr std::uint64_t for_core() const noexcept {
    return number * owners + static_cast<std::uint64_t>(owner);
  }
  static constexpr core_request of(std::uint64_t core) noexcept {
    return {static_cast<owned_by>(core % owners), core / owners};
  }

 private:
  static constexpr std::uint64_t owners = 3;
};

/// What the map has answered to the entries of one step. Thread safety: none.
class applied_answers {
 public:
  void clear() noexcept { answers_.clear(); }
  /// `index` is greater than all before.
  void add(raft::log_index index, const map_answer& a) {
    assert(answers_.empty() || answers_.back().first < index);
    answers_.emplace_back(index, a);
  }
  /// Nothing: no command was applied there in this step.
  std::optional<map_answer> at(raft::log_index index) const {
    const auto found = std::lower_bound(answers_.begin(), answers_.end(), index,
                                        [](const auto& a, raft::log_index i) { return a.first < i; });
    return found != answers_.end() && found->first == index ? std::optional(found->second) : std::nullopt;
  }

 private:
  std::vector<std::pair<raft::log_index, map_answer>> answers_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_CORE_REQUEST_HPP
