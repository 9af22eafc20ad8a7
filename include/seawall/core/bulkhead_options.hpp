// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_BULKHEAD_OPTIONS_HPP
#define SEAWALL_CORE_BULKHEAD_OPTIONS_HPP

// What a bulkhead can be told, and what it tells about itself.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/call.hpp"
#include "seawall/core/ordered_wait_list.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// Options of a bulkhead.
struct bulkhead_options {
  /// For messages and metrics.
  std::string name = {};

  std::uint32_t max_concurrent = 64;  ///< permits; [1, 1'000'000'000]

  std::uint32_t max_waiting =
      0;  ///< callers that wait for a permit, of each partition; at most 1'000'000; 0: none
  duration max_wait = std::chrono::seconds(1);  ///< positive; a caller's deadline may end its wait earlier
  wait_order order = wait_order::fifo;          ///< whose turn it is
  /// `adaptive_lifo`: last come, first served once the list has had no empty moment for so long. Positive.
  duration lifo_after = std::chrono::milliseconds(100);
  /// `by_priority`: so long a wait is worth one step of priority, so that nobody is passed for ever. 0: off,
  /// the wait ends after `max_wait` anyway; else at least 1 us.
  duration aging = duration::zero();
  /// With a full list, a newcomer who would have his turn before somebody else displaces whoever would be
  /// last; else he is rejected. Means nothing to `fifo`, and displaces the oldest under `lifo`.
  bool displaces = false;

  /// How many permits a call needs; null: one. More than there are at all is always rejected; none is fine.
  std::uint32_t (*weight_of)(const call&) noexcept = nullptr;

  /// A part of the callers, which is sure of a share.
  struct partition {
    std::string name = {};         ///< not empty, unlike the others; fixed for the life of the bulkhead
    std::uint32_t guaranteed = 0;  ///< permits; the sum is at most `max_concurrent`
  };
  /// At most 16; how many there are is fixed for the life of the bulkhead. What a partition does not use is
  /// lent to the others; once it asks for some of its share and finds it lent, permits that come back are
  /// kept for it.
  std::vector<partition> partitions = {};
  /// The name of a call's partition; with a name that is none, or if this is null, a call belongs to nobody
  /// and can only borrow.
  std::string_view (*partition_of)(const call&) noexcept = nullptr;
  /// For how long after a partition was last refused a permit of its share none of the share is lent.
  /// Positive.
  duration recall_for = std::chrono::seconds(1);

  rejection_detail rejections = rejection_detail::full;
};

/// What a bulkhead knows of a partition.
struct partition_snapshot {
  std::string name = {};  ///< empty: those who belong to none
  std::uint32_t guaranteed = 0;
  std::uint64_t in_use = 0;  ///< permits, lent ones included
  std::size_t waiting = 0;
  bool recalled = false;  ///< its share is not lent at present
};

/// A bulkhead as an observer sees it. While calls come and go, `in_use` is what it was at about that time.
struct bulkhead_snapshot {
  std::string name = {};
  std::uint32_t max_concurrent = 0;
  std::uint64_t in_use = 0;  ///< permits; more than `max_concurrent` for a while after that was made smaller
  std::size_t waiting = 0;
  // Of those who had to wait, in its life:
  std::uint64_t admitted_late = 0;
  std::uint64_t timed_out = 0;  ///< `max_wait` or a deadline passed
  std::uint64_t displaced = 0;
  std::vector<partition_snapshot> partitions = {};
};

}  // namespace seawall

#endif  // SEAWALL_CORE_BULKHEAD_OPTIONS_HPP
