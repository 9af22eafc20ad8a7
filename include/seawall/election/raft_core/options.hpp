// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_RAFT_CORE_OPTIONS_HPP
#define SEAWALL_ELECTION_RAFT_CORE_OPTIONS_HPP

// What a core is told once: who it is, its times, its bounds. And the law that ties a leader's lease to the time for
// which its followers refuse to vote.

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "seawall/election/raft_core/defects.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall::raft {

struct core_options {
  /// This replica; not `nobody`.
  node_id self = nobody;

  /// How often a leader is heard. Well above what a message and a write to the disk take. 1 ms to 1 min.
  duration heartbeat = std::chrono::milliseconds(100);
  /// For so long after its leader was last heard, and after its own start, a replica neither votes for another nor campaigns.
  /// A leader that a quorum has not answered for so long steps down. The same for all replicas of a cluster. At least 4
  /// heartbeats, and so many that the lease lasts for 2; up to 1 h.
  duration election_timeout = std::chrono::seconds(1);
  /// Campaigns begin up to so much later, at random, so that they rarely collide. At least a tenth of `election_timeout`, up to 1 h.
  duration election_jitter = std::chrono::milliseconds(500);
  /// By how much clocks run too fast or too slow at most, as a share of the time that passes; 0 to 0.2. The same for all.
  double max_clock_drift = 0.01;
  /// A leader whose last durable write was asked for longer ago loses lease and leadership; an idle one writes four times as
  /// often to find out. At least 4 heartbeats, up to 1 h.
  duration disk_limit = std::chrono::seconds(2);

  /// Commands beyond it are refused. 1 B to 16 MiB; the same for all replicas.
  std::size_t max_entry_bytes = 64 * 1024;
  /// In a message. An entry larger than `max_batch_bytes` travels alone. At least 1.
  std::size_t max_batch_entries = 256;
  std::size_t max_batch_bytes = 256 * 1024;
  /// Appends under way to one follower. At least 1; at least one is under way, whatever its bytes.
  std::size_t max_inflight = 64;
  std::size_t max_inflight_bytes = 1024 * 1024;
  /// What a leader has accepted and not yet committed. At least 1.
  std::size_t max_uncommitted = 4096;
  std::size_t max_uncommitted_bytes = 4 * 1024 * 1024;
  /// Of the log behind the snapshot. Beyond it a leader refuses proposals, and a follower takes no more entries, until what was applied
  /// is compacted. At least 4 times `max_entry_bytes`.
  std::size_t max_log_bytes = 64 * 1024 * 1024;
  /// Reads that wait for a quorum. At least 1.
  std::size_t max_reads = 1024;
  /// Of a snapshot's state in one message; of all of it. At least 1; a larger state is not taken as a snapshot.
  std::size_t max_chunk_bytes = 64 * 1024;
  std::size_t max_snapshot_bytes = 64 * 1024 * 1024;
  /// Writes to the disk under way at once; what comes meanwhile goes into the next one. 1 to 64.
  std::size_t max_persists = 2;
  /// Handed out in one step; if there is more, a tick is wanted at once. At least 1.
  std::size_t max_apply = 1024;
};

/// The greatest L with L(1 + rho) <= F(1 - rho): if the leader's clock runs slow and a follower's fast, each by `drift`,
/// L counted from before the follower's F began still ends first. (Gray and Cheriton: "Leases", SOSP 1989, section 5.)
inline duration lease_length(duration refusal, double drift) noexcept {
  assert(refusal >= duration::zero() && drift >= 0 && drift < 1);
  if (defect(mutant::lease_without_drift)) return refusal;
  const double exact = static_cast<double>(refusal.ns()) * ((1 - drift) / (1 + drift));
  // Rounding is worth a few ns at most: doubles are exact to 2^53 ns, 104 days.
  const duration length = duration::from_ns(static_cast<std::int64_t>(exact)) - duration::from_ns(2);
  assert(length < refusal);
  return length > duration::zero() ? length : duration::zero();
}

inline std::optional<option_error> validate(const core_options& o) {
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::minutes;
  const bool drift = seawall::detail::within(o.max_clock_drift, 0.0, 0.2);
  const auto at_least_one = [](std::size_t n) { return n >= 1; };
  return option_checks()
      .require(o.self != nobody, "self", o.self, "must not be 0")
      .require(o.heartbeat >= milliseconds(1) && o.heartbeat <= minutes(1), "heartbeat", o.heartbeat,
               "must be at least 1ms and at most 1min")
      .require(drift, "max_clock_drift", o.max_clock_drift, "must be at least 0 and at most 0.2")
      .require(o.election_timeout >= o.heartbeat * 4 && o.election_timeout <= hours(1), "election_timeout",
               o.election_timeout, "must be at least 4 heartbeats and at most 1h")
      .require(o.election_jitter >= o.election_timeout / 10 && o.election_jitter <= hours(1),
               "election_jitter", o.election_jitter, "must be at least election_timeout / 10 and at most 1h")
      .require(drift && lease_length(o.election_timeout, o.max_clock_drift) >= o.heartbeat * 2,
               "election_timeout", o.election_timeout, "must leave a lease of at least 2 heartbeats")
      .require(o.disk_limit >= o.heartbeat * 4 && o.disk_limit <= hours(1), "disk_limit", o.disk_limit,
               "must be at least 4 heartbeats and at most 1h")
      .require(at_least_one(o.max_entry_bytes) && o.max_entry_bytes <= 16 * 1024 * 1024, "max_entry_bytes",
               o.max_entry_bytes, "must be at least 1 and at most 16777216")
      .require(at_least_one(o.max_batch_entries), "max_batch_entries", o.max_batch_entries,
               "must be at least 1")
      .require(at_least_one(o.max_batch_bytes), "max_batch_bytes", o.max_batch_bytes, "must be at least 1")
      .require(at_least_one(o.max_inflight), "max_inflight", o.max_inflight, "must be at least 1")
      .require(at_least_one(o.max_inflight_bytes), "max_inflight_bytes", o.max_inflight_bytes,
               "must be at least 1")
      .require(at_least_one(o.max_uncommitted), "max_uncommitted", o.max_uncommitted, "must be at least 1")
      .require(at_least_one(o.max_uncommitted_bytes), "max_uncommitted_bytes", o.max_uncommitted_bytes,
               "must be at least 1")
      .require(o.max_log_bytes / 4 >= o.max_entry_bytes, "max_log_bytes", o.max_log_bytes,
               "must be at least 4 times max_entry_bytes")
      .require(at_least_one(o.max_reads), "max_reads", o.max_reads, "must be at least 1")
      .require(at_least_one(o.max_chunk_bytes), "max_chunk_bytes", o.max_chunk_bytes, "must be at least 1")
      .require(at_least_one(o.max_snapshot_bytes), "max_snapshot_bytes", o.max_snapshot_bytes,
               "must be at least 1")
      .require(o.max_persists >= 1 && o.max_persists <= 64, "max_persists", o.max_persists,
               "must be at least 1 and at most 64")
      .require(at_least_one(o.max_apply), "max_apply", o.max_apply, "must be at least 1")
      .result();
}

}  // namespace seawall::raft

#endif  // SEAWALL_ELECTION_RAFT_CORE_OPTIONS_HPP
