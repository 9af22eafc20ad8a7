// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_RATE_LIMITER_HPP
#define SEAWALL_RATE_LIMITER_HPP

// A limit on how often something is done: so many permits in so much time. One limiter stands for one
// dependency (or one tenant: see keyed.hpp) and is shared by all who call it; what is too much is rejected,
// or waits for its time. Not a limit on how much is done at once.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/rate_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"
#include "seawall/quota.hpp"

namespace seawall {

inline std::optional<option_error> validate(const rate_limiter_options& o) {
  constexpr duration day = std::chrono::hours(24);
  constexpr auto up_to_a_day = "must be at least 0 and at most 24h";
  const auto up_to = [](duration d, duration most) { return d >= duration::zero() && d <= most; };
  const bool log = o.algorithm == rate_algorithm::sliding_log;
  const bool bucket = o.algorithm == rate_algorithm::gcra && o.quota == nullptr;
  const std::uint64_t lease = o.lease;
  detail::option_checks checks;
  checks
      .require(o.permits >= 1 && o.permits <= 1'000'000'000, "permits", std::uint64_t{o.permits},
               "must be at least 1 and at most 1000000000")
      .require(!log || o.permits <= 1'000'000, "permits", std::uint64_t{o.permits},
               "must be at most 1000000 with sliding_log")
      .require(o.per.ns() >= std::int64_t{o.permits} && o.per <= day * 366, "per", o.per,
               "must be at least 1ns for each permit and at most 8784h")
      .require(up_to(o.max_wait, day), "max_wait", o.max_wait, up_to_a_day)
      .require(o.max_waiting <= 1'000'000, "max_waiting", std::uint64_t{o.max_waiting},
               "must be at most 1000000")
      .require(lease >= 1 && lease <= core::rate_leases::most && lease <= o.depth(), "lease", lease,
               "must be at least 1 and at most 1000 and burst")
      .require(lease == 1 || bucket, "lease", lease, "must be 1 without gcra and with a quota")
      .require(up_to(o.warm_up.length, day), "warm_up.length", o.warm_up.length, up_to_a_day)
      .require(bucket || !o.warms_up(), "warm_up.length", o.warm_up.length,
               "must be 0 without gcra and with a quota")
      .require(detail::within(o.warm_up.initial_share, 0.01, 1.0), "warm_up.initial_share",
               o.warm_up.initial_share, "must be at least 0.01 and at most 1")
      .require(up_to(o.pushback.pause_max, day), "pushback.pause_max", o.pushback.pause_max, up_to_a_day)
      .require(o.quota == nullptr || o.pushback.pause_max == duration::zero(), "pushback.pause_max",
               o.pushback.pause_max, "must be 0 with a quota")
      .require(detail::within(o.pushback.slow_to, 0.01, 1.0), "pushback.slow_to", o.pushback.slow_to,
               "must be at least 0.01 and at most 1")
      .require(bucket || !o.slows(), "pushback.slow_to", o.pushback.slow_to,
               "must be 1 without gcra and with a quota")
      .require(detail::within(o.pushback.least_share, 0.01, 1.0), "pushback.least_share",
               o.pushback.least_share, "must be at least 0.01 and at most 1")
      .require(o.pushback.recovery >= std::chrono::milliseconds(1) && o.pushback.recovery <= day,
               "pushback.recovery", o.pushback.recovery, "must be at least 1ms and at most 24h");
  if (auto error = checks.result()) return error;
  checks.require(core::rate_machine::horizon_of(o) <= day * 3650, "burst", std::uint64_t{o.depth()},
                 "must be earned again within 10 years, at the lowest rate that the other options lead to");
  return checks.result();
}

/// The shared state of a rate limiter, and its stand-alone face. A handle: moving it leaves layers and
/// reservations valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not. Every instant must be of one monotonic
/// clock; an older instant than others have brought is answered as theirs.
/// Cost: see `core::rate_machine`; about 700 bytes, 32 for each of `max_waiting` if calls may wait, and with
/// leases 128 a stripe, one stripe for each processor (at most 32).
class rate_limiter {
  using machine_type = core::rate_machine;
  using admission = machine_type::admission;

 public:
  using options_type = rate_limiter_options;
  static constexpr std::string_view policy_name = "rate_limiter";

  /// Permission to act now, or a refusal. Move-only. The permits are spent when it is granted, whether or not
  /// it is kept; what provably was not used can be given back.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept { *this = std::move(other); }
    permit& operator=(permit&& other) noexcept {
      machine_ = std::exchange(other.machine_, nullptr);
      a_ = other.a_;
      return *this;
    }

    explicit operator bool() const noexcept { return machine_ != nullptr; }
    /// Of a refusal.
    reason why() const noexcept { return a_.why; }
    /// Of a refusal: when the same could be had if nobody else came; none if never, or not known.
    std::optional<duration> retry_after() const noexcept {
      if (a_.retry_after < duration::zero()) return std::nullopt;
      return a_.retry_after;
    }

    /// How it ended, for limiters that heed pushback.
    void settle(const verdict& v, instant now) noexcept {
      if (machine_ != nullptr) learn(*machine_, v, now);
      machine_ = nullptr;
    }
    /// Nothing was done: the permits go to the next caller, if nobody was granted any since.
    void give_back(instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->give_back(a_.what, now);
    }

   private:
    friend class rate_limiter;
    permit(machine_type& m, const admission& a) noexcept
        : machine_(a.how == admission::kind::granted ? &m : nullptr), a_(a) {}

    machine_type* machine_ = nullptr;
    admission a_;
  };

  /// Permission to act at a time, or a refusal. Move-only; given back when it dies unused. What is given back
  /// before its time goes to the next caller.
  class reservation {
   public:
    reservation() = default;
    reservation(reservation&& other) noexcept
        : machine_(std::exchange(other.machine_, nullptr)), a_(other.a_) {}
    reservation& operator=(reservation&& other) noexcept {
      if (this == &other) return *this;
      give_back();
      machine_ = std::exchange(other.machine_, nullptr);
      a_ = other.a_;
      return *this;
    }
    ~reservation() { give_back(); }

    explicit operator bool() const noexcept { return machine_ != nullptr; }
    /// The time to act: not earlier. It stays as it is, whatever happens to the limiter.
    instant at() const noexcept { return a_.what.at; }
    /// Of a refusal; see `permit`.
    reason why() const noexcept { return a_.why; }
    std::optional<duration> retry_after() const noexcept {
      if (a_.retry_after < duration::zero()) return std::nullopt;
      return a_.retry_after;
    }

    /// It is being acted on: the permits are spent, the reservation is over.
    void use() noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->used(a_.what);
    }
    void give_back(instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->give_back(a_.what, now);
    }
    void give_back() noexcept { give_back(a_.what.at); }

   private:
    friend class rate_limiter;
    reservation(machine_type& m, const admission& a) noexcept
        : machine_(a.how == admission::kind::granted ? &m : nullptr), a_(a) {}

    machine_type* machine_ = nullptr;
    admission a_;
  };

  explicit rate_limiter(rate_limiter_options options = {})
      : rate_limiter(std::move(options), core::default_stripes(), {}) {}
  /// For owners of many: fewer stripes, and the key that events carry.
  rate_limiter(rate_limiter_options options, unsigned stripes, std::string key)
      : machine_(std::make_unique<machine_type>(detail::checked(policy_name, std::move(options)), stripes,
                                                std::move(key))) {}

  /// `absl::StatusOr<rate_limiter>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<rate_limiter>>
  static auto create(rate_limiter_options options) {
    return Creator::make(std::move(options));
  }

  /// Now or not at all, all of the permits or none. More than `burst` at once are never granted.
  [[gnu::always_inline]] permit try_acquire(instant now, std::uint32_t permits = 1) noexcept {
    admission a;
    if (machine_->take_straight(now, permits, a.what)) [[likely]]
      return {*machine_, a};
    return {*machine_, machine_->take(now, permits)};
  }
  permit try_acquire() noexcept { return try_acquire(steady_clock::now()); }

  /// Now or later: within `max_wait` and before `deadline`. Refused at once if that is not to be had. While
  /// it waits for its time it is one of `max_waiting`, until it is used or given back. A shared quota grants
  /// now or not at all.
  reservation reserve(instant now, std::uint32_t permits = 1, instant deadline = instant::never()) noexcept {
    admission a = machine_->reserve(now, permits, deadline);
    if (a.how == admission::kind::ask_again) {
      machine_->used(a.what);
      a.how = admission::kind::rejected;
    }
    return {*machine_, a};
  }
  reservation reserve() noexcept { return reserve(steady_clock::now()); }

  rate_limiter_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  rate_limiter_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// As new: nothing granted, no pushback. Those who wait keep their times.
  void reset(instant now) noexcept { machine_->reset(now); }
  void reset() noexcept { reset(steady_clock::now()); }

  /// New options from now on. What has been granted counts, times that were given are kept, a rate that was
  /// lowered is not low any more. Name, algorithm, quota and whether there are leases are fixed, and so is
  /// how far `burst`, `max_wait` and `pause_max` may reach: a day at least. Returns what is wrong with the
  /// options, in which case nothing has changed.
  std::optional<option_error> reconfigure(rate_limiter_options options, instant now) {
    if (auto error = validate(options)) return error;
    const rate_limiter_options old = machine_->options();
    constexpr auto fixed = "cannot be changed";
    detail::option_checks checks;
    checks
        .require(options.algorithm == old.algorithm, "algorithm",
                 static_cast<std::uint64_t>(options.algorithm), fixed)
        .require(options.quota == old.quota, "quota", std::uint64_t{options.quota != nullptr}, fixed)
        .require((options.lease > 1) == (old.lease > 1), "lease", std::uint64_t{options.lease},
                 "cannot become 1, nor more than 1 if it was not")
        .require(machine_type::horizon_of(options) <= machine_->horizon(), "burst",
                 std::uint64_t{options.depth()}, "reaches too far into the future for a limiter that exists");
    if (auto error = checks.result()) return error;
    machine_->reconfigure(std::move(options), now);
    return std::nullopt;
  }
  std::optional<option_error> reconfigure(rate_limiter_options options) {
    return reconfigure(std::move(options), steady_clock::now());
  }

  /// For `keyed`: nothing would be lost by forgetting it.
  bool idle(instant now) noexcept { return machine_->idle(now); }
  core::rate_machine& machine() noexcept { return *machine_; }

  /// Tells a limiter how an attempt ended. Pushback: a failure with a retry-after, or one that says nothing
  /// about health and may be repeated, as RESOURCE_EXHAUSTED does.
  static void learn(core::rate_machine& m, const verdict& v, instant now) noexcept {
    if (v.success || !m.heeds_pushback()) return;
    if (v.has_pushback() || (v.health == health::silent && v.again != again::never))
      m.pushed_back(now, v.retry_after);
  }

 private:
  std::unique_ptr<core::rate_machine> machine_;
};

namespace detail {

/// Where a layer finds its limiter: always the same one, or the one of the call's key.
struct one_rate_limiter {
  core::rate_machine* machine;

  using handle = core::rate_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
};

struct rate_limiter_of_key {
  keyed<rate_limiter>* limiters;

  struct handle {
    std::shared_ptr<rate_limiter> limiter;
    core::rate_machine& operator*() const noexcept { return limiter->machine(); }
    core::rate_machine* operator->() const noexcept { return &limiter->machine(); }
  };
  handle find(const call& c, instant now) const { return {limiters->get(c.key(), now)}; }
};

/// Cancellation: a call that waits gives its reservation back; one that was let through has spent its
/// permits.
/// Cost: on the success path that of the limiter, nothing at the end.
template <class Source>
class rate_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::rate_limiter;
  static constexpr bool straight = true;

  rate_layer(Source source, std::uint32_t permits) : source_(source), permits_(permits) {}

  template <class Inner>
  class frame : public passthrough<rate_layer, Inner> {
    using base = passthrough<rate_layer, Inner>;
    using admission = core::rate_machine::admission;

   public:
    using base::base;
    /// Of a frame that has started straight: it does not wait.
    [[gnu::always_inline]] frame(frame&& other)
        : base(std::move(other)), limiter_(std::move(other.limiter_)), held_(other.held_) {}
    ~frame() { let_go(); }

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      limiter_ = this->layer().source_.find(c, now);
      if (!limiter_->take_straight(now, this->layer().permits_, held_)) return false;
      if (this->inner().start_straight(c, now)) [[likely]]
        return true;
      limiter_->give_back(held_, now);
      return false;
    }
    [[gnu::always_inline]] void drop_straight() noexcept {
      limiter_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      limiter_ = this->layer().source_.find(c, now);
      return go_on(c, now, limiter_->reserve(now, this->layer().permits_, c.attempt_deadline()));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(c, now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) {
      if (!held_.waits) return note(c, now, this->inner().on_time(c, now));
      if (now < held_.at) return {};
      // The caller's own deadline, which no layer need watch over.
      if (now >= c.deadline()) {
        let_go();
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      }
      if (held_.from == core::rate_machine::origin::nowhere)
        return go_on(c, now, limiter_->reserve_again(now, held_, latest_));
      limiter_->used(held_);
      return enter(c, now);
    }
    void cancel(call& c) {
      let_go();
      this->inner().cancel(c);
    }
    instant wake_at() const {
      // What is inside has not begun again: its times are those of an earlier try.
      return held_.waits ? held_.at : this->inner().wake_at();
    }

   private:
    resolution go_on(call& c, instant now, const admission& a) {
      if (a.how == admission::kind::rejected) return reject(c, now, a);
      held_ = a.what;
      latest_ = a.latest;
      if (held_.waits) return {};
      return enter(c, now);
    }

    resolution enter(call& c, instant now) {
      attempts_ = c.attempts();
      return note(c, now, this->inner().start(c, now));
    }

    resolution note(const call& c, instant now, const resolution& r) {
      if (!r || r.v.success) return r;
      if (r.how == resolution::kind::attempt) {
        rate_limiter::learn(*limiter_, r.v, now);
      } else if (c.attempts() == attempts_) {
        // Rejected further in: nothing was done with it.
        limiter_->give_back(held_, now);
      }
      return r;
    }

    resolution reject(call& c, instant now, const admission& a) {
      held_ = {};
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      const verdict v{.health = health::silent,
                      .again = a.ever ? again::always : again::never,
                      .retry_after = a.retry_after};
      return c.reject(now,
                      {.policy = rate_limiter::policy_name,
                       .name = limiter_->name(),
                       .why = a.why,
                       .detail_level = limiter_->rejections(),
                       .detail = a.ever ? std::string_view(limiter_->key()) : "more permits than burst",
                       .retry_after = a.retry_after},
                      v);
    }

    void let_go() noexcept {
      if (held_.waits) limiter_->give_back(held_, held_.at);
    }

    typename Source::handle limiter_{};
    core::rate_machine::held held_;
    instant latest_;
    std::uint32_t attempts_ = 0;
  };

 private:
  Source source_;
  std::uint32_t permits_;
};

}  // namespace detail

/// The layer. Each call takes `permits`; more than `burst` are always rejected. The limiter is shared state
/// and must outlive the pipeline; hence an lvalue only.
inline detail::rate_layer<detail::one_rate_limiter> limit_rate(rate_limiter& l,
                                                               std::uint32_t permits = 1) noexcept {
  return {{&l.machine()}, permits};
}
detail::rate_layer<detail::one_rate_limiter> limit_rate(rate_limiter&&, std::uint32_t = 1) = delete;

/// One limiter for each `call_options::key`: a busy tenant does not starve the others.
inline detail::rate_layer<detail::rate_limiter_of_key> limit_rate(keyed<rate_limiter>& l,
                                                                  std::uint32_t permits = 1) noexcept {
  return {{&l}, permits};
}
detail::rate_layer<detail::rate_limiter_of_key> limit_rate(keyed<rate_limiter>&&, std::uint32_t = 1) = delete;

}  // namespace seawall

#endif  // SEAWALL_RATE_LIMITER_HPP
