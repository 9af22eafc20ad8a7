// SPDX-License-Identifier: Apache-2.0
// The histogram against a sorted list of recordings, and under threads.

#include "seawall/core/striped_histogram.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::core::histogram_reading;
using seawall::core::latency_bins;
using seawall::core::striped_histogram;

constexpr duration shortest = duration::from_ns(1'000), longest = duration::from_ns(1'000'000);

// What the range is widened to.
constexpr std::int64_t least_ns = 512, most_ns = 1 << 20;

class histogram_model {
 public:
  histogram_model(duration width, std::uint64_t slices) : width_(width), slices_(slices) {}

  void record(duration took, instant now) {
    advance(now);
    list_.push_back({slice_, took});
  }
  std::vector<duration> held(instant now) {
    advance(now);
    std::vector<duration> values;
    for (const recording& r : list_) {
      if (r.slice + slices_ > slice_) values.push_back(r.took);
    }
    std::sort(values.begin(), values.end());
    return values;
  }
  std::uint64_t recent() const {
    return static_cast<std::uint64_t>(std::count_if(list_.begin(), list_.end(), [this](const recording& r) {
      return r.slice + 2 > slice_ && r.slice + slices_ > slice_;
    }));
  }
  /// The slice under way begins where it began, or at the multiple before it.
  void set_width(duration width) {
    if (edge_) edge_ = instant::from_ns((bucket_of(*edge_ - width_, width) + 1) * width.ns());
    width_ = width;
  }

 private:
  struct recording {
    std::uint64_t slice;
    duration took;
  };

  void advance(instant now) {
    if (edge_ && now < *edge_) return;
    // As many slices have begun as there are edges up to now.
    slice_ += edge_ ? static_cast<std::uint64_t>((now - *edge_).ns() / width_.ns()) + 1 : 1;
    edge_ = instant::from_ns((bucket_of(now, width_) + 1) * width_.ns());
  }

  duration width_;
  const std::uint64_t slices_;
  std::uint64_t slice_ = 0;
  std::optional<instant> edge_;
  std::vector<recording> list_;
};

class histogram_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit histogram_duel(dice& d)
      : d_(d),
        slices_(d.pick({1U, 2U, 3U, 10U})),
        width_(random_width()),
        histogram_(latency_bins(shortest, longest), width_, slices_, d.pick({1U, 2U, 8U})),
        model_(width_, slices_),
        now_(instant::from_ns(d.between<std::int64_t>(-100'000'000, 100'000'000))) {}

  mismatch step() {
    advance();
    const auto roll = d_.below(100);
    if (roll < 80) {
      const duration took = random_duration();
      histogram_.record(took, now_);
      model_.record(took, now_);
    } else if (roll < 83) {
      width_ = random_width();
      histogram_.set_width(width_);
      model_.set_width(width_);
    }
    return roll % 4 == 0 ? compare() : mismatch();
  }

 private:
  duration random_width() { return std::chrono::milliseconds(d_.between(10, 30)); }

  // Mostly one that the range tells apart; the edges of bins more often than not.
  duration random_duration() {
    const auto roll = d_.below(100);
    if (roll < 5) return duration::from_ns(d_.between<std::int64_t>(-5, 600));
    if (roll < 10) return duration::from_ns(d_.between<std::int64_t>(most_ns - 5, most_ns * 100));
    const int log2 = d_.between(9, 19);
    const std::int64_t step = std::int64_t{1} << (log2 - 4);
    return duration::from_ns((16 + d_.between(0, 15)) * step + (d_.chance(50)
                                                                    ? d_.between<std::int64_t>(-1, 1)
                                                                    : d_.between<std::int64_t>(0, step - 1)));
  }

  void advance() {
    const auto roll = d_.below(100);
    if (roll < 50) return;
    if (roll < 80)
      now_ = now_ + duration::from_ns(d_.between<std::int64_t>(0, width_.ns() / 2));
    else if (roll < 90)
      now_ = now_ - duration::from_ns(d_.between<std::int64_t>(0, width_.ns() * 2));
    else if (roll < 95)
      now_ = instant::from_ns((bucket_of(now_, width_) + 1) * width_.ns() - d_.between(0, 1));
    else
      now_ = now_ + width_ * d_.between<std::int64_t>(0, slices_ * 2);
  }

  mismatch compare() {
    const std::vector<duration> expected = model_.held(now_);
    const histogram_reading r = histogram_.read(now_);
    if (r.total != expected.size()) return text(r.total, " recordings, expected ", expected.size());
    if (r.recent != model_.recent()) return text(r.recent, " recent ones, expected ", model_.recent());
    if (expected.empty()) return r.quantile(0.5) ? mismatch("a quantile of nothing") : std::nullopt;
    for (const double p : {0.0, 0.01, 0.5, 0.9, 0.99, 1.0}) {
      if (auto m = compare_quantile(p, *r.quantile(p), expected)) return m;
    }
    return {};
  }

  mismatch compare_quantile(double p, duration got, const std::vector<duration>& sorted) {
    const auto n = static_cast<double>(sorted.size());
    // The first value that at least p of all do not exceed, found by counting.
    std::size_t i = 0;
    while (static_cast<double>(i + 1) < p * n) ++i;
    const std::int64_t ns = std::clamp(sorted[i].ns(), least_ns, most_ns - 1);
    if (std::abs(got.ns() - ns) * 32 <= ns) return {};
    return text("p", p * 100, " is ", got.ns(), ", expected ", ns);
  }

  dice& d_;
  const unsigned slices_;
  duration width_;
  striped_histogram histogram_;
  histogram_model model_;
  instant now_;
};

TEST_CASE("striped_histogram: quantiles are those of a sorted list, to 1/32") {
  run_sequences(20'000, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    histogram_duel duel(d);
    const std::uint64_t length = d.between(20, 80);
    for (std::uint64_t i = 0; i < length; ++i, ++operations) {
      if (auto mismatch = duel.step()) return text("operation ", i, ": ", *mismatch);
    }
    return {};
  });
}

TEST_CASE("latency_bins: every duration is in the bin whose values are around it, and bins leave no gap") {
  for (const auto& [low, high] : {std::pair{std::int64_t{16}, std::int64_t{32}}, std::pair{least_ns, most_ns},
                                  std::pair{std::int64_t{1} << 13, std::int64_t{1} << 46}}) {
    const latency_bins bins(duration::from_ns(low), duration::from_ns(high));
    CHECK(bins.count() <= latency_bins::most);
    unsigned last = 0;
    for (std::int64_t ns = low; ns < high; ns += 1 + ns / 1000) {
      const unsigned i = bins.index_of(duration::from_ns(ns));
      if (i != last) CHECK(i == last + 1);
      last = i;
      if (std::abs(bins.middle(i).ns() - ns) * 32 > ns) FAIL(ns, " in the bin around ", bins.middle(i).ns());
    }
    CHECK(last == bins.count() - 1);
    CHECK(bins.index_of(duration::infinite()) == last);
    CHECK(bins.index_of(duration::from_ns(seawall::detail::int64_min)) == 0);
  }
}

// Under threads.

constexpr unsigned threads = 4;
constexpr std::int64_t width_ns = 10'000'000;

TEST_CASE("striped_histogram: recordings of several threads are neither lost nor doubled") {
  const std::uint64_t rounds = sequences_wanted(2'000'000);
  for (const unsigned stripes : {1U, 8U}) {
    striped_histogram h(latency_bins(shortest, longest), duration::from_ns(width_ns), 2, stripes);
    // Begins the first slice: a recording made just while another thread does may not count, see guarantee 3.
    h.read(instant());
    starting_gun gun(threads);
    in_threads(threads, [&](unsigned thread) {
      gun.wait();
      // All in one bin, or each its own.
      for (std::uint64_t i = 0; i < rounds; ++i) {
        h.record(duration::from_ns(i % 2 == 0 ? 2'000 : 20'000 * (thread + 1)), instant());
      }
    });
    const histogram_reading r = h.read(instant());
    CHECK(r.total == rounds * threads);
    CHECK(r.counts[h.bins().index_of(duration::from_ns(2'000))] == rounds / 2 * threads);
    CHECK(r.counts[h.bins().index_of(duration::from_ns(20'000))] == rounds / 2);
  }
  MESSAGE("twice ", rounds, " recordings of ", threads, " threads");
}

// All walk through the time together; each round fills one window, over what the one before has left in the same
// places. A recording made just when a slice begins may fall into the one before, hence the slice that is left out
// between the rounds.
TEST_CASE("striped_histogram: racing with new slices counts each recording once") {
  constexpr std::int64_t slices = 4, steps = 50;
  const std::uint64_t rounds = sequences_wanted(4'000);
  for (const unsigned stripes : {1U, 4U}) {
    striped_histogram h(latency_bins(shortest, longest), duration::from_ns(width_ns), slices, stripes);
    starting_gun gun(threads);
    std::atomic<std::uint64_t> wrong{0};
    in_threads(threads, [&](unsigned thread) {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::int64_t begin = static_cast<std::int64_t>(round) * width_ns * (slices + 1);
        h.read(instant::from_ns(begin));
        gun.wait();
        for (std::int64_t i = 0; i < slices * steps; ++i) {
          h.record(shortest * (1 + i % 7), instant::from_ns(begin + i * width_ns / steps));
        }
        gun.wait();
        const instant end = instant::from_ns(begin + slices * width_ns - 1);
        if (thread == 0 && h.read(end).total != threads * slices * steps) ++wrong;
        gun.wait();
      }
    });
    CHECK(wrong.load() == 0);
    CHECK(h.read(instant::from_ns(static_cast<std::int64_t>(rounds + 1) * width_ns * (slices + 1))).total ==
          0);
  }
  MESSAGE("twice ", rounds, " rounds of ", threads, " threads");
}

TEST_CASE(
    "striped_histogram: half of the threads a window behind: nothing counts twice, no later one is lost") {
  constexpr std::int64_t slices = 3;
  const std::uint64_t rounds = sequences_wanted(20'000);
  striped_histogram h(latency_bins(shortest, longest), duration::from_ns(width_ns), slices, 1);
  starting_gun gun(threads);
  std::atomic<std::uint64_t> wrong{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      const instant later = instant::from_ns(static_cast<std::int64_t>(round) * 2 * slices * width_ns);
      const instant mine = thread % 2 == 0 ? later - duration::from_ns(slices * width_ns) : later;
      gun.wait();
      h.record(shortest, mine);
      if (thread == 3) h.set_width(duration::from_ns(width_ns));
      gun.wait();
      const std::uint64_t seen = thread == 0 ? h.read(later).total : 0;
      gun.wait();
      // The time is known by now: an old one is taken for one of the present.
      h.record(longest, mine);
      gun.wait();
      if (thread == 0 && (seen > threads || h.read(later).total != seen + threads)) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", threads, " threads");
}

}  // namespace
