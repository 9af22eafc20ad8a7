// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DEADLINE_HPP
#define SEAWALL_DEADLINE_HPP

// A deadline for the whole call, retries and pauses included. For the time of one attempt see
// attempt_timeout.hpp.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/frame.hpp"
#include "seawall/options.hpp"

namespace seawall {

/// What a time-out may be computed from.
struct call_view {
  std::string_view key;
  int priority = 0;
  /// Until the deadline in force already; `infinite()` if there is none.
  duration time_left;
};

struct deadline_options {
  std::string name = {};
  duration after = std::chrono::seconds(1);  ///< positive
  /// If set, asked at the beginning of each call instead of `after`; an answer that is not positive ends the
  /// call.
  std::function<duration(const call_view&)> from = nullptr;
};

inline std::optional<option_error> validate(const deadline_options& o) {
  detail::option_checks checks;
  checks.require(o.after > duration::zero(), "after", o.after, "must be positive");
  return checks.result();
}

namespace detail {

inline duration time_allowed(const duration& after, const std::function<duration(const call_view&)>& from,
                             const call& c, instant now, instant bound) {
  if (!from) [[likely]]
    return after;
  return from(call_view{c.key(), c.priority(), bound - now});
}

}  // namespace detail

/// The layer made by `deadline`.
///
/// Cost: a comparison and an addition.
/// Cancellation: where attempts can be abandoned, they are when the deadline passes; a driver that runs them
/// on the caller's thread can only tell them how long they have, and delivers what comes late.
class deadline_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::deadline;
  static constexpr bool straight = true;
  using options_type = deadline_options;
  static constexpr std::string_view policy_name = "deadline";

  explicit deadline_layer(deadline_options options)
      : options_(detail::checked(policy_name, std::move(options))) {}

  /// `absl::StatusOr<deadline_layer>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<deadline_layer>>
  static auto create(deadline_options options) {
    return Creator::make(std::move(options));
  }

  template <class Inner>
  class frame : public passthrough<deadline_layer, Inner> {
    using base = passthrough<deadline_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      const auto& o = this->layer().options_;
      if (o.from) [[unlikely]]
        return false;
      at_ = this->earlier(now + o.after, c.deadline());
      if (at_ <= now) [[unlikely]]
        return false;
      c.tighten_deadline(at_);
      return this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      if (now > at_) v.slow = true;
    }
    resolution start(call& c, instant now) {
      const auto& o = this->layer().options_;
      at_ = now + detail::time_allowed(o.after, o.from, c, now, c.deadline());
      if (c.deadline() < at_) at_ = c.deadline();
      if (at_ <= now) [[unlikely]]
        return reject(c, now, reason::deadline_expired);
      c.tighten_deadline(at_);
      return this->inner().start(c, now);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      resolution r = this->inner().on_done(c, now, id, v);
      if (r && now > at_) r.v.slow = true;
      return r;
    }
    resolution on_time(call& c, instant now) {
      if (now < at_) return this->inner().on_time(c, now);
      this->inner().cancel(c);
      return reject(c, now, reason::deadline_exceeded);
    }
    instant wake_at() const { return this->earlier(at_, this->inner().wake_at()); }

   private:
    resolution reject(call& c, instant now, reason why) {
      // Time is over for whoever is outside as well; silent, since only attempts speak about the dependency.
      return c.reject(now, {.policy = policy_name, .name = this->layer().options_.name, .why = why},
                      verdict{});
    }

    instant at_ = instant::never();
  };

 private:
  deadline_options options_;
};

/// Bounds the whole call. The earliest of this, the caller's and an enclosing call's deadline wins.
inline deadline_layer deadline(deadline_options options) { return deadline_layer(std::move(options)); }

}  // namespace seawall

#endif  // SEAWALL_DEADLINE_HPP
