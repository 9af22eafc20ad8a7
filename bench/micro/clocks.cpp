// SPDX-License-Identifier: Apache-2.0

// What it costs to know the time, and how finely one knows it.

#include <ctime>

#include "by_hand.hpp"
#include "subject.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {
namespace {

struct steady {
  std::int64_t operator()() const { return read_clock(); }
};

template <clockid_t Id>
struct posix_clock {
  std::int64_t operator()() const {
    timespec t{};
    ::clock_gettime(Id, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
  }
};

#if defined(__x86_64__)
struct counter {
  std::uint64_t operator()() const { return __rdtsc(); }
};
// A reading that is not moved before what comes before it, as clocks must not be.
struct ordered_counter {
  std::uint64_t operator()() const {
    _mm_lfence();
    return __rdtsc();
  }
};
#endif

const bool added = [] {
  alone<steady>("clock/std::chrono::steady_clock::now");
  alone<posix_clock<CLOCK_MONOTONIC>>("clock/CLOCK_MONOTONIC");
#if defined(CLOCK_MONOTONIC_COARSE)
  alone<posix_clock<CLOCK_MONOTONIC_COARSE>>("clock/CLOCK_MONOTONIC_COARSE");
#endif
#if defined(__x86_64__)
  alone<counter>("clock/rdtsc");
  alone<ordered_counter>("clock/lfence; rdtsc");
#endif
  return true;
}();

}  // namespace
}  // namespace bench
