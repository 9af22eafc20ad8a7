// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_CHANGE_BOOK_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_CHANGE_BOOK_HPP

// Changes of the membership that were asked for, and those who wait for what comes of them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_elector/map_request.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

struct change_request {
  raft::membership to = {};
  instant deadline = instant::never();  ///< by `steady_clock`
  awaited_result<raft::log_index>* whom = nullptr;
};

/// Thread safety: `submit`, `open` and `close` from any thread, the others from one.
class change_book {
 public:
  /// True: somebody must `take`. Refused: whoever waits was told so before this returns.
  [[nodiscard]] bool submit(const change_request& c) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::Status refused;
    {
      const core::mutex_lock lock(mutex_);
      refused = closed_;
      if (refused.ok()) submitted_.push_back(c);
    }
    if (refused.ok()) return true;
    (*c.whom)(not_executed(std::move(refused)));
    return false;
  }
  std::vector<change_request> take() ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return std::exchange(submitted_, {});
  }
  void open() { set_closed(absl::OkStatus()); }
  /// From now on, all are refused.
  void close(absl::Status why) { set_closed(std::move(why)); }

  /// Its number. Nothing: there are too many, and whoever waits was told so.
  std::optional<std::uint64_t> add(const change_request& c) {
    if (waiting_.size() >= most) {
      (*c.whom)(not_executed(
          absl::ResourceExhaustedError("raft_elector: too many changes of the membership are under way")));
      return std::nullopt;
    }
    waiting_.emplace(++last_, c);
    return last_;
  }
  void answered(std::uint64_t number, const raft::answer& a, const std::optional<std::string>& leader) {
    if (!a.refused) return tell(number, a.index);
    tell(number, refused(*a.refused, leader));
  }
  void on_time(instant now) {
    while (wake_at() <= now) {
      const auto due = std::find_if(waiting_.begin(), waiting_.end(),
                                    [now](const auto& c) { return c.second.deadline <= now; });
      tell(due->first,
           absl::DeadlineExceededError("raft_elector: the membership may have changed, or may yet"));
    }
  }
  instant wake_at() const noexcept {
    instant at = instant::never();
    for (const auto& [number, c] : waiting_) at = std::min(at, c.deadline);
    return at;
  }
  /// After `close`: nobody waits any more.
  void fail_all() {
    for (const change_request& c : take()) (void)add(c);
    while (!waiting_.empty())
      tell(waiting_.begin()->first,
           absl::UnavailableError("raft_elector: it is being destroyed; the membership may have changed"));
  }

 private:
  static constexpr std::size_t most = 16;

  void set_closed(absl::Status s) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    closed_ = std::move(s);
  }
  void tell(std::uint64_t number, absl::StatusOr<raft::log_index> result) {
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;
    auto& whom = *found->second.whom;
    waiting_.erase(found);
    whom(std::move(result));
  }
  static absl::Status refused(raft::refusal why, const std::optional<std::string>& leader) {
    switch (why) {
      case raft::refusal::not_leader: {
        const std::string text =
            "raft_elector: not the leader; that is " + leader.value_or("nobody at present");
        return not_executed(absl::FailedPreconditionError(to_absl(text)));
      }
      case raft::refusal::bad_change:
        return absl::InvalidArgumentError(
            "raft_elector: a membership that contradicts itself or is more than one voter away");
      case raft::refusal::unknown:
        return absl::UnknownError(
            "raft_elector: leadership was lost meanwhile; the membership may have changed");
      default:
        return not_executed(absl::UnavailableError(
            "raft_elector: not at present: another change is under way, or the leader is new"));
    }
  }

  std::uint64_t last_ = 0;
  std::map<std::uint64_t, change_request> waiting_;
  core::mutex mutex_;
  std::vector<change_request> submitted_ ABSL_GUARDED_BY(mutex_);
  absl::Status closed_ ABSL_GUARDED_BY(mutex_) = absl::UnavailableError("raft_elector: it was not started");
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_CHANGE_BOOK_HPP
