// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_STRIPED_WINDOW_HPP
#define SEAWALL_CORE_STRIPED_WINDOW_HPP

// Counts of calls, bad calls and slow calls over a sliding window of time, made of buckets and striped by
// processor. Recording is one atomic addition on a cache line that other processors leave alone; sums walk
// everything and are for the rare moments when a policy must decide.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "seawall/core/mutex.hpp"
#include "seawall/core/stripe.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// What a window holds.
struct window_counts {
  std::uint64_t calls = 0;
  std::uint64_t bad = 0;
  std::uint64_t slow = 0;

  friend bool operator==(const window_counts&, const window_counts&) = default;
};

/// Guarantees:
/// 1. Buckets are aligned to multiples of their width; what was recorded in bucket k counts while the current
///    bucket is less than k + buckets.
/// 2. Time never runs backwards: an instant older than the newest seen is taken for the newest, at bucket
///    granularity.
/// 3. A recording that races with the rotation or the reset of its bucket is moved or dropped, never
///    miscounted for good.
/// 4. A bucket counts up to 2^31 calls and 2^23 bad ones a stripe, then stays there.
///
/// Thread safety: shared objects safe.
/// Cost: `add`: three loads and one read-modify-write; `sum`: a mutex and 2 loads a bucket and stripe.
class striped_window {
 public:
  /// `buckets` in 1..255, `stripes` in 1..max_stripes, a power of two; width of a bucket at least 1 us.
  striped_window(duration bucket_width, unsigned buckets, unsigned stripes)
      : width_ns_(bucket_width.ns()),
        buckets_(buckets),
        stripe_mask_(stripes - 1),
        stride_(buckets + gap),
        slots_(std::make_unique<bucket[]>(static_cast<std::size_t>(stride_) * stripes)) {}

  /// Says where a recording went, so that it can be taken back.
  struct ticket {
    void* bucket = nullptr;
    std::uint64_t mark = 0;
    bool bad = false;
    bool slow = false;
  };

  /// A good call. The usual case in a few instructions; the rest is left to the other `add`.
  [[gnu::always_inline]] ticket add(instant now) noexcept {
    if (now.ns() < edge_ns_.load(std::memory_order_acquire)) [[likely]] {
      const std::int64_t current = current_.load(std::memory_order_acquire);
      bucket& b = slots_[static_cast<std::size_t>(stripe_hint() & stripe_mask_) * stride_ + (current & 0xff)];
      const std::uint64_t mark = b.mark.load(std::memory_order_acquire);
      if (epoch_of(mark) == current >> 8) [[likely]] {
        const std::uint64_t old = b.counts.fetch_add(one_call, std::memory_order_relaxed);
        if ((((old ^ mark) & tag_mask) | (old & full_mask)) == 0) [[likely]]
          return {&b, mark};
        take_back(b.counts, old & tag_mask, one_call);
      }
    }
    const ticket t = add(now, false, false);
    return {t.bucket, t.mark};
  }

  [[gnu::noinline]] ticket add(instant now, bool bad, bool slow) noexcept {
    const std::uint64_t increment = one_call + (bad ? one_bad : 0);
    bucket* const stripe = &slots_[static_cast<std::size_t>(stripe_hint() & stripe_mask_) * stride_];
    for (;;) {
      // Acquire pairs with `advance`: whoever sees the new edge sees the new bucket.
      const std::int64_t current = now.ns() < edge_ns_.load(std::memory_order_acquire)
                                       ? current_.load(std::memory_order_acquire)
                                       : advance(now);
      bucket& b = stripe[current & 0xff];
      // Acquire pairs with `rotate`: whoever sees the new mark sees the emptied counts, and the shared state
      // of the policy that emptied them.
      const std::uint64_t mark = b.mark.load(std::memory_order_acquire);
      if (epoch_of(mark) != current >> 8) [[unlikely]] {
        rotate(b, current);
        continue;
      }
      const std::uint64_t old = b.counts.fetch_add(increment, std::memory_order_relaxed);
      if (((old ^ mark) & tag_mask) != 0) [[unlikely]] {
        take_back(b.counts, old & tag_mask, increment);
        continue;
      }
      if ((old & full_mask) != 0) [[unlikely]] {
        take_back(b.counts, old & tag_mask, increment);
        return {};
      }
      if (slow) {
        const std::uint64_t before = b.slow.fetch_add(one_slow, std::memory_order_relaxed);
        if (((before ^ mark) & tag_mask) != 0) take_back(b.slow, before & tag_mask, one_slow);
      }
      return {&b, mark, bad, slow};
    }
  }

  /// Takes a recording back if its bucket still holds it.
  [[gnu::noinline]] void undo(ticket t) noexcept {
    if (t.bucket == nullptr) return;
    auto& b = *static_cast<bucket*>(t.bucket);
    take_back(b.counts, t.mark & tag_mask, one_call + (t.bad ? one_bad : 0));
    if (t.slow) take_back(b.slow, t.mark & tag_mask, one_slow);
  }

  /// The window as it stands at `now`.
  window_counts sum(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    if (now.ns() >= edge_ns_.load(std::memory_order_acquire)) advance(now);
    const mutex_lock lock(mutex_);
    const std::int64_t newest = current_.load(std::memory_order_relaxed) >> 8;
    window_counts total;
    for (std::size_t i = 0; i < slot_count(); ++i) {
      const std::int64_t epoch = epoch_of(slots_[i].mark.load(std::memory_order_relaxed));
      if (epoch > newest - buckets_ && epoch <= newest) add_to(total, slots_[i]);
    }
    return total;
  }

  /// Empties the window.
  void reset() noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    for (std::size_t i = 0; i < slot_count(); ++i) empty(slots_[i], no_epoch);
  }

  /// Changes the width of the buckets, not their number; what lies within the new window is kept.
  void set_width(duration bucket_width) ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    const std::int64_t old_width = width_ns_.load(std::memory_order_relaxed);
    const std::int64_t newest_ns = edge_ns_.load(std::memory_order_relaxed);
    if (old_width == bucket_width.ns()) return;
    if (newest_ns == seawall::detail::int64_min) {  // nothing recorded yet
      width_ns_.store(bucket_width.ns(), std::memory_order_relaxed);
      return;
    }
    const auto kept = std::make_unique<moved[]>(slot_count());
    std::size_t count = 0;
    const std::int64_t newest = current_.load(std::memory_order_relaxed) >> 8;
    for (std::size_t i = 0; i < slot_count(); ++i) {
      const std::int64_t epoch = epoch_of(slots_[i].mark.load(std::memory_order_relaxed));
      if (epoch > newest - buckets_ && epoch <= newest) {
        kept[count].at_ns = epoch * old_width;
        add_to(kept[count++].counts, slots_[i]);
      }
      empty(slots_[i], no_epoch);
    }
    width_ns_.store(bucket_width.ns(), std::memory_order_relaxed);
    // The newest instant known is somewhere in the last bucket: its beginning is the safe reading.
    const std::int64_t current = floor_div(newest_ns - old_width, bucket_width.ns());
    publish(current);
    for (std::size_t i = 0; i < count; ++i)
      put_back(floor_div(kept[i].at_ns, bucket_width.ns()), current, kept[i].counts);
  }

 private:
  // `mark`: epoch << 8 | tag. The epoch is the number of the bucket since the clock's zero; the tag counts
  // rotations of this slot, so that a recording can tell from the word it added to whether it still was the
  // bucket it meant. `counts`: calls << 32 | bad << 8 | tag. `slow`: slow << 8 | tag.
  struct bucket {
    std::atomic<std::uint64_t> mark{static_cast<std::uint64_t>(no_epoch) << 8};
    std::atomic<std::uint64_t> counts{0};
    std::atomic<std::uint64_t> slow{0};
  };
  struct moved {
    std::int64_t at_ns = 0;
    window_counts counts;
  };

  static constexpr std::int64_t no_epoch = -(std::int64_t{1} << 54);
  static constexpr std::uint64_t tag_mask = 0xff;
  static constexpr std::uint64_t one_bad = std::uint64_t{1} << 8;
  static constexpr std::uint64_t one_call = std::uint64_t{1} << 32;
  static constexpr std::uint64_t one_slow = std::uint64_t{1} << 8;
  static constexpr std::uint64_t full_mask = std::uint64_t{1} << 63 | std::uint64_t{1} << 31;
  // Unused slots between stripes, more than a pair of cache lines wide: neighbours never share one.
  static constexpr unsigned gap = 6;

  static std::int64_t epoch_of(std::uint64_t mark) noexcept { return static_cast<std::int64_t>(mark) >> 8; }

  static std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b - static_cast<std::int64_t>(a % b < 0);
  }

  // Subtracts what this thread had added, unless the word has been emptied since.
  [[gnu::noinline]] static void take_back(std::atomic<std::uint64_t>& word, std::uint64_t tag,
                                          std::uint64_t increment) noexcept {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while ((seen & tag_mask) == tag &&
           !word.compare_exchange_weak(seen, seen - increment, std::memory_order_relaxed)) {
    }
  }

  static void add_to(window_counts& total, const bucket& b) noexcept {
    const std::uint64_t counts = b.counts.load(std::memory_order_relaxed);
    total.calls += counts >> 32;
    total.bad += counts >> 8 & 0xffffff;
    total.slow += b.slow.load(std::memory_order_relaxed) >> 8;
  }

  std::int64_t advance(instant now) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (now.ns() >= edge_ns_.load(std::memory_order_relaxed)) {
      publish(floor_div(now.ns(), width_ns_.load(std::memory_order_relaxed)));
    }
    return current_.load(std::memory_order_relaxed);
  }

  void publish(std::int64_t epoch) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t slot = epoch - floor_div(epoch, buckets_) * buckets_;
    current_.store(epoch * 256 + slot, std::memory_order_release);
    const std::int64_t width = width_ns_.load(std::memory_order_relaxed);
    edge_ns_.store(seawall::detail::saturating_multiply(epoch + 1, width), std::memory_order_release);
  }

  // Gives the slot to the bucket of `current`, unless another thread did, or time or the width has moved on.
  void rotate(bucket& b, std::int64_t current) noexcept ABSL_LOCKS_EXCLUDED(mutex_) {
    const mutex_lock lock(mutex_);
    if (current_.load(std::memory_order_relaxed) != current) return;
    if (epoch_of(b.mark.load(std::memory_order_relaxed)) != current >> 8) empty(b, current >> 8);
  }

  void empty(bucket& b, std::int64_t epoch) noexcept ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t tag = (b.mark.load(std::memory_order_relaxed) + 1) & tag_mask;
    b.counts.store(tag, std::memory_order_relaxed);
    b.slow.store(tag, std::memory_order_relaxed);
    b.mark.store(static_cast<std::uint64_t>(epoch) << 8 | tag, std::memory_order_release);
  }

  void put_back(std::int64_t epoch, std::int64_t newest, const window_counts& counts) noexcept
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (epoch <= newest - buckets_) return;
    bucket& b = slots_[static_cast<std::size_t>(epoch - floor_div(epoch, buckets_) * buckets_)];
    if (epoch_of(b.mark.load(std::memory_order_relaxed)) != epoch) empty(b, epoch);
    // Several old buckets may fall into one new bucket; more than it can hold is left out.
    constexpr std::uint64_t calls_max = std::uint64_t{1} << 30, bad_max = std::uint64_t{1} << 22;
    const std::uint64_t calls = counts.calls < calls_max ? counts.calls : calls_max;
    const std::uint64_t bad = counts.bad < bad_max ? counts.bad : bad_max;
    b.counts.fetch_add(calls * one_call + bad * one_bad, std::memory_order_relaxed);
    b.slow.fetch_add(counts.slow * one_slow, std::memory_order_relaxed);
  }

  // The gaps are never recorded into, and stay without an epoch.
  std::size_t slot_count() const noexcept { return static_cast<std::size_t>(stride_) * (stripe_mask_ + 1); }

  // Written once for each bucket's time, read by every recording.
  std::atomic<std::int64_t> edge_ns_{seawall::detail::int64_min};  // where the current bucket ends
  std::atomic<std::int64_t> current_{no_epoch * 256};              // its epoch << 8 | its slot
  std::atomic<std::int64_t> width_ns_;
  const std::int64_t buckets_;
  const unsigned stripe_mask_;
  const unsigned stride_;
  const std::unique_ptr<bucket[]> slots_;
  mutex mutex_;  // rotation, sums, resets; guards what the atomics above say together
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_STRIPED_WINDOW_HPP
