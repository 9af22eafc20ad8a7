// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_REPLICATED_MAP_HISTORY_HPP
#define SEAWALL_ELECTION_REPLICATED_MAP_HISTORY_HPP

// A map's latest changes, for those who watch it. Each has a place of its own in the one history, so that
// somebody slow costs no memory: he is told that he is too far behind. Not replicated: each replica remembers
// what it has seen.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/options.hpp"

namespace seawall {

struct map_change {
  std::uint64_t revision = 0;
  std::string key = {};
  std::optional<std::string> value = {};  ///< nothing: erased

  friend bool operator==(const map_change&, const map_change&) = default;
};

/// Changes in order, without a gap.
struct map_changes {
  std::vector<map_change> changes = {};
  std::uint64_t next = 0;       ///< where to go on
  bool too_far_behind = false;  ///< some are gone: read the map again, and go on from the revision of that
};

struct map_history_limits {
  std::uint32_t max_changes = 1'000;  ///< [1, 1'000'000]
  std::uint32_t max_bytes =
      1U << 20U;  ///< of keys and values: [1, 256 MiB]; one that is larger is not remembered
};

inline std::optional<option_error> validate(const map_history_limits& l) {
  detail::option_checks checks;
  checks
      .require(l.max_changes >= 1 && l.max_changes <= 1'000'000, "max_changes", std::uint64_t{l.max_changes},
               "must be at least 1 and at most 1000000")
      .require(l.max_bytes >= 1 && l.max_bytes <= 256U << 20U, "max_bytes", std::uint64_t{l.max_bytes},
               "must be at least 1 and at most 268435456");
  return checks.result();
}

namespace detail {

class map_history {
 public:
  explicit map_history(const map_history_limits& limits) noexcept : limits_(limits) {}

  /// Its revision is greater than those before.
  void add(map_change c) {
    bytes_ += size_of(c);
    changes_.push_back(std::move(c));
    while (changes_.size() > limits_.max_changes || bytes_ > limits_.max_bytes) {
      bytes_ -= size_of(changes_.front());
      complete_from_ = changes_.front().revision + 1;
      changes_.pop_front();
    }
  }
  /// Nothing is known of what came before `revision`.
  void begin_at(std::uint64_t revision) noexcept {
    changes_.clear();
    bytes_ = 0;
    complete_from_ = revision;
  }

  /// Of keys that begin with `prefix`, from revision `from` on; looks at `most` at most. `end`: the next
  /// revision there will be.
  map_changes since(std::uint64_t from, std::string_view prefix, std::size_t most, std::uint64_t end) const {
    from = std::max<std::uint64_t>(from, 1);  // before which there was nothing
    if (from < complete_from_) return {.next = from, .too_far_behind = true};
    map_changes found{.next = std::max(from, end)};
    auto c =
        std::lower_bound(changes_.begin(), changes_.end(), from,
                         [](const map_change& a, std::uint64_t revision) { return a.revision < revision; });
    for (; c != changes_.end(); ++c) {
      if (most-- == 0) {
        found.next = c->revision;
        break;
      }
      if (c->key.starts_with(prefix)) found.changes.push_back(*c);
    }
    return found;
  }

 private:
  static std::size_t size_of(const map_change& c) noexcept {
    return c.key.size() + (c.value ? c.value->size() : 0);
  }

  map_history_limits limits_;
  std::deque<map_change> changes_;
  std::size_t bytes_ = 0;
  std::uint64_t complete_from_ = 1;  // all changes from this revision on are there
};

}  // namespace detail

}  // namespace seawall

#endif  // SEAWALL_ELECTION_REPLICATED_MAP_HISTORY_HPP
