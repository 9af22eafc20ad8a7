// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_RENDERING_HPP
#define SEAWALL_DRILL_RENDERING_HPP

// What a storefront has least of: workers that render pages. Both storefronts have the same ones, and only
// what they let wait for a worker differs.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace drill {

inline constexpr std::size_t render_workers = 8;

/// A worker's time for one page. A product page has pictures, reviews and what other customers bought.
inline constexpr std::chrono::milliseconds checkout_page_takes{10};
inline constexpr std::chrono::milliseconds product_page_takes{80};

/// In the overload act visitors ask for so many times the time that all workers together have.
inline constexpr int overload_factor = 4;

/// Product pages asked for in that act, besides `checkouts_per_s`.
int browsing_per_s(int checkouts_per_s);

/// Product pages asked for where there is time for all of them and for the checkouts.
inline constexpr int leisurely_browsing_per_s = 40;

/// Workers, each with one page at a time; first come, first served, for ever if need be.
///
/// They sleep instead of rendering, so that the capacity is the same on a machine of any speed: a page is
/// ready when the worker's time for it is over, counted from the end of the page before it, and not from when
/// a thread woke up. What is begun is rendered to its end, also for a visitor who has left. Thread safety:
/// any thread.
class renderer {
 public:
  using clock = std::chrono::steady_clock;

  /// Returns when the page is ready.
  void render(std::chrono::microseconds takes);

  /// When a page is ready that is asked for at `now`, after all that were asked for before it.
  clock::time_point reserve(clock::time_point now, std::chrono::microseconds takes);

  /// Workers' time spent until `now`, that on pages which are not ready yet included.
  std::chrono::microseconds spent(clock::time_point now) const;

 private:
  mutable std::mutex mutex_;
  std::array<clock::time_point, render_workers> free_at_{};
  clock::duration reserved_{0};
};

}  // namespace drill

#endif  // SEAWALL_DRILL_RENDERING_HPP
