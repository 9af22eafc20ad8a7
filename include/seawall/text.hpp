// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TEXT_HPP
#define SEAWALL_TEXT_HPP

// Rejections and endings in words, for messages that people read. Machines read the structures.

#include <string>
#include <string_view>

#include "seawall/event.hpp"
#include "seawall/options.hpp"
#include "seawall/rejection.hpp"

namespace seawall {

constexpr std::string_view to_string(reason r) noexcept {
  switch (r) {
    case reason::none: return "none";
    case reason::open: return "open";
    case reason::half_open: return "half_open";
    case reason::recovering: return "recovering";
    case reason::isolated: return "isolated";
    case reason::deadline_exceeded: return "deadline_exceeded";
    case reason::deadline_expired: return "deadline_expired";
    case reason::timed_out: return "timed_out";
    case reason::cancelled: return "cancelled";
    case reason::limit_reached: return "limit_reached";
    case reason::queue_full: return "queue_full";
    case reason::wait_timed_out: return "wait_timed_out";
    case reason::throttled: return "throttled";
    case reason::degraded: return "degraded";
    case reason::injected: return "injected";
    case reason::no_answer: return "no_answer";
    case reason::threw: return "threw";
    case reason::shut_down: return "shut_down";
    case reason::wrong_driver: return "wrong_driver";
    case reason::custom: return "custom";
  }
  return "?";
}

constexpr std::string_view to_string(give_up g) noexcept {
  switch (g) {
    case give_up::none: return "none";
    case give_up::max_attempts: return "max_attempts";
    case give_up::max_duration: return "max_duration";
    case give_up::deadline: return "deadline";
    case give_up::budget: return "budget";
    case give_up::pushback: return "pushback";
    case give_up::not_repeatable: return "not_repeatable";
    case give_up::nested: return "nested";
  }
  return "?";
}

constexpr std::string_view to_string(hedge_reason r) noexcept {
  switch (r) {
    case hedge_reason::delay: return "delay";
    case hedge_reason::failure: return "failure";
  }
  return "?";
}

constexpr std::string_view to_string(hedge_withheld_by w) noexcept {
  switch (w) {
    case hedge_withheld_by::nothing: return "nothing";
    case hedge_withheld_by::slow: return "slow";
    case hedge_withheld_by::useless: return "useless";
    case hedge_withheld_by::load: return "load";
    case hedge_withheld_by::chance: return "chance";
    case hedge_withheld_by::budget: return "budget";
  }
  return "?";
}

namespace detail {

inline std::string attempts_in(std::uint32_t attempts, duration elapsed) {
  return std::to_string(attempts) + (attempts == 1 ? " attempt in " : " attempts in ") + to_text(elapsed);
}

constexpr std::string_view phrase(reason r) noexcept {
  switch (r) {
    case reason::open: return " is open";
    case reason::half_open: return " is half-open, and all its probes are under way";
    case reason::recovering: return " is recovering, and admits a part of the calls";
    case reason::isolated: return " is isolated";
    case reason::deadline_exceeded: return " exceeded";
    case reason::deadline_expired: return " had passed before the first attempt";
    case reason::timed_out: return ": no answer in time";
    case reason::cancelled: return "";
    case reason::limit_reached: return ": limit reached";
    case reason::queue_full: return ": limit reached, and too many calls wait already";
    case reason::wait_timed_out: return ": limit reached, and no place became free in time";
    case reason::throttled: return " holds the call back, as the dependency rejects too much";
    case reason::degraded: return " does not serve the call now";
    case reason::injected: return " injected a fault";
    case reason::no_answer: return " ended without a result";
    case reason::threw: return " threw";
    case reason::shut_down: return " has shut down";
    case reason::none:
    case reason::wrong_driver:
    case reason::custom: return " rejected the call";
  }
  return "";
}

constexpr std::string_view phrase(give_up g) noexcept {
  switch (g) {
    case give_up::max_duration: return ", the next one would exceed its max_duration";
    case give_up::deadline: return ", the next one would start after the deadline";
    case give_up::budget: return ", the retry budget is spent";
    case give_up::pushback: return ", a longer pause is asked for than allowed";
    case give_up::not_repeatable: return ", the operation is not idempotent and may have been executed";
    case give_up::nested: return ", the enclosing call retries";
    case give_up::none:
    case give_up::max_attempts: return "";
  }
  return "";
}

inline void append_name(std::string& out, std::string_view name) {
  if (!name.empty()) out.append(" '").append(name).append("'");
}

}  // namespace detail

/// "circuit_breaker 'quotes' is open for another 4.2s".
inline std::string describe(const rejection& r) {
  std::string out(r.why == reason::cancelled ? "the call was cancelled by its caller" : r.policy);
  detail::append_name(out, r.name);
  if (r.why == reason::threw && !r.detail.empty()) return out.append(" threw: ").append(r.detail);
  const bool in_its_own_words = r.why == reason::custom || r.why == reason::wrong_driver;
  if (in_its_own_words && !r.detail.empty()) return out.append(": ").append(r.detail);
  if (!r.detail.empty()) out.append(" (").append(r.detail).append(")");
  out.append(detail::phrase(r.why));
  if (r.has_retry_after() && r.why != reason::injected)
    out.append(" for another ").append(to_text(r.retry_after));
  const bool timed =
      r.why == reason::deadline_exceeded || r.why == reason::timed_out || r.why == reason::cancelled;
  if (timed && r.attempts != 0) out.append(", after ").append(detail::attempts_in(r.attempts, r.elapsed));
  return out;
}

/// "retry gave up after 4 attempts in 812ms".
inline std::string describe(const ending& e) {
  std::string out = "retry";
  detail::append_name(out, e.name);
  out.append(" gave up after ").append(detail::attempts_in(e.attempts, e.elapsed));
  return out.append(detail::phrase(e.why));
}

}  // namespace seawall

#endif  // SEAWALL_TEXT_HPP
