// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_RANDOM_HPP
#define SEAWALL_RANDOM_HPP

// A small random source for jitter and sampling: cheap to seed, cheap to draw, reproducible from one seed.
// Not for cryptography.

#include <unistd.h>

#if defined(__APPLE__) || defined(__linux__)
#include <sys/random.h>
#endif

#include <chrono>
#include <cstdint>

namespace seawall {

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
///
/// Thread safety: distinct objects safe, shared objects unsafe.
/// Cost: 8 bytes, a few multiplications a draw; no seeding phase (a lazily seeded `std::mt19937` costs 240
/// us).
class random_source {
 public:
  constexpr explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

  constexpr std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  /// Uniform in [0, 1), in steps of 2^-53.
  constexpr double unit() noexcept { return static_cast<double>(next() >> 11U) * 0x1p-53; }

  /// Uniform in [0, bound], both ends included, without bias (Lemire: "Fast Random Integer Generation in an
  /// Interval", TOMACS 2019).
  constexpr std::uint64_t up_to(std::uint64_t bound) noexcept {
    if (bound == UINT64_MAX) return next();
    const std::uint64_t range = bound + 1;
    auto product = static_cast<wide>(next()) * range;
    if (static_cast<std::uint64_t>(product) < range) {
      const std::uint64_t threshold = (0 - range) % range;
      while (static_cast<std::uint64_t>(product) < threshold) product = static_cast<wide>(next()) * range;
    }
    return static_cast<std::uint64_t>(product >> 64U);
  }

 private:
  __extension__ using wide = unsigned __int128;

  std::uint64_t state_;
};

namespace detail {

inline std::uint64_t entropy_seed() noexcept {
  std::uint64_t seed = 0;
#if defined(__APPLE__) || defined(__linux__)
  if (::getentropy(&seed, sizeof seed) == 0) return seed;
#endif
  // No kernel entropy: the time, the process and the address of this thread's stack still differ between
  // clients.
  const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
  seed = static_cast<std::uint64_t>(ticks) ^ (static_cast<std::uint64_t>(::getpid()) << 40U);
  return seed ^ reinterpret_cast<std::uintptr_t>(&seed);
}

}  // namespace detail

/// This thread's source, seeded from the kernel at first use, and again in the child of a `fork`: pre-forked
/// workers that all draw the same jitter would retry in step.
///
/// Cost: `getpid` and a thread-local access; a `getentropy` of 8 bytes once per thread and process.
inline random_source& thread_random() noexcept {
  thread_local random_source source(0);
  thread_local ::pid_t seeded_in = -1;
  if (const ::pid_t self = ::getpid(); self != seeded_in) {
    source = random_source(detail::entropy_seed());
    seeded_in = self;
  }
  return source;
}

}  // namespace seawall

#endif  // SEAWALL_RANDOM_HPP
