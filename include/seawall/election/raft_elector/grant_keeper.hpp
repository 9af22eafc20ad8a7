// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_ELECTOR_GRANT_KEEPER_HPP
#define SEAWALL_ELECTION_RAFT_ELECTOR_GRANT_KEEPER_HPP

// What a core's leadership means to the user: when a grant begins, how long it lasts, why it ended, and when
// the core is to let go of what the user does not hold any more. Told the time and how the core stands; no
// thread, no clock but the tenure's.

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/election/tenure.hpp"
#include "seawall/time.hpp"

namespace seawall::detail {

/// How a core stands.
struct core_facts {
  instant now = {};
  raft::term_number term = 0;
  bool leads = false;
  std::optional<instant> lease = {};
  bool caught_up = false;  ///< the state machine has seen all that has committed
};

/// What a core is to be told.
struct grant_demand {
  enum class kind : std::uint8_t { nothing, resign, transfer };
  kind what = kind::nothing;
  raft::node_id to = raft::nobody;
};

/// Guarantees:
/// 1. A term is granted once; the tokens ascend.
/// 2. A leader who gives up is told so, his loss is taken in, and only then the core lets go.
/// 3. A core that leads without anyone holding the grant does so for `patience` at most, unless 2 makes it.
///
/// Thread safety: `give_up` from any thread, the others from one.
class grant_keeper {
 public:
  grant_keeper(tenure& grants, duration patience) noexcept : grants_(grants), patience_(patience) {}

  /// The grant ends here and now, if there is one; what becomes of the core's leadership, the next `look`
  /// says. False: there was none, and whoever has given it up before has his way.
  bool give_up(grant_demand how, std::string why) ABSL_LOCKS_EXCLUDED(mutex_) {
    if (!grants_.end(std::move(why))) return false;
    set_wish(how);
    return true;
  }
  /// Somebody has given up, and the core has not let go yet.
  bool gives_up() const ABSL_LOCKS_EXCLUDED(mutex_) { return wish().has_value(); }

  /// After whatever may have changed the facts, or the tenure.
  grant_demand look(const core_facts& f) {
    if (grant_demand d = follow(f); d.what != grant_demand::kind::nothing) return d;
    if (const auto w = wish()) return carry_out(*w, f);
    if (!f.leads) {
      ungranted_since_.reset();
      return {};
    }
    if (held_ != 0) return {};
    if (f.lease && f.caught_up && grants_.begin(f.term, *f.lease)) {
      held_ = f.term;
      ++count_;
      ungranted_since_.reset();
      return {};
    }
    if (!ungranted_since_) ungranted_since_ = f.now;
    if (f.now < *ungranted_since_ + patience_) return {};
    ungranted_since_.reset();
    return {.what = grant_demand::kind::resign};
  }
  /// When to look again, if nothing happens.
  instant wake_at() const {
    const instant until = grants_.until().value_or(instant::never());
    return ungranted_since_ ? std::min(until, *ungranted_since_ + patience_) : until;
  }
  std::uint64_t count() const noexcept { return count_; }

 private:
  grant_demand follow(const core_facts& f) {
    if (held_ == 0) return {};
    if (!f.leads || f.term != held_) {
      grants_.end("another replica leads, or most of them cannot be reached, or the disk has stalled");
    } else if (!f.lease || !grants_.extend(*f.lease)) {
      held_ = 0;
      // Whoever gives up has ended the grant himself, and says what is to be done, at this moment or later.
      const bool expired = grants_.end("the lease has expired");
      return {.what = expired ? grant_demand::kind::resign : grant_demand::kind::nothing};
    } else {
      return {};
    }
    held_ = 0;
    return {};
  }
  grant_demand carry_out(const grant_demand& how, const core_facts& f) {
    if (!f.leads) return set_wish(std::nullopt), grant_demand();
    if (!grants_.settled()) return {};
    set_wish(std::nullopt);
    ungranted_since_ = f.now;
    return how;
  }

  std::optional<grant_demand> wish() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return wish_;
  }
  void set_wish(std::optional<grant_demand> w) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    wish_ = w;
  }

  tenure& grants_;
  const duration patience_;
  raft::term_number held_ = 0;  // the term whose grant is out; zero: none
  std::uint64_t count_ = 0;
  std::optional<instant> ungranted_since_;
  mutable core::mutex mutex_;
  std::optional<grant_demand> wish_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall::detail

#endif  // SEAWALL_ELECTION_RAFT_ELECTOR_GRANT_KEEPER_HPP
