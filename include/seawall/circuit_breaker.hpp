// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CIRCUIT_BREAKER_HPP
#define SEAWALL_CIRCUIT_BREAKER_HPP

// A circuit breaker (Nygard, "Release It!", 2007): stops calling a dependency that fails, and finds out
// carefully whether it has recovered. One breaker stands for one dependency and is shared by all who call it;
// see keyed.hpp for one that stands for several. Not a limit on concurrency or rate.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/breaker_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"

namespace seawall {

inline std::optional<option_error> validate(const circuit_breaker_options& o) {
  const auto rate = [](double r) { return r == 0.0 || detail::within(r, 1e-6, 1.0); };
  const auto& time = o.over_time;
  const auto& last = o.last_calls;
  const auto& probes = o.half_open;
  constexpr auto rate_or_off = "must be 0 (off) or at least 0.000001 and at most 1";
  constexpr auto positive = "must be positive";
  detail::option_checks checks;
  checks.require(rate(time.failure_rate), "over_time.failure_rate", time.failure_rate, rate_or_off)
      .require(time.buckets >= 1 && time.buckets <= 255, "over_time.buckets", std::uint64_t{time.buckets},
               "must be at least 1 and at most 255")
      .require(time.length.ns() / 1000 >= std::int64_t{time.buckets}, "over_time.length", time.length,
               "must be at least 1us for each bucket")
      .require(time.minimum_calls >= 1, "over_time.minimum_calls", std::uint64_t{time.minimum_calls},
               "must be at least 1")
      .require(last.calls <= 1'000'000, "last_calls.calls", std::uint64_t{last.calls},
               "must be at most 1000000")
      .require(rate(last.failure_rate), "last_calls.failure_rate", last.failure_rate, rate_or_off)
      .require(last.minimum_calls <= last.calls, "last_calls.minimum_calls",
               std::uint64_t{last.minimum_calls}, "must be at most last_calls.calls")
      .require(o.slow.limit >= duration::zero(), "slow.limit", o.slow.limit, "must not be negative")
      .require(detail::within(o.slow.rate, 1e-6, 1.0), "slow.rate", o.slow.rate,
               "must be at least 0.000001 and at most 1")
      .require(o.failures_in_period.failures <= 100'000, "failures_in_period.failures",
               std::uint64_t{o.failures_in_period.failures}, "must be at most 100000")
      .require(o.failures_in_period.failures == 0 || o.failures_in_period.within > duration::zero(),
               "failures_in_period.within", o.failures_in_period.within, positive)
      .require(o.open_for > duration::zero(), "open_for", o.open_for, positive)
      .require(detail::within(o.open_growth, 1.0, 1e6), "open_growth", o.open_growth,
               "must be at least 1 and at most 1000000")
      .require(detail::within(o.open_jitter, 0.0, 1.0), "open_jitter", o.open_jitter,
               "must be at least 0 and at most 1")
      .require(o.open_for_max == duration::zero() || o.open_for_max >= o.open_for, "open_for_max",
               o.open_for_max, "must be 0 (the default) or at least open_for")
      .require(probes.max_probes >= 1 && probes.max_probes <= 10'000, "half_open.max_probes",
               std::uint64_t{probes.max_probes}, "must be at least 1 and at most 10000")
      .require(probes.of >= 1 && probes.of <= 1'000'000, "half_open.of", std::uint64_t{probes.of},
               "must be at least 1 and at most 1000000")
      .require(probes.successes >= 1 && probes.successes <= probes.of, "half_open.successes",
               std::uint64_t{probes.successes}, "must be at least 1 and at most half_open.of")
      .require(probes.lease > duration::zero(), "half_open.lease", probes.lease, positive)
      .require(o.recovery.length >= duration::zero(), "recovery.length", o.recovery.length,
               "must not be negative")
      .require(detail::within(o.recovery.initial_share, 0.0, 1.0), "recovery.initial_share",
               o.recovery.initial_share, "must be at least 0 and at most 1");
  return checks.result();
}

/// The shared state of a breaker, and its stand-alone face. A handle: moving it leaves layers and permits
/// valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::breaker_machine`; about 450 bytes a stripe, one stripe for each processor (at most 32).
class circuit_breaker {
 public:
  using options_type = circuit_breaker_options;
  static constexpr std::string_view policy_name = "circuit_breaker";

  /// Permission for one call, or a refusal. Move-only; dropping it says nothing about the dependency.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept
        : machine_(std::exchange(other.machine_, nullptr)),
          held_(other.held_),
          why_(other.why_),
          retry_after_(other.retry_after_) {}
    permit& operator=(permit&& other) noexcept {
      if (this != &other) {
        release();
        machine_ = std::exchange(other.machine_, nullptr);
        held_ = other.held_;
        why_ = other.why_;
        retry_after_ = other.retry_after_;
      }
      return *this;
    }
    [[gnu::always_inline]] ~permit() { release(); }

    explicit operator bool() const noexcept { return machine_ != nullptr; }
    /// Of a refusal.
    reason why() const noexcept { return why_; }
    /// Of a refusal by an open breaker: the time left.
    std::optional<duration> retry_after() const noexcept {
      if (retry_after_ < duration::zero()) return std::nullopt;
      return retry_after_;
    }

    [[gnu::always_inline]] void settle(const verdict& v, instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->settle(held_, v, now, thread_random);
    }
    [[gnu::always_inline]] void success(instant now) noexcept { settle(verdict::ok(), now); }
    void failure(instant now) noexcept { settle(verdict::transient(), now); }
    void success() noexcept { success(steady_clock::now()); }
    void failure() noexcept { failure(steady_clock::now()); }
    [[gnu::always_inline]] void release() noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->release(held_);
    }

   private:
    friend class circuit_breaker;
    permit(core::breaker_machine& m, const core::breaker_machine::permit& held) noexcept
        : machine_(&m), held_(held) {}
    permit(core::breaker_machine& m, const core::breaker_machine::admission& a) noexcept
        : machine_(a.how == core::breaker_machine::admission::kind::admitted ? &m : nullptr),
          held_(a.held),
          why_(a.why),
          retry_after_(a.retry_after) {}

    core::breaker_machine* machine_ = nullptr;
    core::breaker_machine::permit held_;
    reason why_ = reason::none;
    duration retry_after_ = verdict::no_pushback();
  };

  explicit circuit_breaker(circuit_breaker_options options = {})
      : circuit_breaker(std::move(options), core::default_stripes(), {}) {}
  /// For owners of many: fewer stripes, and the key that events carry.
  circuit_breaker(circuit_breaker_options options, unsigned stripes, std::string key)
      : machine_(std::make_unique<core::breaker_machine>(detail::checked(policy_name, std::move(options)),
                                                         stripes, std::move(key))) {}

  /// `absl::StatusOr<circuit_breaker>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<circuit_breaker>>
  static auto create(circuit_breaker_options options) {
    return Creator::make(std::move(options));
  }

  [[gnu::always_inline]] permit try_acquire(instant now) noexcept {
    core::breaker_machine::permit held;
    if (machine_->try_acquire_closed(now, held)) [[likely]]
      return {*machine_, held};
    return {*machine_, machine_->try_acquire(now, thread_random)};
  }
  permit try_acquire() noexcept { return try_acquire(steady_clock::now()); }

  /// The state in force at `now`, traffic or not.
  breaker_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  breaker_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// Opens as a trip would, and recovers by time; nothing if it is open.
  void force_open(instant now) noexcept { machine_->force_open(now, thread_random().unit()); }
  void force_open() noexcept { force_open(steady_clock::now()); }
  /// Rejects everything until `reset` or another control; time does not end it.
  void isolate(instant now) noexcept { machine_->isolate(now); }
  void isolate() noexcept { isolate(steady_clock::now()); }
  /// Admits everything and learns nothing until `reset`.
  void disable(instant now) noexcept { machine_->disable(now); }
  void disable() noexcept { disable(steady_clock::now()); }
  /// Admits everything and counts, but never trips, until `reset`.
  void metrics_only(instant now) noexcept { machine_->metrics_only(now); }
  void metrics_only() noexcept { metrics_only(steady_clock::now()); }
  /// Closes, and forgets everything.
  void reset(instant now) noexcept { machine_->reset(now); }
  void reset() noexcept { reset(steady_clock::now()); }

  /// When the state will next change by time alone, and the change itself: for whoever has timers and wants
  /// the event of going half-open on time rather than with the next call.
  instant next_transition() const noexcept { return machine_->next_transition(); }
  void tick(instant now) noexcept { machine_->tick(now); }

  breaker_memento save(instant now) const noexcept { return machine_->save(now); }
  void restore(const breaker_memento& m, instant now) noexcept { machine_->restore(m, now); }

  /// New options from now on; windows, state and probes under way are kept. The name and the number of
  /// buckets are fixed. Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(circuit_breaker_options options) {
    if (auto error = validate(options)) return error;
    detail::option_checks checks;
    checks.require(options.over_time.buckets == machine_->buckets(), "over_time.buckets",
                   std::uint64_t{options.over_time.buckets},
                   "cannot be changed: " + std::to_string(machine_->buckets()));
    if (auto error = checks.result()) return error;
    machine_->reconfigure(std::move(options));
    return std::nullopt;
  }

  /// For `keyed`: nothing would be lost by forgetting it.
  bool idle(instant now) noexcept { return machine_->idle(now); }
  core::breaker_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::breaker_machine> machine_;
};

namespace detail {

/// The call's random source, if it is asked for. Not a lambda: its address must not reach a function that is
/// not inlined.
struct random_of {
  const call& c;
  [[gnu::always_inline]] random_source& operator()() const noexcept { return c.random(); }
};

/// Where a breaker layer finds its breaker: always the same one, or the one of the call's key.
struct one_breaker {
  core::breaker_machine* machine;

  using handle = core::breaker_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
  bool needs_end_time() const noexcept { return machine->needs_end_time(); }
};

struct breaker_of_key {
  keyed<circuit_breaker>* breakers;

  struct handle {
    std::shared_ptr<circuit_breaker> breaker;
    core::breaker_machine* operator->() const noexcept { return &breaker->machine(); }
  };
  handle find(const call& c, instant now) const { return {breakers->get(c.key(), now)}; }
  bool needs_end_time() const noexcept { return breakers->prototype().needs_end_time(); }
};

template <class Source>
class breaker_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::breaker;
  static constexpr bool waits = true;
  static constexpr bool straight = true;

  explicit breaker_layer(Source source) : source_(source) {}

  bool needs_end_time() const noexcept { return source_.needs_end_time(); }

  template <class Inner>
  class frame : public passthrough<breaker_layer, Inner> {
    using base = passthrough<breaker_layer, Inner>;
    using admission = core::breaker_machine::admission;

   public:
    using base::base;
    /// Of a frame that has started straight: in no wait list.
    [[gnu::always_inline]] frame(frame&& other)
        : base(std::move(other)),
          breaker_(std::move(other.breaker_)),
          permit_(other.permit_),
          held_(std::exchange(other.held_, false)) {}
    ~frame() { let_go(); }

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      breaker_ = this->layer().source_.find(c, now);
      held_ = breaker_->try_acquire_closed(now, permit_);
      return held_ && this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      breaker_->settle(permit_, v, now, random_of{c});
    }
    // What was admitted while closed need not be released.
    [[gnu::always_inline]] void drop_straight() noexcept {
      breaker_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      breaker_ = this->layer().source_.find(c, now);
      const admission a = breaker_->try_acquire(now, random_of{c});
      if (a.how == admission::kind::admitted) [[likely]]
        return enter(c, now, a);
      return refused(c, now, a);
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(c, now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) {
      if (node_.linked) return wait(c, now);
      return note(c, now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      let_go();
      this->inner().cancel(c);
    }
    instant wake_at() const {
      // What is inside has not begun again: its times are those of an earlier try.
      return node_.linked ? look_again_ : this->inner().wake_at();
    }

   private:
    resolution enter(call& c, instant now, const admission& a) {
      permit_ = a.held;
      held_ = true;
      // Its success closes the breaker, from that moment on.
      if (a.held.probe != 0) c.ask_end_time();
      return note(c, now, this->inner().start(c, now));
    }

    resolution note(call& c, instant now, const resolution& r) {
      if (r && held_) {
        held_ = false;
        breaker_->settle(permit_, r.v, now, random_of{c});
      }
      return r;
    }

    resolution refused(call& c, instant now, const admission& a) {
      if (a.why == reason::half_open && breaker_->excess_waits() && c.can_wait()) {
        node_.waker = c.waker();
        return wait(c, now);
      }
      return reject(c, now, a);
    }

    resolution wait(call& c, instant now) {
      // The caller's own deadline, which no layer need watch over.
      if (now >= c.deadline()) {
        let_go();
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      }
      const admission a = breaker_->acquire_or_wait(now, node_, random_of{c});
      look_again_ = this->earlier(a.look_again, c.deadline());
      switch (a.how) {
        case admission::kind::admitted: return enter(c, now, a);
        case admission::kind::waiting: return {};
        case admission::kind::rejected: break;
      }
      return reject(c, now, a);
    }

    resolution reject(call& c, instant now, const admission& a) {
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      const verdict v{.health = health::silent, .again = again::always, .retry_after = a.retry_after};
      return c.reject(now,
                      {.policy = circuit_breaker::policy_name,
                       .name = breaker_->name(),
                       .why = a.why,
                       .detail_level = breaker_->rejections(),
                       .detail = breaker_->key(),
                       .retry_after = a.retry_after},
                      v);
    }

    void let_go() noexcept {
      if (node_.linked) breaker_->forget(node_);
      if (held_) breaker_->release(permit_);
      held_ = false;
    }

    typename Source::handle breaker_{};
    core::breaker_machine::permit permit_;
    core::wait_node node_;
    instant look_again_;
    bool held_ = false;
  };

 private:
  Source source_;
};

}  // namespace detail

/// The layer. The breaker is shared state and must outlive the pipeline; hence an lvalue only.
inline detail::breaker_layer<detail::one_breaker> breaker(circuit_breaker& b) noexcept {
  return detail::breaker_layer<detail::one_breaker>({&b.machine()});
}
detail::breaker_layer<detail::one_breaker> breaker(circuit_breaker&&) = delete;

/// One breaker for each `call_options::key`: a dead shard does not take the others down.
inline detail::breaker_layer<detail::breaker_of_key> breaker(keyed<circuit_breaker>& b) noexcept {
  return detail::breaker_layer<detail::breaker_of_key>({&b});
}
detail::breaker_layer<detail::breaker_of_key> breaker(keyed<circuit_breaker>&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_CIRCUIT_BREAKER_HPP
