// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_STRIPED_HISTOGRAM_HPP
#define SEAWALL_CORE_STRIPED_HISTOGRAM_HPP

// How long things took lately: a histogram over a sliding window of time, made of slices and striped by
// processor. Recording is one atomic addition and never waits; reading walks everything and is for those who
// do it now and then.

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "seawall/core/stripe.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// Log-linear bins: each doubling has `steps` of equal width, so that a bin is at most 1/16 of its values
/// wide and its middle at most 1/32 away from any of them. What lies beyond the range is counted in the bins
/// at its ends.
class latency_bins {
 public:
  static constexpr unsigned steps_log2 = 4;
  static constexpr unsigned steps = 1U << steps_log2;
  /// From 16 ns to more than a day.
  static constexpr unsigned most = 43 * steps;

  /// The range is widened to powers of two. `shortest` at least 16 ns, `longest` greater and at most 2^47 ns.
  latency_bins(duration shortest, duration longest) noexcept
      : first_log2_(static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(shortest.ns()))) - 1),
        count_((static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(longest.ns() - 1))) -
                first_log2_) *
               steps) {}

  unsigned count() const noexcept { return count_; }

  unsigned index_of(duration d) const noexcept {
    if (d.ns() < std::int64_t{1} << first_log2_) return 0;
    const auto value = static_cast<std::uint64_t>(d.ns());
    const unsigned log2 = static_cast<unsigned>(std::bit_width(value)) - 1;
    const auto step = static_cast<unsigned>(value >> (log2 - steps_log2)) & (steps - 1);
    const unsigned i = (log2 - first_log2_) * steps + step;
    return i < count_ ? i : count_ - 1;
  }
  duration begin(unsigned i) const noexcept {
    return duration::from_ns(std::int64_t{steps + i % steps} << width_log2(i));
  }
  duration width(unsigned i) const noexcept { return duration::from_ns(std::int64_t{1} << width_log2(i)); }
  duration middle(unsigned i) const noexcept { return begin(i) + duration::from_ns(width(i).ns() >> 1); }

 private:
  unsigned width_log2(unsigned i) const noexcept { return first_log2_ + i / steps - steps_log2; }

  unsigned first_log2_;
  unsigned count_;
};

/// What a histogram held when it was read.
struct histogram_reading {
  latency_bins bins;
  std::uint64_t total = 0;
  std::uint64_t recent = 0;  ///< those in the newest two slices
  std::array<std::uint64_t, latency_bins::most> counts = {};

  /// The middle of the bin of the smallest value that at least `p` of all values do not exceed; nothing if
  /// there are none.
  std::optional<duration> quantile(double p) const noexcept {
    if (total == 0) return std::nullopt;
    const double wanted = std::ceil(p * static_cast<double>(total));
    const auto rank = wanted < 1 ? 1 : static_cast<std::uint64_t>(wanted);
    std::uint64_t below = 0;
    unsigned i = 0;
    while (i + 1 < bins.count() && (below += counts[i]) < rank) ++i;
    return bins.middle(i);
  }
};

/// How many there were of one kind in one slice: number of the slice << 28 | count. A word of a slice that is
/// over counts as empty, so that nothing has to be emptied when time moves on.
struct slice_count {
  static constexpr unsigned count_bits = 28;
  static constexpr std::uint64_t full = std::uint64_t{1} << (count_bits - 1);

  static std::uint64_t slice(std::uint64_t word) noexcept { return word >> count_bits; }
  static std::uint64_t count(std::uint64_t word) noexcept {
    return word & ((std::uint64_t{1} << count_bits) - 1);
  }

  /// One more in `slice`, or in the newer one that the word belongs to by now.
  static void add(std::atomic<std::uint64_t>& word, std::uint64_t slice) noexcept {
    const std::uint64_t mine = slice << count_bits;
    // Relaxed: a word says everything about itself.
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    while (seen < mine) {
      if (word.compare_exchange_weak(seen, mine | 1, std::memory_order_relaxed)) return;
    }
    // Never so many threads at once that they could fill the upper half.
    if (count(seen) < full) [[likely]]
      word.fetch_add(1, std::memory_order_relaxed);
  }
};

/// Guarantees:
/// 1. Slices are aligned to multiples of their width; what was recorded in slice k counts while the current
///    one is less than k + slices.
/// 2. Time never runs backwards: an instant older than the current slice is taken for one in it.
/// 3. A recording counts at most once. One that is made just when another thread begins a new slice counts in
///    the latest one before, and so for less long, or after a pause as long as the window not at all; one
///    that takes that long itself may count in the slice that has taken its place.
/// 4. A bin counts up to 2^27 a slice and stripe, then stays there.
///
/// Memory: 8 bytes a bin, slice and stripe.
/// Thread safety: shared objects safe.
/// Cost: `record`: three loads and one read-modify-write, whoever else does what; `read`: a load a bin, slice
/// and stripe.
class striped_histogram {
 public:
  /// Fewer than a counter may have: a histogram is large, and its bins are many lines anyway.
  static constexpr unsigned max_stripes = 8;

  /// `slices` in 1..255, `stripes` a power of two; width of a slice at least 10 ms: the numbers of slices
  /// last 21 years.
  striped_histogram(const latency_bins& bins, duration slice, unsigned slices, unsigned stripes)
      : bins_(bins),
        slices_(slices),
        stripe_mask_(stripes - 1),
        stride_(slices * bins.count() + gap),
        width_ns_(slice.ns()),
        words_(std::make_unique<std::atomic<std::uint64_t>[]>(std::size_t{stride_} * stripes)) {}

  [[gnu::always_inline]] void record(duration took, instant now) noexcept {
    // Acquire pairs with `advance`: whoever sees the new edge sees the new slice.
    const std::uint64_t current = now.ns() < edge_ns_.load(std::memory_order_acquire)
                                      ? current_.load(std::memory_order_acquire)
                                      : advance(now);
    const std::size_t place = (current & 0xff) * bins_.count() + bins_.index_of(took);
    slice_count::add(words_[std::size_t{stripe_hint() & stripe_mask_} * stride_ + place], current >> 8);
  }

  histogram_reading read(instant now) noexcept {
    if (now.ns() >= edge_ns_.load(std::memory_order_acquire)) advance(now);
    const std::uint64_t newest = current_.load(std::memory_order_acquire) >> 8;
    histogram_reading r{.bins = bins_};
    for (unsigned stripe = 0; stripe <= stripe_mask_; ++stripe) {
      const std::atomic<std::uint64_t>* word = &words_[std::size_t{stripe} * stride_];
      for (unsigned slice = 0; slice < slices_; ++slice) {
        for (unsigned i = 0; i < bins_.count(); ++i, ++word)
          add_to(r, i, newest, word->load(std::memory_order_relaxed));
      }
    }
    return r;
  }

  /// Changes the width of the slices, not their number. Those that have ended stay in the window for as many
  /// slices as before.
  void set_width(duration slice) noexcept {
    while (advancing_.test_and_set(std::memory_order_acquire)) {
    }
    const std::int64_t old_ns = width_ns_.load(std::memory_order_relaxed);
    const std::int64_t edge_ns = edge_ns_.load(std::memory_order_relaxed);
    width_ns_.store(slice.ns(), std::memory_order_relaxed);
    if (edge_ns != seawall::detail::int64_min) {
      edge_ns_.store(end_of_slice(edge_ns - old_ns, slice.ns()), std::memory_order_release);
    }
    advancing_.clear(std::memory_order_release);
  }

  unsigned slices() const noexcept { return slices_; }
  duration width() const noexcept { return duration::from_ns(width_ns_.load(std::memory_order_relaxed)); }
  const latency_bins& bins() const noexcept { return bins_; }

 private:
  // Unused words between stripes, a pair of cache lines wide: neighbours never share one.
  static constexpr unsigned gap = 16;

  void add_to(histogram_reading& r, unsigned bin, std::uint64_t newest, std::uint64_t word) const noexcept {
    const std::uint64_t slice = slice_count::slice(word), count = slice_count::count(word);
    if (slice + slices_ <= newest) return;
    r.counts[bin] += count;
    r.total += count;
    if (slice + 2 > newest) r.recent += count;
  }

  static std::int64_t end_of_slice(std::int64_t now_ns, std::int64_t width_ns) noexcept {
    const std::int64_t k = now_ns / width_ns - static_cast<std::int64_t>(now_ns % width_ns < 0);
    return seawall::detail::saturating_multiply(k + 1, width_ns);
  }

  // One thread moves on; the others do not wait for it.
  [[gnu::noinline]] std::uint64_t advance(instant now) noexcept {
    if (!advancing_.test_and_set(std::memory_order_acquire)) {
      const std::int64_t edge_ns = edge_ns_.load(std::memory_order_relaxed);
      if (now.ns() >= edge_ns) publish(now.ns(), edge_ns, width_ns_.load(std::memory_order_relaxed));
      advancing_.clear(std::memory_order_release);
    }
    return current_.load(std::memory_order_acquire);
  }

  void publish(std::int64_t now_ns, std::int64_t edge_ns, std::int64_t width_ns) noexcept {
    // As many as there are leave nothing behind: the numbers need not keep step with a clock that jumps.
    const std::int64_t passed = seawall::detail::saturating_subtract(now_ns, edge_ns) / width_ns;
    const std::uint64_t steps = passed < slices_ ? static_cast<std::uint64_t>(passed) + 1 : slices_;
    const std::uint64_t slice = (current_.load(std::memory_order_relaxed) >> 8) + steps;
    current_.store(slice << 8 | slice % slices_, std::memory_order_release);
    edge_ns_.store(end_of_slice(now_ns, width_ns), std::memory_order_release);
  }

  const latency_bins bins_;
  const unsigned slices_;
  const unsigned stripe_mask_;
  const unsigned stride_;
  // Written once a slice, read by every recording.
  std::atomic<std::int64_t> edge_ns_{seawall::detail::int64_min};  // where the current slice ends
  std::atomic<std::uint64_t> current_{0};                          // its number << 8 | its place; from 1
  std::atomic<std::int64_t> width_ns_;
  std::atomic_flag advancing_ = ATOMIC_FLAG_INIT;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

/// As `default_stripes`, within the bound of histograms.
inline unsigned histogram_stripes() noexcept {
  const unsigned all = default_stripes();
  return all < striped_histogram::max_stripes ? all : striped_histogram::max_stripes;
}

}  // namespace seawall::core

#endif  // SEAWALL_CORE_STRIPED_HISTOGRAM_HPP
