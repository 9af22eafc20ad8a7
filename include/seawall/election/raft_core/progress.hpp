// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_PROGRESS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_PROGRESS_HPP

// What a leader knows of one follower, and what it may send to it next.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "seawall/election/raft_core/options.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/time.hpp"

namespace seawall::raft {

/// How a follower is brought up to date.
enum class way : std::uint8_t {
  probing,      ///< where its log agrees is not known: one append at a time
  replicating,  ///< appends follow each other without waiting
  installing,   ///< it needs what was compacted: a snapshot, part after part
};

/// Thread safety: distinct objects safe.
class progress {
 public:
  /// Nothing is known but that it exists; `next` is a guess.
  progress(node_id who, log_index guess, instant now) noexcept : id(who), heard_at(now), next_(guess) {
    assert(who != nobody && guess > 0);
  }

  node_id id;
  instant heard_at;         ///< an answer in this term; at first, when it was taken on
  std::uint64_t round = 0;  ///< the last that it answered
  log_index told = 0;       ///< the commit index that was sent last

  way how() const noexcept { return how_; }
  log_index match() const noexcept { return match_; }  ///< durable there, and the same as here
  log_index next() const noexcept { return next_; }    ///< to be sent

  bool may_append(const core_options& o) const noexcept {
    if (how_ == way::installing) return false;
    if (how_ == way::probing) return !probed_;
    return inflight_.size() < o.max_inflight && inflight_bytes_ < o.max_inflight_bytes;
  }
  /// Nothing is on its way that would tell it of a commit.
  bool idle() const noexcept { return how_ == way::replicating && inflight_.empty(); }

  /// Entries from `next` to `last` are on their way.
  void appended(log_index last, std::size_t bytes) {
    assert(last >= next_ && how_ != way::installing);
    if (how_ == way::probing) {
      probed_ = true;
      return;
    }
    inflight_.push_back({last, bytes});
    inflight_bytes_ += bytes;
    next_ = last + 1;
  }
  /// It has all up to `index`.
  void acknowledged(log_index index) {
    match_ = std::max(match_, index);
    next_ = std::max(next_, match_ + 1);
    while (!inflight_.empty() && inflight_.front().last <= match_) {
      inflight_bytes_ -= inflight_.front().bytes;
      inflight_.pop_front();
    }
    assert(!inflight_.empty() || inflight_bytes_ == 0);
    if (how_ == way::installing && index < part_of_->index) return;
    if (how_ == way::replicating) return;
    start(way::replicating, match_ + 1);
  }
  /// It has not got `refused`; up to `agrees` it may. False if that is an answer to something older than what is known.
  bool refused(log_index refused, log_index agrees) {
    if (how_ == way::installing || refused <= match_) return false;
    if (how_ == way::probing && refused + 1 != next_) return false;
    if (refused >= next_) return false;
    start(way::probing, std::max(std::min(agrees + 1, refused), match_ + 1));
    assert(next_ > match_);
    return true;
  }

  // A snapshot, part after part; one part is on its way at a time.

  void install(std::shared_ptr<const snapshot> s) {
    assert(s != nullptr && s->index > match_);
    start(way::installing, s->index + 1);
    part_of_ = std::move(s);
  }
  const snapshot& installs() const noexcept {
    assert(how_ == way::installing);
    return *part_of_;
  }
  std::size_t offset() const noexcept { return offset_; }
  bool part_under_way() const noexcept { return part_round_ != 0; }
  void part_sent(std::uint64_t in_round) noexcept {
    assert(in_round > 0);
    part_round_ = in_round;
  }
  /// It has `so_far` bytes. False if the part that was sent may still be on its way.
  bool part_answered(std::uint64_t so_far, std::uint64_t in_round) noexcept {
    assert(how_ == way::installing);
    if (so_far > part_of_->state.size()) return false;
    if (part_under_way() && so_far == offset_ && in_round <= part_round_) return false;
    offset_ = static_cast<std::size_t>(so_far);
    part_round_ = 0;
    return true;
  }

 private:
  struct batch {
    log_index last;
    std::size_t bytes;
  };

  void start(way h, log_index next) {
    how_ = h;
    next_ = next;
    probed_ = false;
    inflight_.clear();
    inflight_bytes_ = 0;
    part_of_.reset();
    offset_ = 0;
    part_round_ = 0;
  }

  way how_ = way::probing;
  log_index match_ = 0;
  log_index next_;
  bool probed_ = false;  // an append is on its way, while probing
  std::deque<batch> inflight_;
  std::size_t inflight_bytes_ = 0;
  std::shared_ptr<const snapshot> part_of_;
  std::size_t offset_ = 0;
  std::uint64_t part_round_ = 0;
};

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_PROGRESS_HPP
