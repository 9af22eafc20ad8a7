// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EVENT_HPP
#define SEAWALL_EVENT_HPP

// Typed events to whoever watches. Nothing on the success path emits one, so a listener costs nothing until
// something goes wrong, and a missing listener costs one comparison even then.

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include "seawall/rejection.hpp"
#include "seawall/time.hpp"
#include "seawall/verdict.hpp"

namespace seawall {

/// Why a hedge started another attempt.
enum class hedge_reason : std::uint8_t {
  delay,    ///< those under way had not answered in time
  failure,  ///< one of them failed
};

/// What kept a hedge from starting another attempt.
enum class hedge_withheld_by : std::uint8_t {
  nothing,
  slow,     ///< too many calls reach the delay: everything is slow
  useless,  ///< hedges hardly ever come first
  load,     ///< the user's load function
  chance,   ///< the reissue probability
  budget,   ///< the retry budget is spent
};

namespace event {

/// A policy said no. Emitted once for each time, also if a retry outside it tries again.
struct rejected {
  const rejection& what;
  instant at;
};

/// An attempt failed and the next one will start after `delay`.
struct retry_scheduled {
  std::string_view name;  ///< the retry's
  std::uint32_t attempt;  ///< number of the attempt that failed
  duration delay;
  bool pushback;  ///< the delay is the dependency's wish
  verdict failure;
  instant at;
};

/// A retry let a failure through.
struct gave_up {
  const ending& what;
  verdict failure;
  instant at;
};

/// A hedge starts another attempt.
struct hedged {
  std::string_view name;  ///< the hedge's
  std::uint32_t attempt;  ///< number that the attempt will have
  duration after;         ///< since the first attempt of the hedge began
  hedge_reason why;
  instant at;
};

/// A hedge would have started another attempt.
struct hedge_withheld {
  std::string_view name;  ///< the hedge's
  hedge_withheld_by by;
  instant at;
};

/// A fallback was asked for a substitute.
struct fallback_used {
  std::string_view name;
  verdict failure;
  instant at;
};

/// A cache served an answer that was not fresh any more.
struct stale_served {
  std::string_view name;  ///< the cache's
  std::string_view key;
  duration age;
  bool on_error;    ///< in place of `failure`; else while somebody refreshes it
  verdict failure;  ///< meaningful if `on_error`
  instant at;
};

/// A policy's shared state changed, once for each transition.
struct state_changed {
  std::string_view policy;  ///< kind: "circuit_breaker"
  std::string_view name;
  std::string_view key;  ///< for keyed policies; may be empty
  std::string_view from;
  std::string_view to;
  std::string_view why;  ///< "failure rate", "probe failed", "by hand"
  instant at;
};

/// A policy moved a limit by itself.
struct limit_changed {
  std::string_view policy;  ///< kind: "adaptive_limit"
  std::string_view name;
  std::string_view key;  ///< for keyed policies; may be empty
  double from;
  double to;
  std::string_view why;  ///< "latency", "pushback"
  instant at;
};

/// A fault was made on purpose.
struct fault_injected {
  std::string_view name;   ///< of the chaos
  std::string_view fault;  ///< "failure", "latency", "hang", "result"
  instant at;
};

}  // namespace event

/// Receives events. Override what interests you.
///
/// Thread safety: called from the threads that make the calls, several at once; events of two threads may
/// come in another order than they happened. Called with no lock of seawall held: it may call back into the
/// policy. It must not throw.
class listener {
 public:
  listener() = default;
  listener(const listener&) = default;
  listener& operator=(const listener&) = default;
  virtual ~listener() = default;

  virtual void on(const event::rejected&) noexcept {}
  virtual void on(const event::retry_scheduled&) noexcept {}
  virtual void on(const event::gave_up&) noexcept {}
  virtual void on(const event::hedged&) noexcept {}
  virtual void on(const event::hedge_withheld&) noexcept {}
  virtual void on(const event::fallback_used&) noexcept {}
  virtual void on(const event::stale_served&) noexcept {}
  virtual void on(const event::state_changed&) noexcept {}
  virtual void on(const event::limit_changed&) noexcept {}
  virtual void on(const event::fault_injected&) noexcept {}
};

/// A listener made of a function object that accepts some or all of the events (an overload set, a generic
/// lambda).
template <class F>
class listening final : public listener {
 public:
  explicit listening(F f) : f_(std::move(f)) {}

  void on(const event::rejected& e) noexcept override { pass(e); }
  void on(const event::retry_scheduled& e) noexcept override { pass(e); }
  void on(const event::gave_up& e) noexcept override { pass(e); }
  void on(const event::hedged& e) noexcept override { pass(e); }
  void on(const event::hedge_withheld& e) noexcept override { pass(e); }
  void on(const event::fallback_used& e) noexcept override { pass(e); }
  void on(const event::stale_served& e) noexcept override { pass(e); }
  void on(const event::state_changed& e) noexcept override { pass(e); }
  void on(const event::limit_changed& e) noexcept override { pass(e); }
  void on(const event::fault_injected& e) noexcept override { pass(e); }

 private:
  template <class E>
  void pass(const E& e) {
    if constexpr (std::invocable<F&, const E&>) f_(e);
  }

  F f_;
};

}  // namespace seawall

#endif  // SEAWALL_EVENT_HPP
