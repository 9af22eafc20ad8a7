// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_QUEUE_OPTIONS_HPP
#define SEAWALL_CORE_QUEUE_OPTIONS_HPP

// The options of a backpressure queue: its bounds, its order, what it does when it is full, and what it does
// with items that have waited too long. docs/queue.md says which to choose; the defaults need no tuning where
// items have deadlines.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/time.hpp"

namespace seawall {

/// What happens to an item for which there is no room.
enum class queue_full : std::uint8_t {
  wait,         ///< the producer waits; `try_push` is refused
  reject,       ///< the producer keeps it
  drop_oldest,  ///< what came first makes room
  drop_newest,  ///< what came last makes room
  drop_lowest,  ///< of lower priority than the new item: the lowest, of those the newest; else the producer keeps it
};

/// Which item is next.
enum class queue_order : std::uint8_t {
  fifo,
  lifo,
  adaptive_lifo,      ///< first come first, but newest first while the oldest has used up its patience
  priority,           ///< highest first, and waiting counts: see `aging`
  earliest_deadline,  ///< items without a deadline come last
  fair,               ///< the keys take turns
};

/// How CoDel gets rid of a standing queue.
enum class codel_law : std::uint8_t {
  /// While there is one, every item that has waited longer than twice the target is dropped: where those who
  /// send do not slow down because one item was dropped, as requests do not.
  sojourn,
  /// RFC 8289: one item, then more and more often, at intervals of `interval / sqrt(n)`: where they do.
  rfc8289,
};

/// Drops what waits because the queue never empties (Nichols and Jacobson, "Controlling Queue Delay", 2012;
/// RFC 8289).
struct codel_options {
  bool on = false;
  /// Waiting that is tolerated for ever; positive.
  duration target = std::chrono::milliseconds(5);
  /// A queue stands if even the least waiting time of one interval was above the target; at least the target.
  duration interval = std::chrono::milliseconds(100);
  codel_law law = codel_law::sojourn;
};

struct backpressure_queue_options {
  std::string name = {};
  /// Items, those that are being moved in included: [1, 2^30].
  std::size_t max_items = 1024;
  /// Bytes, as `queue_hooks::bytes` counts them; 0: only items are counted. A bound needs that function.
  std::uint64_t max_bytes = 0;
  queue_full when_full = queue_full::wait;
  queue_order order = queue_order::adaptive_lifo;  ///< fixed for the life of the queue

  /// Drops items that cannot meet their deadline any more: those with less than `service_time` left.
  bool expire = true;
  duration service_time = {};  ///< how long it takes to serve an item, at most; not negative

  /// For `adaptive_lifo`: the patience of an item ends at this share of the time to its deadline: [0, 1].
  double patience_share = 0.5;
  /// For `adaptive_lifo`: the patience of an item that has no deadline; not negative.
  duration patience = std::chrono::milliseconds(100);
  /// For `priority`: waiting so long is worth one step of priority, so that nothing starves: positive, at
  /// most 1 h.
  duration aging = std::chrono::seconds(1);
  /// For `fair`: into how many turns the keys are hashed; keys that share one share its part. [1, 2^20];
  /// fixed.
  std::size_t turns = 1024;
  /// For `fair`: bytes for each turn. 0: one item, whatever its size. Smaller than an item, that takes
  /// several rounds: at least 1024.
  std::uint64_t quantum = 0;

  codel_options codel = {};

  /// The queue is called high from this share of a bound on: [0, 1]; 0: never.
  double high_watermark = 0;
  /// And no longer high when both bounds are used to this share or less: at least 0, less than
  /// `high_watermark` where that is set.
  double low_watermark = 0;

  listener* events = nullptr;  ///< told of every passing of a watermark; outlives the queue
};

inline std::optional<option_error> validate(const backpressure_queue_options& o) {
  constexpr auto positive = "must be positive";
  constexpr auto not_negative = "must not be negative";
  constexpr auto share = "must be at least 0 and at most 1";
  detail::option_checks checks;
  checks
      .require(o.max_items >= 1 && o.max_items <= (std::size_t{1} << 30), "max_items",
               std::uint64_t{o.max_items}, "must be at least 1 and at most 1073741824")
      .require(o.service_time >= duration::zero(), "service_time", o.service_time, not_negative)
      .require(detail::within(o.patience_share, 0.0, 1.0), "patience_share", o.patience_share, share)
      .require(o.patience >= duration::zero(), "patience", o.patience, not_negative)
      .require(o.aging > duration::zero() && o.aging <= std::chrono::hours(1), "aging", o.aging,
               "must be positive and at most 1h")
      .require(o.turns >= 1 && o.turns <= (std::size_t{1} << 20), "turns", std::uint64_t{o.turns},
               "must be at least 1 and at most 1048576")
      .require(o.quantum == 0 || (o.quantum >= 1024 && o.quantum <= (std::uint64_t{1} << 40)), "quantum",
               o.quantum, "must be 0 (one item) or at least 1024 and at most 1099511627776")
      .require(o.codel.target > duration::zero(), "codel.target", o.codel.target, positive)
      .require(o.codel.interval >= o.codel.target, "codel.interval", o.codel.interval,
               "must be at least codel.target")
      .require(detail::within(o.high_watermark, 0.0, 1.0), "high_watermark", o.high_watermark, share)
      .require(o.low_watermark >= 0.0 && (o.low_watermark < o.high_watermark || o.low_watermark == 0.0),
               "low_watermark", o.low_watermark, "must be at least 0 and less than high_watermark");
  return checks.result();
}

/// Why an item left the queue without a consumer.
enum class queue_drop : std::uint8_t {
  evicted,    ///< it made room for another
  expired,    ///< it could not meet its deadline any more
  sojourn,    ///< CoDel: it had waited too long in a standing queue
  abandoned,  ///< it was left when the queue was destroyed
};
inline constexpr std::size_t queue_drops = 4;

constexpr std::string_view to_string(queue_drop d) noexcept {
  constexpr std::string_view names[] = {"evicted", "expired", "sojourn", "abandoned"};
  return names[static_cast<std::size_t>(d)];
}

/// Above the high watermark or not.
enum class queue_level : std::uint8_t { low, high };

constexpr std::string_view to_string(queue_level l) noexcept {
  return l == queue_level::high ? "high" : "low";
}

}  // namespace seawall

#endif  // SEAWALL_CORE_QUEUE_OPTIONS_HPP
