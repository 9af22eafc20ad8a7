// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_PROPERTY_SUPPORT_HPP
#define SEAWALL_TESTS_PROPERTY_SUPPORT_HPP

// What all property tests share: a random source of their own, the loop over random sequences, and how a failure is
// replayed. Every sequence has a seed of its own, so that one that fails can be run alone:
//
//   SEAWALL_SEED=<seed> SEAWALL_SEQUENCE=<number> <program> --test-case=<name>
//
// SEAWALL_SEQUENCES=<count> changes how many are tried.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "seawall/time.hpp"
#include "support/dice.hpp"
#include <doctest/doctest.h>

namespace property {

using seawall::duration;
using seawall::instant;

#if defined(__has_feature)
#define SEAWALL_TESTS_HAS_FEATURE(x) __has_feature(x)
#else
#define SEAWALL_TESTS_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || SEAWALL_TESTS_HAS_FEATURE(thread_sanitizer)
constexpr std::uint64_t slowdown = 20;
#elif defined(__SANITIZE_ADDRESS__) || SEAWALL_TESTS_HAS_FEATURE(address_sanitizer)
constexpr std::uint64_t slowdown = 5;
#else
constexpr std::uint64_t slowdown = 1;
#endif
#undef SEAWALL_TESTS_HAS_FEATURE

inline std::optional<std::uint64_t> from_environment(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 0);
}

inline std::uint64_t seed() {
  static const std::uint64_t value = from_environment("SEAWALL_SEED").value_or(0x5ea3a11);
  return value;
}

class dice : public seawall_test::dice {
 public:
  using seawall_test::dice::dice;

  template <class T>
  T between(T least, T most) {
    return least + static_cast<T>(below(static_cast<std::uint64_t>(most - least) + 1));
  }
  bool chance(unsigned percent) { return below(100) < percent; }
};

/// Collects the words of a mismatch; only made when there is one.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

/// Prints what happens, but only while one sequence is replayed.
template <class... Parts>
void trace(const Parts&... parts) {
  static const bool replaying = from_environment("SEAWALL_SEQUENCE").has_value();
  if (replaying) MESSAGE(text(parts...));
}

inline std::uint64_t sequences_wanted(std::uint64_t usual) {
  if (const auto wanted = from_environment("SEAWALL_SEQUENCES")) return *wanted;
  return usual / slowdown;
}

/// Runs `play(dice&, std::uint64_t& operations) -> std::optional<std::string>` with many seeds. The first mismatch that it
/// returns ends the test.
template <class Play>
void run_sequences(std::uint64_t count, Play&& play) {
  count = sequences_wanted(count);
  std::uint64_t first = 0;
  if (const auto only = from_environment("SEAWALL_SEQUENCE")) {
    first = *only;
    count = first + 1;
  }
  std::uint64_t operations = 0;
  for (std::uint64_t k = first; k < count; ++k) {
    dice d(seed() ^ k * 0x9e3779b97f4a7c15U);
    if (const std::optional<std::string> mismatch = play(d, operations)) {
      FAIL("SEAWALL_SEED=", seed(), " SEAWALL_SEQUENCE=", k, ": ", *mismatch);
    }
  }
  MESSAGE("seed ", seed(), ": ", count - first, " sequences, ", operations, " operations");
}

/// Lets threads begin at the same moment, as nearly as can be had; usable again. Spins first: a race that is only a few
/// nanoseconds wide is missed by threads that have to be woken.
class starting_gun {
 public:
  explicit starting_gun(unsigned threads) : threads_(threads) {}
  void wait() {
    const unsigned round = round_.load();
    if (arrived_.fetch_add(1) + 1 == threads_) {
      arrived_.store(0);
      round_.store(round + 1);
      return;
    }
    for (unsigned spins = 0; round_.load() == round; ++spins) {
      if (spins > 2'000) std::this_thread::yield();
    }
  }

 private:
  const unsigned threads_;
  alignas(64) std::atomic<unsigned> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
};

/// A thread that does one thing over and over while this lives: it holds a mutex much of the time, so that the threads under
/// test are stopped where they wait for it. Finds races that two processors alone seldom meet.
class noise {
 public:
  template <class Work>
  explicit noise(Work work)
      : thread_([this, work] {
          while (!over_) {
            for (int i = 0; i < 50; ++i) work();
            std::this_thread::sleep_for(
                std::chrono::microseconds(20));  // others must get a turn: a mutex is not fair
          }
        }) {}
  ~noise() {
    over_ = true;
    thread_.join();
  }
  noise(const noise&) = delete;
  noise& operator=(const noise&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Runs `work(number)` in so many threads, and waits for them.
template <class Work>
void in_threads(unsigned threads, Work work) {
  std::vector<std::thread> running;
  for (unsigned i = 0; i < threads; ++i) running.emplace_back(work, i);
  for (std::thread& t : running) t.join();
}

/// The number of the bucket that `t` lies in, buckets being aligned to multiples of their width.
inline std::int64_t bucket_of(instant t, duration width) {
  const std::int64_t whole = t.ns() / width.ns();
  return t.ns() % width.ns() < 0 ? whole - 1 : whole;
}

/// Small times, so that events often fall on one instant: the unit is the smallest width of a bucket.
constexpr duration unit = std::chrono::microseconds(1);

inline duration units(dice& d, std::int64_t least, std::int64_t most) {
  return unit * d.between(least, most);
}

}  // namespace property

#endif  // SEAWALL_TESTS_PROPERTY_SUPPORT_HPP
