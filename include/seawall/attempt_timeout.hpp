// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ATTEMPT_TIMEOUT_HPP
#define SEAWALL_ATTEMPT_TIMEOUT_HPP

// A time-out for each attempt, so that one that hangs leaves time for another. For the whole call see
// deadline.hpp.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/deadline.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"

namespace seawall {

struct attempt_timeout_options {
  std::string name = {};
  duration after = std::chrono::seconds(1);  ///< positive
  /// If set, asked at the beginning of each attempt instead of `after`; an answer that is not positive ends
  /// the attempt.
  std::function<duration(const call_view&)> from = nullptr;
};

inline std::optional<option_error> validate(const attempt_timeout_options& o) {
  detail::option_checks checks;
  checks.require(o.after > duration::zero(), "after", o.after, "must be positive");
  return checks.result();
}

/// The layer made by `attempt_timeout`.
///
/// Cost: a comparison and an addition.
/// Cancellation: the attempt carries the deadline. Where it can be abandoned, it is, and counts as a failure
/// of the dependency; else a result that comes late is delivered, and counts as slow.
class attempt_timeout_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::attempt_timeout;
  static constexpr bool straight = true;
  using options_type = attempt_timeout_options;
  static constexpr std::string_view policy_name = "attempt_timeout";

  explicit attempt_timeout_layer(attempt_timeout_options options)
      : options_(detail::checked(policy_name, std::move(options))) {}

  /// `absl::StatusOr<attempt_timeout_layer>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<attempt_timeout_layer>>
  static auto create(attempt_timeout_options options) {
    return Creator::make(std::move(options));
  }

  template <class Inner>
  class frame : public passthrough<attempt_timeout_layer, Inner> {
    using base = passthrough<attempt_timeout_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      const auto& o = this->layer().options_;
      if (o.from) [[unlikely]]
        return false;
      at_ = now + o.after;
      const call::attempt_scope scope(c, at_);
      return this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      if (now > at_) v.slow = true;
    }
    resolution start(call& c, instant now) {
      const auto& o = this->layer().options_;
      const duration allowed = detail::time_allowed(o.after, o.from, c, now, c.attempt_deadline());
      at_ = now + allowed;
      if (allowed <= duration::zero()) [[unlikely]] {
        return reject(c, now, {.health = health::silent, .again = again::always});
      }
      const call::attempt_scope scope(c, at_);
      return this->inner().start(c, now);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      const call::attempt_scope scope(c, at_);
      resolution r = this->inner().on_done(c, now, id, v);
      if (r && now > at_) r.v.slow = true;
      return r;
    }
    resolution on_time(call& c, instant now) {
      const call::attempt_scope scope(c, at_);
      if (now < at_) return this->inner().on_time(c, now);
      this->inner().cancel(c);
      return reject(c, now, verdict::transient());
    }
    instant wake_at() const { return this->earlier(at_, this->inner().wake_at()); }

   private:
    resolution reject(call& c, instant now, const verdict& v) {
      return c.reject(
          now, {.policy = policy_name, .name = this->layer().options_.name, .why = reason::timed_out}, v);
    }

    instant at_ = instant::never();
  };

 private:
  attempt_timeout_options options_;
};

/// Bounds each attempt. It never outlasts the deadline of the call.
inline attempt_timeout_layer attempt_timeout(attempt_timeout_options options) {
  return attempt_timeout_layer(std::move(options));
}

}  // namespace seawall

#endif  // SEAWALL_ATTEMPT_TIMEOUT_HPP
