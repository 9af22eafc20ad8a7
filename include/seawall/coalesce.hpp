// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_COALESCE_HPP
#define SEAWALL_COALESCE_HPP

// Single flight: of several calls with one key that are under way at once, one does the work and the others
// get a copy of its result. Nothing is kept once they have it: for that, see cache.hpp.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "seawall/core/flight_group.hpp"
#include "seawall/fallback.hpp"
#include "seawall/frame.hpp"
#include "seawall/options.hpp"
#include "seawall/outcome.hpp"

namespace seawall {

/// What those who wait get when the one who does the work has failed.
enum class leader_failure : std::uint8_t {
  shared,      ///< the same failure: a herd that waits for a dependency that is down does not try one by one
  next_tries,  ///< the next one does the work itself, the others wait for that one
};

/// What they get when it has gone without a result: cancelled, out of its own time, thrown out of.
enum class leader_gone : std::uint8_t {
  next_tries,  ///< the next one does the work itself: one caller's hurry is not the others'
  rejected,  ///< a rejection (`reason::no_answer`), for operations that must not be started twice within a lease
};

/// What a call gets for which there is no room.
enum class no_room : std::uint8_t {
  goes_alone,  ///< it does its own work, which nobody shares
  rejected,    ///< `reason::queue_full`
};

struct coalesce_options {
  std::string name = "coalesce";
  leader_failure on_failure = leader_failure::shared;
  leader_gone on_leaving = leader_gone::next_tries;
  no_room when_full = no_room::goes_alone;
  duration lease = std::chrono::seconds(
      60);  ///< after that, those who wait no longer wait for the one who leads: the next does the work; positive
  std::size_t max_keys =
      1024;  ///< with calls under way; at least `shards`, among which they are divided evenly
  std::size_t max_waiting = 1024;  ///< calls that wait for one key
  unsigned shards = 8;  ///< parts with a mutex of their own: [1, 256]; fixed for the life of the object
};

inline std::optional<option_error> validate(const coalesce_options& o) {
  detail::option_checks checks;
  checks.require(o.lease > duration::zero(), "lease", o.lease, "must be positive")
      .require(o.shards >= 1 && o.shards <= 256, "shards", std::uint64_t{o.shards},
               "must be at least 1 and at most 256")
      .require(o.max_keys >= o.shards, "max_keys", std::uint64_t{o.max_keys}, "must be at least shards");
  return checks.result();
}

namespace detail {

struct coalesce_state {
  explicit coalesce_state(const coalesce_options& o) : group(o.name, o.shards, limits(o)) { set_rules(o); }

  static core::single_flight_limits limits(const coalesce_options& o) noexcept {
    return {.max_keys = o.max_keys / o.shards, .max_waiting = o.max_waiting, .lease = o.lease};
  }
  // Relaxed: nothing else depends on them.
  void set_rules(const coalesce_options& o) noexcept {
    on_failure.store(o.on_failure, std::memory_order_relaxed);
    on_leaving.store(o.on_leaving, std::memory_order_relaxed);
    when_full.store(o.when_full, std::memory_order_relaxed);
  }

  core::flight_group group;
  std::atomic<leader_failure> on_failure;
  std::atomic<leader_gone> on_leaving;
  std::atomic<no_room> when_full;
};

}  // namespace detail

/// Which calls are under way, by key, whose operations return R; shared by all pipelines in which it stands.
/// A handle: moving it leaves layers valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::flight_group`.
template <class R>
class coalescer {
 public:
  using options_type = coalesce_options;
  static constexpr std::string_view policy_name = "coalesce";

  explicit coalescer(coalesce_options options = {})
      : state_(std::make_unique<detail::coalesce_state>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<coalescer>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<coalescer>>
  static auto create(coalesce_options options) {
    return Creator::make(std::move(options));
  }

  coalesce_snapshot snapshot() const {
    const core::flight_counts c = state_->group.counts();
    return {.name = state_->group.name(),
            .led = c.led,
            .joined = c.joined,
            .shared = c.shared,
            .taken_over = c.taken_over,
            .alone = c.alone,
            .flying = c.flying,
            .waiting = c.waiting};
  }
  const std::string& name() const noexcept { return state_->group.name(); }

  /// New rules and bounds from now on; what is under way goes on. Name and shards are fixed. Returns what is
  /// wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const coalesce_options& options) {
    if (auto error = validate(options)) return error;
    const unsigned shards = state_->group.shards();
    detail::option_checks checks;
    checks.require(options.shards == shards, "shards", std::uint64_t{options.shards},
                   "cannot be changed: " + std::to_string(shards));
    if (auto error = checks.result()) return error;
    state_->group.set_limits(state_->limits(options));
    state_->set_rules(options);
    return std::nullopt;
  }

  detail::coalesce_state& state() noexcept { return *state_; }

 private:
  std::unique_ptr<detail::coalesce_state> state_;
};

/// The layer made by `coalesce`.
///
/// Cost of a call that nobody joins: two mutexes, a look-up each, and an allocation or two; its result is not
/// copied. Who joins costs one copy to share, and one of its own.
/// Cancellation: a call that waits goes at once, and nobody else notices; one that leads hands on to the
/// next.
template <class Shared, class KeyOf>
class coalesce_layer : public layer_base {
  using group = core::flight_group;
  using seen = group::seen;
  using role = group::role;
  using key_type = std::remove_cvref_t<std::invoke_result_t<const KeyOf&, const call&>>;
  static_assert(
      std::is_convertible_v<const key_type&, std::string_view>,
      "coalesce(flights, key_of): key_of must take a const seawall::call& and return a std::string or a "
      "std::string_view of what outlives the call");

  // What the typed side needs to know of a flight that ends.
  struct ticket : observation {
    using observation::observation;
    core::hashed_key key;
    std::uint64_t number = 0;  // 0: it leads nobody
    verdict v;
  };

 public:
  static constexpr layer_kind kind = layer_kind::coalesce;
  static constexpr bool waits = true;
  static constexpr bool observes = true;

  coalesce_layer(coalescer<Shared>& flights, KeyOf key_of)
      : state_(&flights.state()), key_of_(std::move(key_of)) {}

  // The typed side.

  template <class R, class S>
  R substitute(const attempt&, const detail::failure_view<S>& failure) const {
    check_result<R>();
    return detail::stored_as<R>::release(copy<S>(failure.held()));
  }
  template <class R, class S, class Start>
  void substitute_with(const attempt&, const detail::failure_view<S>& failure, Start&& start) const {
    check_result<R>();
    start.kept(copy<S>(failure.held()));
  }
  /// A result that cannot be copied for others (the copy throws) is still the caller's own: the next one does
  /// the work.
  template <class R, class S>
  void observe(observation& o, const S& kept) const noexcept {
    check_result<R>();
    auto& t = static_cast<ticket&>(o);
    const std::uint64_t number = std::exchange(t.number, 0);
#if defined(__cpp_exceptions)
    try {
#endif
      state_->group.land(t.key, number,
                         {.how = t.v.success ? core::landing::kind::answered : core::landing::kind::failed,
                          .degraded = t.v.degraded,
                          .what = std::make_shared<const S>(kept)});
#if defined(__cpp_exceptions)
    } catch (...) {
      state_->group.abandon(t.key, number);
    }
#endif
  }

  template <class Inner>
  class frame : public passthrough<coalesce_layer, Inner> {
    using base = passthrough<coalesce_layer, Inner>;

   public:
    template <class MakeInner>
    frame(const coalesce_layer& layer, std::uint8_t number, MakeInner&& make_inner)
        : base(layer, number, std::forward<MakeInner>(make_inner)), ticket_(number) {}
    frame(frame&&) = delete;
    ~frame() { let_go(); }

    resolution start(call& c, instant now) {
      asked_ = false;
      bound_ = c.attempt_deadline();
      text_ = this->layer().key_of_(c);
      ticket_.key = core::hashed_key(text_);
      if (c.can_wait()) place_.waker = c.waker();
      return act(c, now, flights().join(ticket_.key, now, c.can_wait() ? &place_ : nullptr));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      if (place_.linked) return {};
      if (!asked_) return settle(c, now, this->inner().on_done(c, now, id, v));
      if (id != substitute_) return {};
      asked_ = false;
      held_ = nullptr;
      verdict out = v;
      out.degraded = degraded_;
      // Those outside have heard about the dependency from the call that asked it.
      if (v.success || v.health == health::unhealthy) out.health = health::silent;
      return resolution::result_of(id, out);
    }
    resolution on_time(call& c, instant now) {
      if (asked_) return {};
      if (place_.linked) return wait(c, now);
      return settle(c, now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      c.forget(ticket_);
      const bool waiting = place_.linked;
      let_go();
      if (asked_) {
        c.cancel_attempt(substitute_);
      } else if (!waiting) {
        this->inner().cancel(c);
      }
      asked_ = false;
    }
    instant wake_at() const {
      if (asked_) return instant::never();
      return place_.linked ? look_again_ : this->inner().wake_at();
    }

   private:
    group& flights() const noexcept { return this->layer().state_->group; }

    resolution act(call& c, instant now, seen&& s) {
      switch (s.as) {
        case role::waits: look_again_ = this->earlier(s.look_again, c.deadline()); return {};
        case role::landed: return share(c, now, std::move(s.end));
        case role::alone:
          if (c.can_wait() &&
              this->layer().state_->when_full.load(std::memory_order_relaxed) == no_room::rejected)
            return reject(c, now, reason::queue_full, again::always);
          break;
        case role::leads: ticket_.number = s.number; break;
      }
      return settle(c, now, this->inner().start(c, now));
    }

    resolution wait(call& c, instant now) {
      // The caller's own deadline, which no layer need watch over.
      if (now >= c.deadline()) {
        let_go();
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      }
      return act(c, now, flights().look(ticket_.key, place_, now));
    }

    resolution share(call& c, instant now, core::landing&& end) {
      // It may have been executed, by the one who led.
      if (end.what == nullptr) return reject(c, now, reason::no_answer, again::if_idempotent);
      held_ = std::move(end.what);
      degraded_ = end.degraded;
      if (degraded_) c.set_degraded_by(flights().name());
      substitute_ = c.start_substitute(now, bound_, ticket_.source(), {}, held_.get());
      asked_ = true;
      return {};
    }

    resolution reject(call& c, instant now, reason why, again repeat) const {
      return c.reject(now, {.policy = policy_name, .name = flights().name(), .why = why},
                      {.health = health::silent, .again = repeat});
    }

    resolution settle(call& c, instant now, const resolution& r) {
      if (r && ticket_.number != 0) land(c, now, r);
      return r;
    }

    // How the work has ended of one who leads.
    void land(call& c, instant now, const resolution& r) {
      const bool failed = !r.v.success && r.v.health != health::healthy;
      if (failed && c.failed_for_its_caller(now)) return leave();
      if (failed &&
          this->layer().state_->on_failure.load(std::memory_order_relaxed) == leader_failure::next_tries)
        return hand_on();
      if (flights().land_alone(ticket_.key, ticket_.number)) {
        ticket_.number = 0;
        return;
      }
      ticket_.v = r.v;
      c.observe(ticket_, r);
    }
    void hand_on() noexcept { flights().abandon(ticket_.key, std::exchange(ticket_.number, 0)); }
    void leave() noexcept {
      if (this->layer().state_->on_leaving.load(std::memory_order_relaxed) == leader_gone::next_tries)
        return hand_on();
      flights().land(ticket_.key, std::exchange(ticket_.number, 0), {});
    }

    void let_go() noexcept {
      if (place_.linked) flights().leave(ticket_.key, place_);
      if (ticket_.number != 0) leave();
    }

    ticket ticket_;
    key_type text_{};
    group::place place_;
    std::shared_ptr<const void> held_;  // the other one's result, while it is handed over
    attempt_id substitute_ = 0;
    instant bound_;  // the deadlines outside
    instant look_again_;
    bool asked_ = false;
    bool degraded_ = false;
  };

 private:
  static constexpr std::string_view policy_name = "coalesce";

  template <class S>
  static S copy(const void* held) {
    return *static_cast<const S*>(held);
  }
  template <class R>
  static constexpr void check_result() {
    static_assert(std::is_same_v<R, Shared>,
                  "coalesce(flights): flights must be a seawall::coalescer<R> of the operation's result R");
  }

  detail::coalesce_state* state_;
  [[no_unique_address]] KeyOf key_of_;
};

/// The layer. What is under way is shared state and must outlive the pipeline; hence an lvalue only. Its key
/// is `call_options::key`, or what `key_of(const seawall::call&)` says.
template <class R>
coalesce_layer<R, detail::key_of_call> coalesce(coalescer<R>& flights) {
  return {flights, {}};
}
template <class R, class KeyOf>
coalesce_layer<R, std::decay_t<KeyOf>> coalesce(coalescer<R>& flights, KeyOf&& key_of) {
  return {flights, std::forward<KeyOf>(key_of)};
}
template <class R, class... KeyOf>
void coalesce(coalescer<R>&& flights, KeyOf&&...) = delete;

}  // namespace seawall

#endif  // SEAWALL_COALESCE_HPP
