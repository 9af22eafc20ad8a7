// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_QUOTA_HPP
#define SEAWALL_QUOTA_HPP

// A quota that several processes share, as a rate limiter sees it: what this process holds of it now, and
// when to ask again. Whoever implements it fetches permits from where the quota lives, in the background. Not
// a limit itself; see rate_limiter.hpp.

#include <cstdint>

#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// What a `quota_source` says.
struct quota_answer {
  bool granted = false;
  /// Of a refusal: when to ask again, from now; negative if not known.
  duration retry_after = verdict::no_pushback();
};

/// A quota that several processes share; what this process holds of it now. Must outlive the limiters that
/// draw on it.
///
/// Thread safety: both functions are called from any thread, at the same time.
/// Cost: both are on the path of a call. They never block and do no I/O.
class quota_source {
 public:
  /// Takes `permits`, all of them or none, out of what this process holds.
  virtual quota_answer take(std::uint32_t permits, instant now) noexcept = 0;
  /// Permits that were taken and will not be used. `now` is the instant of the taking where no newer one is
  /// known.
  virtual void give_back(std::uint32_t permits, instant now) noexcept = 0;

 protected:
  quota_source() = default;
  quota_source(const quota_source&) = default;
  quota_source& operator=(const quota_source&) = default;
  ~quota_source() = default;
};

}  // namespace seawall

#endif  // SEAWALL_QUOTA_HPP
