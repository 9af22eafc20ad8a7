// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_ADMISSION_OPTIONS_HPP
#define SEAWALL_CORE_ADMISSION_OPTIONS_HPP

// What an admission can be told, and what it tells about itself. The words are those of the backpressure
// queue (core/queue_options.hpp), as are the rules.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "seawall/core/queue_options.hpp"
#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/rejection.hpp"
#include "seawall/time.hpp"

namespace seawall {

class adaptive_limit;

struct admission_options {
  std::string name = {};

  /// A limit that is learned (adaptive_limit.hpp); others may take places of it without waiting. It outlives
  /// the admission; fixed.
  adaptive_limit* limit = nullptr;
  std::uint32_t max_concurrent = 64;  ///< where no `limit` is given: calls under way; [1, 1'000'000'000]

  std::size_t max_waiting = 1024;               ///< calls that wait: [1, 2^20]
  duration max_wait = std::chrono::seconds(1);  ///< positive; a caller's deadline may end its wait earlier
  /// Who goes when there are as many: all but `wait`, as a call that waits for a place in the line would only
  /// be in a longer one.
  queue_full when_full = queue_full::reject;
  queue_order order = queue_order::adaptive_lifo;  ///< fixed for the life of the admission

  /// Rejects calls that cannot meet their deadline any more: those with less than `service_time` left.
  bool expire = true;
  duration service_time = {};  ///< how long a call takes, once admitted; not negative

  double patience_share = 0.5;                         ///< see `backpressure_queue_options`
  duration patience = std::chrono::milliseconds(100);  ///< the same
  duration aging = std::chrono::seconds(1);            ///< the same
  std::size_t turns = 1024;  ///< the same: `call_options::key` says whose turn it is; fixed
  codel_options codel = {};

  double high_watermark =
      0;  ///< share of `max_waiting` from which on the line is called high: [0, 1]; 0: never
  double low_watermark = 0;  ///< and no longer; less than `high_watermark` where that is set

  rejection_detail rejections = rejection_detail::full;
  listener* events = nullptr;  ///< told of every passing of a watermark; outlives the admission
};

namespace detail {

/// What the line itself has to know.
inline backpressure_queue_options line_of(const admission_options& o) {
  return {.max_items = o.max_waiting,
          .when_full = o.when_full,
          .order = o.order,
          .expire = o.expire,
          .service_time = o.service_time,
          .patience_share = o.patience_share,
          .patience = o.patience,
          .aging = o.aging,
          .turns = o.turns,
          .codel = o.codel,
          .high_watermark = o.high_watermark,
          .low_watermark = o.low_watermark};
}

}  // namespace detail

inline std::optional<option_error> validate(const admission_options& o) {
  detail::option_checks checks;
  checks
      .require(o.max_concurrent >= 1 && o.max_concurrent <= 1'000'000'000, "max_concurrent",
               std::uint64_t{o.max_concurrent}, "must be at least 1 and at most 1000000000")
      .require(o.max_waiting >= 1 && o.max_waiting <= (std::size_t{1} << 20), "max_waiting",
               std::uint64_t{o.max_waiting}, "must be at least 1 and at most 1048576")
      .require(o.max_wait > duration::zero(), "max_wait", o.max_wait, "must be positive")
      .require(o.when_full != queue_full::wait, "when_full", static_cast<std::uint64_t>(o.when_full),
               "must not be wait");
  if (auto error = checks.result()) return error;
  return validate(detail::line_of(o));
}

/// Counts are since the admission was made.
struct admission_snapshot {
  std::string name = {};
  std::uint32_t limit = 0;  ///< in force
  std::uint32_t in_flight =
      0;  ///< of all that take places of the limit; more than `limit` for a while after it has fallen
  std::size_t waiting = 0;
  duration oldest = {};  ///< has waited so long
  queue_level level = queue_level::low;
  bool overloaded = false;  ///< CoDel drops
  // Of those who had to wait:
  std::uint64_t admitted_late = 0;
  std::uint64_t timed_out = 0;  ///< `max_wait` has passed
  std::uint64_t expired = 0;    ///< the deadline could not be met any more
  std::uint64_t evicted = 0;    ///< made room for another
  std::uint64_t dropped_by_codel = 0;
  std::uint64_t refused = 0;  ///< those who could not even wait
};

}  // namespace seawall

#endif  // SEAWALL_CORE_ADMISSION_OPTIONS_HPP
