// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_FORWARDED_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_FORWARDED_HPP

// Requests of other replicas' users, while they are under way here; and the messages that say what came of
// them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "seawall/election/raft_types.hpp"
#include "seawall/election/replicated_map.hpp"

namespace seawall::detail {

/// Whose request it is.
struct forwarded_from {
  raft::node_id node = raft::nobody;
  std::uint64_t round = 0;  ///< the sender's number for it
};

/// Thread safety: none. Bounded: what is beyond is refused.
class forwarded_requests {
 public:
  explicit forwarded_requests(std::size_t most) noexcept : most_(most) {}

  /// Its number here: never given twice. Nothing: there are too many.
  std::optional<std::uint64_t> add(forwarded_from f) {
    if (waiting_.size() >= most_) return std::nullopt;
    waiting_.emplace(++last_, f);
    return last_;
  }
  std::optional<forwarded_from> take(std::uint64_t number) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return std::nullopt;
    const forwarded_from f = found->second;
    waiting_.erase(found);
    return f;
  }
  std::uint64_t count() const noexcept { return last_; }

 private:
  const std::size_t most_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, forwarded_from> waiting_;
};

inline raft::message refused_request(const forwarded_from& to, raft::refusal why) {
  return {.kind = raft::message_kind::request_reply,
          .to = to.node,
          .round = to.round,
          .hint = static_cast<std::uint64_t>(why)};
}
inline raft::message granted_request(const forwarded_from& to, raft::log_index index,
                                     const std::optional<map_answer>& answer) {
  return {.kind = raft::message_kind::request_reply,
          .to = to.node,
          .index = index,
          .granted = true,
          .round = to.round,
          .bytes = answer ? encode(*answer) : std::string()};
}
/// What a reply refuses with, if it makes sense.
inline std::optional<raft::refusal> refusal_of(const raft::message& m) noexcept {
  if (m.hint > static_cast<std::uint64_t>(raft::refusal::unknown)) return std::nullopt;
  return static_cast<raft::refusal>(m.hint);
}

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_FORWARDED_HPP
