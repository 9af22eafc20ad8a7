// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_REJECTION_HPP
#define SEAWALL_REJECTION_HPP

// Why a call ended without the result of an attempt (`rejection`), and why nothing more was tried after one
// (`ending`). Both are machine-readable; `outcome_traits` turns them into the caller's result type, text.hpp
// into words.

#include <cstdint>
#include <string_view>

#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

enum class reason : std::uint8_t {
  none,
  open,               ///< circuit breaker: open; `retry_after` is the time left
  half_open,          ///< circuit breaker: all probes are under way, or too many wait for their verdict
  recovering,         ///< circuit breaker: just closed, outside the share admitted so far
  isolated,           ///< circuit breaker: isolated by hand
  deadline_exceeded,  ///< the deadline passed before an attempt could answer
  deadline_expired,   ///< the deadline had passed before the first attempt
  timed_out,          ///< an attempt did not answer in its time
  cancelled,          ///< the caller has gone
  limit_reached,      ///< a limit on concurrency or rate
  queue_full,         ///< a limit, and as many calls wait for it as may
  wait_timed_out,     ///< a limit: no place became free in the time that the call may wait
  throttled,          ///< client-side throttling: the dependency rejects too much
  degraded,           ///< not served at the present level of service, or not to this caller; see `detail`
  injected,           ///< a fault made on purpose
  no_answer,          ///< an asynchronous operation let go of its completion without a result
  threw,              ///< an asynchronous operation threw although its result tells of failures; see `detail`
  shut_down,          ///< the scheduler that ran the call has shut down
  wrong_driver,       ///< the driver cannot run a layer of this pipeline; see `detail`
  custom,             ///< a policy that seawall does not know; see `detail`
};

/// How much of a rejection goes into the result.
enum class rejection_detail : std::uint8_t {
  full,       ///< code, text, and a machine-readable payload
  code_only,  ///< the code alone: no allocation; for those who reject millions
};

/// A policy's "no". The views refer to the policy, which outlives the call; results copy what they keep.
struct rejection {
  std::string_view policy = {};  ///< kind: "circuit_breaker", "deadline"
  std::string_view name = {};    ///< instance, from its options; may be empty
  reason why = reason::none;
  rejection_detail detail_level = rejection_detail::full;
  std::string_view detail = {};  ///< more about it, for people; may be empty
  duration retry_after = verdict::no_pushback();
  std::uint32_t attempts = 0;  ///< made before this rejection ended the call
  duration elapsed = {};       ///< since the call began
  std::uint8_t code = 0;       ///< of the status made from it (`absl::StatusCode`); 0: as `why` says

  constexpr bool has_retry_after() const noexcept { return retry_after >= duration::zero(); }
};

/// Why a retry stopped although the last attempt had failed in a way that might be mended.
enum class give_up : std::uint8_t {
  none,            ///< it did not: success, or a failure that is final by itself
  max_attempts,    ///< as many attempts as allowed
  max_duration,    ///< the next one would start after the total time allowed
  deadline,        ///< the next one would start after the deadline
  budget,          ///< the retry budget is spent
  pushback,        ///< the dependency asked for a longer pause than allowed
  not_repeatable,  ///< it may have been executed, and is not idempotent
  nested,          ///< an enclosing call retries already
};

/// What a retry says about the result it lets through.
struct ending {
  give_up why = give_up::none;
  std::string_view name = {};  ///< the retry's instance name; may be empty
  std::uint32_t attempts = 0;  ///< made in this call
  duration elapsed = {};       ///< since the call began
};

}  // namespace seawall

#endif  // SEAWALL_REJECTION_HPP
