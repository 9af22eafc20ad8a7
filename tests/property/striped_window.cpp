// SPDX-License-Identifier: Apache-2.0
// The striped window against a list of recordings, and under concurrent rotation, reset and undo.

#include "seawall/core/striped_window.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "property/known_defects.hpp"
#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::core::striped_window;
using seawall::core::window_counts;

class window_model {
 public:
  window_model(duration width, std::int64_t buckets) : width_(width), buckets_(buckets) {}

  /// An older time than the newest one known is taken for that one.
  std::size_t add(instant now, bool bad, bool slow) {
    learn(now);
    list_.push_back({newest_, bad, slow});
    return list_.size() - 1;
  }
  void undo(std::size_t i) {
    if (!list_[i].moved) list_[i].gone = true;
  }
  void reset() {
    for (recording& r : list_) r.gone = true;
  }
  window_counts sum(instant now) {
    learn(now);
    window_counts w;
    for (const recording& r : list_) {
      if (r.gone || r.bucket <= newest_ - buckets_) continue;
      ++w.calls;
      if (r.bad) ++w.bad;
      if (r.slow) ++w.slow;
    }
    return w;
  }
  /// What the window holds is as old as its bucket's beginning, and cannot be taken back any more.
  void set_width(duration width) {
    if (width == width_) return;
    const auto moved_to = [&](std::int64_t bucket) {
      return bucket_of(instant::from_ns(bucket * width_.ns()), width);
    };
    for (recording& r : list_) {
      r.gone = r.gone || r.bucket <= newest_ - buckets_;
      r.bucket = moved_to(r.bucket);
      r.moved = true;
    }
    if (knows_a_time()) newest_ = moved_to(newest_);
    width_ = width;
  }
  bool knows_a_time() const { return newest_ != none; }

 private:
  struct recording {
    std::int64_t bucket;
    bool bad;
    bool slow;
    bool gone = false;
    bool moved = false;
  };
  static constexpr std::int64_t none = -(std::int64_t{1} << 50);

  void learn(instant now) { newest_ = std::max(newest_, bucket_of(now, width_)); }

  duration width_;
  const std::int64_t buckets_;
  std::int64_t newest_ = none;
  std::vector<recording> list_;
};

class window_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit window_duel(dice& d)
      : d_(d),
        buckets_(d.pick({1U, 2U, 3U, 5U, 10U, 255U})),
        width_(random_width()),
        window_(width_, buckets_, d.pick({1U, 2U, 4U})),
        model_(width_, buckets_),
        now_(instant::from_ns(d.between<std::int64_t>(-100'000, 100'000))) {}

  mismatch step() {
    advance();
    const auto roll = d_.below(100);
    if (roll < 60)
      add();
    else if (roll < 75)
      undo();
    else if (roll < 77)
      window_.reset(), model_.reset();
    else if (roll < 80 && (model_.knows_a_time() || !known::new_width_before_first_use_overflows))
      set_width();
    return compare();
  }

 private:
  duration random_width() {
    return unit * d_.between(1, 5) + duration::from_ns(d_.between(0, 1) * d_.between(0, 999));
  }

  // Sometimes back, as when one thread is told the time later than another.
  void advance() {
    const auto roll = d_.below(100);
    if (roll < 40) return;
    const std::int64_t edge = (bucket_of(now_, width_) + d_.between(1, 3)) * width_.ns();
    if (roll < 70)
      now_ = instant::from_ns(edge - d_.between(0, 1));
    else if (roll < 85)
      now_ = now_ - units(d_, 1, 5);
    else
      now_ = now_ + width_ * d_.between<std::int64_t>(0, buckets_ + 1);
  }

  void add() {
    const bool bad = d_.chance(40), slow = d_.chance(30);
    // A good call may take the short cut.
    const auto real = !bad && !slow && d_.chance(70) ? window_.add(now_) : window_.add(now_, bad, slow);
    tickets_.push_back({real, model_.add(now_, bad, slow)});
  }
  void undo() {
    if (tickets_.empty()) return;
    const std::size_t i = d_.below(tickets_.size());
    window_.undo(tickets_[i].real);
    model_.undo(tickets_[i].model);
    tickets_.erase(tickets_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void set_width() {
    width_ = random_width();
    window_.set_width(width_);
    model_.set_width(width_);
  }

  mismatch compare() {
    const window_counts a = window_.sum(now_), b = model_.sum(now_);
    if (a == b) return {};
    return text(a.calls, "/", a.bad, "/", a.slow, ", expected ", b.calls, "/", b.bad, "/", b.slow);
  }

  struct ticket {
    striped_window::ticket real;
    std::size_t model;
  };
  dice& d_;
  const unsigned buckets_;
  duration width_;
  striped_window window_;
  window_model model_;
  instant now_;
  std::vector<ticket> tickets_;
};

TEST_CASE("striped_window: counts like a list of recordings") {
  run_sequences(100'000, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    window_duel duel(d);
    const std::uint64_t length = d.between(20, 60);
    for (std::uint64_t i = 0; i < length; ++i, ++operations) {
      if (auto mismatch = duel.step()) return text("operation ", i, ": ", *mismatch);
    }
    return {};
  });
}

TEST_CASE("striped_window: a bucket that is full stays full, and spoils nothing beside it") {
  striped_window w(duration::from_ns(1'000'000), 2, 1);
  const std::uint64_t most = std::uint64_t{1} << 23;
  for (std::uint64_t i = 0; i < most - 1; ++i) w.add(instant(), true, i % 2 == 0);
  CHECK(w.sum(instant()) == window_counts{most - 1, most - 1, most / 2});
  for (int i = 0; i < 1000; ++i) w.undo(w.add(instant(), true, true));
  for (int i = 0; i < 1000; ++i) w.add(instant(), true, true);
  CHECK(w.sum(instant()).bad == most);
  CHECK(w.sum(instant()).calls == most);
  w.add(instant::from_ns(1'000'000));
  CHECK(w.sum(instant()).calls == most + 1);
  CHECK(w.sum(instant::from_ns(2'000'000)) == window_counts{1, 0, 0});
}

// Under threads. The width is 1 us, the number of buckets 10.

constexpr unsigned threads = 4;
constexpr std::int64_t width_ns = 1000;
constexpr std::int64_t buckets = 10;

/// Every thread adds once at each nanosecond step of [begin, begin + length), taking back every third; all walk through
/// the time together, so that they rotate the same buckets at the same moment.
void add_and_undo(striped_window& w, dice d, std::int64_t begin, std::int64_t length) {
  for (std::int64_t t = begin; t < begin + length; ++t) {
    const instant now = instant::from_ns(t);
    const auto ticket = t % 2 != 0 && t % 5 != 0 ? w.add(now) : w.add(now, t % 2 == 0, t % 5 == 0);
    if (t % 3 == 0) w.undo(ticket);
    if (d.chance(1)) std::this_thread::yield();
  }
}

window_counts expected_of(std::int64_t begin, std::int64_t length) {
  window_counts w;
  for (std::int64_t t = begin; t < begin + length; ++t) {
    if (t % 3 == 0) continue;
    w.calls += threads;
    if (t % 2 == 0) w.bad += threads;
    if (t % 5 == 0) w.slow += threads;
  }
  return w;
}

TEST_CASE("striped_window: racing with rotation loses nothing and invents nothing") {
  const std::uint64_t rounds = sequences_wanted(400);
  for (const unsigned stripes : {1U, 4U}) {
    striped_window w(duration::from_ns(width_ns), buckets, stripes);
    starting_gun gun(threads);
    std::atomic<std::uint64_t> wrong{0};
    in_threads(threads, [&](unsigned thread) {
      dice d(seed() + thread);
      // Each round lies in buckets that the round before has filled, and fills exactly one window.
      for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::int64_t begin = static_cast<std::int64_t>(round) * width_ns * buckets;
        gun.wait();
        add_and_undo(w, d, begin, width_ns * buckets);
        gun.wait();
        const window_counts seen = w.sum(instant::from_ns(begin + width_ns * buckets - 1));
        if (seen != expected_of(begin, width_ns * buckets)) ++wrong;
        gun.wait();
      }
    });
    CHECK(wrong.load() == 0);
    CHECK(w.sum(instant::from_ns(static_cast<std::int64_t>(rounds + 1) * width_ns * buckets)) ==
          window_counts{});
  }
  MESSAGE("twice ", rounds, " rounds of ", threads, " threads, ", width_ns * buckets, " recordings each");
}

// All find the bucket in need of a rotation, wait for the mutex, and add when they have it.
TEST_CASE("striped_window: a bucket that several threads rotate at once keeps the counts of all") {
  const std::uint64_t rounds = sequences_wanted(20'000);
  striped_window w(duration::from_ns(width_ns), 255, 32);  // large: a sum holds the mutex for long
  std::atomic<std::int64_t> time{0};
  const noise sums([&] { w.sum(instant::from_ns(time)); });
  starting_gun gun(threads);
  std::atomic<std::uint64_t> wrong{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      const instant now = instant::from_ns(static_cast<std::int64_t>(round) * width_ns * 255);
      if (thread == 0) time = now.ns();
      gun.wait();
      w.add(now);
      w.add(now, true, true);
      gun.wait();
      if (thread == 0 && w.sum(now) != window_counts{2 * threads, threads, threads}) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", threads, " threads");
}

// Half of the threads are told the time a whole window later: both times have the same place in the ring of buckets.
TEST_CASE("striped_window: an old instant never takes the window back") {
  constexpr std::int64_t many = 255;
  const std::uint64_t rounds = sequences_wanted(20'000);
  striped_window w(duration::from_ns(width_ns), many, 32);
  const noise sums([&] { w.sum(instant::from_ns(0)); });
  starting_gun gun(threads);
  std::atomic<std::uint64_t> wrong{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      const std::int64_t old = static_cast<std::int64_t>(round) * 2 * many * width_ns;
      const std::int64_t later = old + many * width_ns;
      gun.wait();
      w.add(instant::from_ns(thread % 2 == 0 ? old : later));
      gun.wait();
      // An old one counts if it came second, and was taken for the newest.
      const std::uint64_t seen = thread == 0 ? w.sum(instant::from_ns(later)).calls : threads;
      if (seen < threads / 2 || seen > threads) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", threads, " threads");
}

// More threads than processors: now and then one is stopped between looking at its bucket and adding to it, and goes on
// after the bucket has been given to another time.
TEST_CASE("striped_window: what is taken back leaves nothing, whatever came in between") {
  constexpr unsigned crowd = 6;
  const std::uint64_t rounds = sequences_wanted(3'000);
  striped_window w(duration::from_ns(width_ns), 1, 1);
  starting_gun gun(crowd);
  std::atomic<std::uint64_t> wrong{0};
  const instant now = instant::from_ns(1);
  in_threads(crowd, [&](unsigned thread) {
    for (std::uint64_t round = 0; round < rounds; ++round) {
      gun.wait();
      for (int i = 0; i < 500; ++i) {
        if (thread < 2 && i % 10 == 0) w.reset();
        w.undo(i % 5 == 0 ? w.add(now, true, true) : w.add(now));
      }
      gun.wait();
      if (thread == 0 && w.sum(now) != window_counts{}) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", crowd, " threads");
}

/// Adds, takes back, resets, changes the width and looks, all at random. Says whether a sum was ever more than what can
/// have been added; a count below zero would be.
bool make_havoc(striped_window& w, dice& d, std::atomic<std::int64_t>& clock, unsigned thread,
                std::uint64_t most) {
  bool sane = true;
  for (int i = 0; i < 500; ++i) {
    const instant now = instant::from_ns(clock.fetch_add(d.between(0, 40)));
    const auto ticket = d.chance(50) ? w.add(now) : w.add(now, d.chance(50), d.chance(50));
    if (d.chance(40)) w.undo(ticket);
    if (thread != 0 || !d.chance(5)) continue;
    const window_counts c = w.sum(now);
    sane = sane && c.calls <= most && c.bad <= most && c.slow <= most;
    if (d.chance(50))
      w.reset();
    else
      w.set_width(duration::from_ns(width_ns * d.between(1, 3)));
  }
  return sane;
}

TEST_CASE("striped_window: after any havoc, a reset leaves nothing and the next counts are exact") {
  const std::uint64_t rounds = sequences_wanted(1'000);
  striped_window w(duration::from_ns(width_ns), buckets, 2);
  starting_gun gun(threads);
  std::atomic<std::int64_t> clock{0};
  std::atomic<std::uint64_t> wrong{0};
  in_threads(threads, [&](unsigned thread) {
    dice d(seed() + thread);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      gun.wait();
      if (!make_havoc(w, d, clock, thread, (round + 1) * threads * 500)) ++wrong;
      gun.wait();
      if (thread == 0) w.reset();
      if (thread == 0 && w.sum(instant::from_ns(clock)) != window_counts{}) ++wrong;
      gun.wait();
      const instant now = instant::from_ns(clock);
      for (int i = 0; i < 100; ++i) w.add(now, i % 2 == 0, i % 4 == 0);
      gun.wait();
      if (w.sum(now) != window_counts{100 * threads, 50 * threads, 25 * threads}) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", threads, " threads");
}

}  // namespace
