// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_THROTTLE_HPP
#define SEAWALL_THROTTLE_HPP

// Client-side adaptive throttling: rejects here a share of what the dependency would refuse anyway, since
// refusing costs it, too. Not a limit on rate or concurrency, and not a breaker: it lets through about K
// times as much as is accepted.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/stripe.hpp"
#include "seawall/core/throttle_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"

namespace seawall {

namespace detail {

inline void check_priorities(option_checks& checks, const throttle_options& o) {
  checks.require(o.priorities.size() <= core::throttle_machine::max_priorities, "priorities",
                 std::uint64_t{o.priorities.size()}, "entries: must be at most 8");
  const throttle_options::priority_class* previous = nullptr;
  double least = o.multiplier;
  for (const auto& p : o.priorities) {
    checks
        .require(previous == nullptr || p.at_least > previous->at_least, "priorities.at_least",
                 static_cast<double>(p.at_least), "must be greater than that of the entry before")
        .require(
            within(p.multiplier, least, 1e6), "priorities.multiplier", p.multiplier,
            "must be at least that of the entry before, of the first one multiplier, and at most 1000000");
    previous = &p;
    least = p.multiplier;
  }
}

}  // namespace detail

inline std::optional<option_error> validate(const throttle_options& o) {
  detail::option_checks checks;
  checks.require(detail::within(o.multiplier, 1.0, 1e6), "multiplier", o.multiplier,
                 "must be at least 1 and at most 1000000");
  detail::check_priorities(checks, o);
  checks
      .require(o.buckets >= 1 && o.buckets <= 255, "buckets", std::uint64_t{o.buckets},
               "must be at least 1 and at most 255")
      .require(o.window.ns() / 1000 >= std::int64_t{o.buckets}, "window", o.window,
               "must be at least 1us for each bucket")
      .require(o.window <= std::chrono::hours(24), "window", o.window, "must be at most 24h")
      .require(detail::within(o.floor_per_second, 0.0, 1e6), "floor_per_second", o.floor_per_second,
               "must be at least 0 and at most 1000000");
  return checks.result();
}

/// The shared state of a throttle, and its stand-alone face. A handle: moving it leaves layers and permits
/// valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::throttle_machine`; about 450 bytes a stripe, one stripe for each processor (at most 32).
class adaptive_throttle {
 public:
  using options_type = throttle_options;
  static constexpr std::string_view policy_name = "throttle";

  /// Permission for one call, or a refusal. Move-only; dropping it says nothing about the dependency.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept : machine_(std::exchange(other.machine_, nullptr)), why_(other.why_) {}
    permit& operator=(permit&& other) noexcept {
      machine_ = std::exchange(other.machine_, nullptr);
      why_ = other.why_;
      return *this;
    }

    explicit operator bool() const noexcept { return machine_ != nullptr; }
    /// Of a refusal.
    reason why() const noexcept { return why_; }

    [[gnu::always_inline]] void settle(const verdict& v, instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->settle(v, now);
    }
    /// The dependency took the request, whatever came of it.
    void accepted(instant now) noexcept { settle(verdict::ok(), now); }
    void accepted() noexcept { accepted(steady_clock::now()); }
    /// It did not.
    void refused(instant now) noexcept { settle(verdict::not_executed(), now); }
    void refused() noexcept { refused(steady_clock::now()); }
    void release() noexcept { machine_ = nullptr; }

   private:
    friend class adaptive_throttle;
    permit(core::throttle_machine& m, bool admitted) noexcept
        : machine_(admitted ? &m : nullptr), why_(admitted ? reason::none : reason::throttled) {}

    core::throttle_machine* machine_ = nullptr;
    reason why_ = reason::none;
  };

  explicit adaptive_throttle(throttle_options options = {})
      : adaptive_throttle(std::move(options), core::default_stripes(), {}) {}
  /// For owners of many: fewer stripes, and the key that events carry.
  adaptive_throttle(throttle_options options, unsigned stripes, std::string key)
      : machine_(std::make_unique<core::throttle_machine>(detail::checked(policy_name, std::move(options)),
                                                          stripes, std::move(key))) {}

  /// `absl::StatusOr<adaptive_throttle>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<adaptive_throttle>>
  static auto create(throttle_options options) {
    return Creator::make(std::move(options));
  }

  [[gnu::always_inline]] permit try_acquire(instant now, int priority = 0) noexcept {
    return {*machine_, machine_->try_acquire(now, priority, thread_random)};
  }
  permit try_acquire(int priority = 0) noexcept { return try_acquire(steady_clock::now(), priority); }

  /// The counts in the window that ends at `now`, traffic or not.
  throttle_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  throttle_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New options from now on; what has been counted is kept. The name and the number of buckets are fixed.
  /// Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const throttle_options& options) {
    if (auto error = validate(options)) return error;
    detail::option_checks checks;
    checks.require(options.buckets == machine_->buckets(), "buckets", std::uint64_t{options.buckets},
                   "cannot be changed: " + std::to_string(machine_->buckets()));
    if (auto error = checks.result()) return error;
    machine_->reconfigure(options);
    return std::nullopt;
  }

  /// For `keyed`: nothing would be lost by forgetting it.
  bool idle(instant now) noexcept { return machine_->idle(now); }
  core::throttle_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::throttle_machine> machine_;
};

namespace detail {

/// The call's random source, if it is asked for. Not a lambda: its address must not reach a function that is
/// not inlined.
struct throttle_random {
  const call& c;
  random_source& operator()() const noexcept { return c.random(); }
};

/// Where a throttle layer finds its throttle: always the same one, or the one of the call's key.
struct one_throttle {
  core::throttle_machine* machine;

  using handle = core::throttle_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
};

struct throttle_of_key {
  keyed<adaptive_throttle>* throttles;

  struct handle {
    std::shared_ptr<adaptive_throttle> throttle;
    core::throttle_machine* operator->() const noexcept { return &throttle->machine(); }
  };
  handle find(const call& c, instant now) const { return {throttles->get(c.key(), now)}; }
};

template <class Source>
class throttle_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::throttle;
  static constexpr bool straight = true;

  explicit throttle_layer(Source source) : source_(source) {}

  template <class Inner>
  class frame : public passthrough<throttle_layer, Inner> {
    using base = passthrough<throttle_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&&) = default;

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      throttle_ = this->layer().source_.find(c, now);
      admitted_ = throttle_->try_acquire_calm(now);
      return admitted_ && this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      throttle_->settle(v, now);
    }
    [[gnu::always_inline]] void drop_straight() noexcept {
      throttle_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      throttle_ = this->layer().source_.find(c, now);
      admitted_ = throttle_->try_acquire(now, c.priority(), throttle_random{c});
      return admitted_ ? note(now, this->inner().start(c, now)) : reject(c, now);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) { return note(now, this->inner().on_time(c, now)); }
    // A call that is given up, or dies, has not been answered: it is not counted.
    void cancel(call& c) {
      admitted_ = false;
      this->inner().cancel(c);
    }

   private:
    resolution note(instant now, const resolution& r) {
      if (r && std::exchange(admitted_, false)) throttle_->settle(r.v, now);
      return r;
    }

    resolution reject(call& c, instant now) {
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      return c.reject(now,
                      {.policy = adaptive_throttle::policy_name,
                       .name = throttle_->name(),
                       .why = reason::throttled,
                       .detail_level = throttle_->rejections(),
                       .detail = throttle_->key()},
                      {.health = health::silent, .again = again::always});
    }

    typename Source::handle throttle_{};
    bool admitted_ = false;
  };

 private:
  Source source_;
};

}  // namespace detail

/// The layer. The throttle is shared state and must outlive the pipeline; hence an lvalue only. Inside a
/// retry it counts attempts, which is what the dependency sees; outside of it, calls.
inline detail::throttle_layer<detail::one_throttle> throttle(adaptive_throttle& t) noexcept {
  return detail::throttle_layer<detail::one_throttle>({&t.machine()});
}
detail::throttle_layer<detail::one_throttle> throttle(adaptive_throttle&&) = delete;

/// One throttle for each `call_options::key`.
inline detail::throttle_layer<detail::throttle_of_key> throttle(keyed<adaptive_throttle>& t) noexcept {
  return detail::throttle_layer<detail::throttle_of_key>({&t});
}
detail::throttle_layer<detail::throttle_of_key> throttle(keyed<adaptive_throttle>&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_THROTTLE_HPP
