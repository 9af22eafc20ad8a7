// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_TRANSPORT_OUTBOX_HPP
#define SEAWALL_ELECTION_TRANSPORT_OUTBOX_HPP

// The frames that wait to be sent to one peer, bounded in number, size and age. What is dropped is counted: Raft says
// everything again. Pure: told the time.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/time.hpp"

namespace seawall::raft::detail {

/// Thread safety: shared objects safe; one thread at a time takes.
class outbox {
 public:
  struct counts {
    std::uint64_t queued_messages = 0;
    std::uint64_t queued_bytes = 0;
    std::uint64_t sent_messages = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t dropped_heartbeats = 0;
    std::uint64_t dropped_newest = 0;
    std::uint64_t dropped_stale = 0;
  };

  outbox(std::uint32_t max_messages, std::uint64_t max_bytes) noexcept
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  /// `replaceable`: a heartbeat, of which only the newest matters. In a full queue the oldest of those make room; where
  /// there are none, the new frame is dropped. True: whoever found nothing to take is to be woken.
  bool push(std::string frame, bool replaceable, instant now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    while (!fits(frame.size()) && replaceable_ > 0) drop_a_heartbeat();
    if (!fits(frame.size())) {
      ++counts_.dropped_newest;
      return false;
    }
    counts_.queued_messages += 1;
    counts_.queued_bytes += frame.size();
    replaceable_ += replaceable ? 1 : 0;
    waiting_.push_back({std::move(frame), now, replaceable});
    return std::exchange(wanted_, false);
  }

  /// Appends frames to `batch`, in order, until it has at least `enough` bytes; those older than `stale_before` are dropped.
  /// False: there are none, and the next `push` says that somebody waits for it.
  bool take(std::string& batch, std::size_t enough, instant stale_before) ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    while (!waiting_.empty() && batch.size() < enough) {
      const item& first = waiting_.front();
      if (first.since < stale_before) {
        ++counts_.dropped_stale;
      } else {
        ++counts_.sent_messages;
        counts_.sent_bytes += first.frame.size();
        batch += first.frame;
      }
      forget(waiting_.begin());
    }
    wanted_ = batch.empty();
    return !wanted_;
  }

  counts now() const ABSL_LOCKS_EXCLUDED(mutex_) {
    const core::mutex_lock lock(mutex_);
    return counts_;
  }

 private:
  struct item {
    std::string frame;
    instant since;
    bool replaceable;
  };

  bool fits(std::size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return waiting_.size() < max_messages_ && counts_.queued_bytes + bytes <= max_bytes_;
  }
  void drop_a_heartbeat() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++counts_.dropped_heartbeats;
    forget(std::find_if(waiting_.begin(), waiting_.end(), [](const item& i) { return i.replaceable; }));
  }
  void forget(std::deque<item>::iterator i) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    counts_.queued_messages -= 1;
    counts_.queued_bytes -= i->frame.size();
    replaceable_ -= i->replaceable ? 1 : 0;
    waiting_.erase(i);
  }

  const std::uint32_t max_messages_;
  const std::uint64_t max_bytes_;
  mutable core::mutex mutex_;
  std::deque<item> waiting_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t replaceable_ ABSL_GUARDED_BY(mutex_) = 0;  // of those that wait
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;
  counts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall::raft::detail

#endif  // SEAWALL_ELECTION_TRANSPORT_OUTBOX_HPP
