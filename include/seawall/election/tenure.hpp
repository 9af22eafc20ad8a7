// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TENURE_HPP
#define SEAWALL_ELECTION_TENURE_HPP

// One candidate's grants, one after another, and what its user is to be told of them: in order, each loss once, and no new grant
// before the loss of the last one was taken in. Knows no engine, no thread and no clock but the one that it gives the grants.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/elector.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// Between the engine, which begins, renews and ends grants, and whoever calls the user's functions: `deliver` does, one at a
/// time. What waits to be told is bounded: one election, one loss, the last change of leader.
///
/// Thread safety: shared objects safe; `deliver` from one thread at a time. Nothing of the user's runs under the lock.
class tenure {
 public:
  explicit tenure(lease_clock clock = {}) : clock_(std::move(clock)) {}

  /// A grant begins. False, and nobody hears of it: it is over already, the last one's loss has not been taken in, or the token
  /// does not exceed all that were seen, so that the resource would refuse it.
  bool begin(std::uint64_t token, instant until) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    if (held_ || elected_ || lost_ || telling_ || token <= newest_) return false;
    auto g = std::make_shared<grant>(token, until, clock_);
    if (!g->valid({})) return false;
    newest_ = token;
    held_ = g;
    elected_ = std::move(g);
    return true;
  }
  /// Of the lease that a request, sent at `sent_at`, has renewed for the `ttl` that was *answered*. False: it had expired before
  /// the answer, or there is none; whoever leads must then `end`.
  bool renew(instant sent_at, duration ttl, double max_clock_drift) ABSL_LOCKS_EXCLUDED(mutex_) {
    return extend(lease_end(sent_at, ttl, max_clock_drift));
  }
  bool extend(instant until) ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::shared_ptr<grant> g = held();
    return g != nullptr && g->extend(until);
  }
  /// Lost, resigned or expired; the first reason counts, later ones change nothing. False: there was no grant.
  /// Before it returns nothing is valid any more, and who works has been asked to stop.
  bool end(std::string why) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<grant> g;
    {
      const core::mutex_lock lock(mutex_);
      if (!held_) return false;
      g = std::exchange(held_, nullptr);
      lost_ = std::move(why);
    }
    g->end();
    return true;
  }
  /// Ends a grant that has run out; true if it did.
  bool expire(std::string why) ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::shared_ptr<grant> g = held();
    return g != nullptr && !g->valid({}) && end(std::move(why));
  }

  void note_leader(std::optional<std::string> leader) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    leader_ = std::move(leader);
  }

  std::optional<leadership> current() const ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<grant> g = held();
    if (g == nullptr || !g->valid({})) return std::nullopt;
    return leadership(std::move(g));
  }
  /// Neither a grant, nor one whose loss has not been taken in.
  bool settled() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return !held_ && !elected_ && !lost_ && !telling_;
  }
  /// When the grant ends, if there is one.
  std::optional<instant> until() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const std::shared_ptr<grant> g = held();
    return g == nullptr ? std::nullopt : std::optional(g->until());
  }

  bool has_news() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return news();
  }
  /// Calls one of the functions, if there is something to tell: an election before its loss, and both before who leads now.
  bool deliver(const election_callbacks& callbacks) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<grant> elected;
    std::optional<std::string> lost;
    std::optional<std::string> leader;
    {
      const core::mutex_lock lock(mutex_);
      if (!news()) return false;
      telling_ = elected_ != nullptr || lost_;
      if (elected_)
        elected = std::exchange(elected_, nullptr);
      else if (lost_)
        lost = std::exchange(lost_, std::nullopt);
      else
        told_leader_ = leader = leader_;
    }
    tell(callbacks, std::move(elected), lost, std::move(leader));
    const core::mutex_lock lock(mutex_);
    telling_ = false;
    return true;
  }

 private:
  static void tell(const election_callbacks& callbacks, std::shared_ptr<grant> elected,
                   const std::optional<std::string>& lost, std::optional<std::string> leader) {
    if (elected != nullptr) {
      if (callbacks.on_elected) callbacks.on_elected(leadership(std::move(elected)));
    } else if (lost) {
      if (callbacks.on_lost) callbacks.on_lost(*lost);
    } else if (callbacks.on_leader_changed) {
      callbacks.on_leader_changed(std::move(leader));
    }
  }

  std::shared_ptr<grant> held() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return held_;
  }
  bool news() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return elected_ != nullptr || lost_ || leader_ != told_leader_;
  }

  const lease_clock clock_;
  mutable core::mutex mutex_;
  std::shared_ptr<grant> held_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<grant> elected_ ABSL_GUARDED_BY(mutex_);   // to be told
  std::optional<std::string> lost_ ABSL_GUARDED_BY(mutex_);  // to be told, after that
  std::optional<std::string> leader_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::string> told_leader_ ABSL_GUARDED_BY(mutex_);
  bool telling_ ABSL_GUARDED_BY(mutex_) = false;  // an election or a loss, at this moment
  std::uint64_t newest_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_TENURE_HPP
