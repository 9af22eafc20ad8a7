// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_STRIPE_HPP
#define SEAWALL_CORE_STRIPE_HPP

// Which stripe of a striped counter this thread should use, so that two processors do not fight for one cache
// line. A hint only: a thread may migrate right after it asked, so counters stay atomic.

#include <atomic>
#include <thread>

#if __has_include(<sys/rseq.h>) && defined(__x86_64__)
#include <sys/rseq.h>
#define SEAWALL_HAS_RSEQ 1
#else
#define SEAWALL_HAS_RSEQ 0
#endif

namespace seawall::core {

/// The most stripes that a counter is given: reading one costs a walk over all of them.
constexpr unsigned max_stripes = 32;

namespace detail {

inline unsigned next_thread_stripe() noexcept {
  static std::atomic<unsigned> next{0};
  // Relaxed: only uniqueness matters. From 1, as 0 means "not yet".
  return next.fetch_add(1, std::memory_order_relaxed) + 1;
}

inline unsigned thread_stripe() noexcept {
  static thread_local constinit unsigned mine = 0;
  if (mine == 0) [[unlikely]]
    mine = next_thread_stripe();
  return mine;
}

}  // namespace detail

/// The number of the processor that this thread runs on where the C library has registered restartable
/// sequences (Linux with glibc 2.35: one load from thread-local memory), else a number of the thread's own.
[[gnu::always_inline]] inline unsigned stripe_hint() noexcept {
#if SEAWALL_HAS_RSEQ
  if (__rseq_size != 0) [[likely]] {
    const auto* area = reinterpret_cast<const volatile struct ::rseq*>(
        static_cast<const char*>(__builtin_thread_pointer()) + __rseq_offset);
    return area->cpu_id_start;
  }
#endif
  return detail::thread_stripe();
}

/// A power of two that is at least the number of processors, at most `max_stripes`.
inline unsigned default_stripes() noexcept {
  static const unsigned stripes = [] {
    unsigned n = 1;
    while (n < std::thread::hardware_concurrency() && n < max_stripes) n *= 2;
    return n;
  }();
  return stripes;
}

}  // namespace seawall::core

#endif  // SEAWALL_CORE_STRIPE_HPP
