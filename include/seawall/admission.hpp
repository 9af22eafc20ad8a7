// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADMISSION_HPP
#define SEAWALL_ADMISSION_HPP

// Admission in front of a handler: a limit on calls under way, learned or set, and a managed line of those
// that wait for a place: with the orders, the expiry and the CoDel of the backpressure queue. A server wraps
// its handler as a client wraps its call. docs/queue.md says which order to choose; the defaults need no
// tuning where calls have deadlines.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/adaptive_limit.hpp"
#include "seawall/core/admission_machine.hpp"
#include "seawall/core/admission_options.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"

namespace seawall {

/// The shared state of an admission, and its stand-alone face. A handle: moving it leaves layers and permits
/// valid.
///
/// A call that finds a place goes on at once, without a lock, unless others wait. Else it waits in the line
/// until a place is handed to it: one that a call has left, or one by which the limit has grown.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cancellation: a call that goes away leaves the line, or passes on the place it has just been handed.
/// Cost: see `core::admission_machine`; about 600 bytes, and with `queue_order::fair` 40 for each turn.
class admission {
 public:
  using options_type = admission_options;
  static constexpr std::string_view policy_name = "admission";

  /// What `try_acquire` is asked for.
  struct request {
    int priority = 0;
    instant deadline = instant::never();
  };

  /// A place for one call, or a refusal. Move-only; dropping it gives the place back, and teaches a learned
  /// limit nothing.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept
        : machine_(std::exchange(other.machine_, nullptr)), begun_(other.begun_) {}
    permit& operator=(permit&& other) noexcept {
      if (this != &other) {
        release();
        machine_ = std::exchange(other.machine_, nullptr);
        begun_ = other.begun_;
      }
      return *this;
    }
    ~permit() { release(); }

    explicit operator bool() const noexcept { return machine_ != nullptr; }

    /// It has ended like this, which is what a learned limit learns from.
    void settle(const verdict& v, instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->settle(begun_, v, now);
    }
    void success(instant now) noexcept { settle(verdict::ok(), now); }
    void success() noexcept { success(steady_clock::now()); }
    /// With the time, those who have waited for too long are passed over at once, rather than by themselves.
    void release(instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->release(now);
    }
    void release() noexcept { release(core::admission_machine::time_unknown()); }

   private:
    friend class admission;
    permit(core::admission_machine* m, instant now) noexcept : machine_(m), begun_(now) {}

    core::admission_machine* machine_ = nullptr;
    instant begun_;
  };

  explicit admission(admission_options options = {}) : admission(std::move(options), 1U, {}) {}
  /// For owners of many: the key that rejections and events carry. There are no stripes.
  admission(admission_options options, unsigned /*stripes*/, std::string key)
      : limit_(options.limit),
        machine_(make(detail::checked(policy_name, std::move(options)), std::move(key))) {}

  /// `absl::StatusOr<admission>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<admission>>
  static auto create(admission_options options) {
    return Creator::make(std::move(options));
  }

  /// Does not wait, nor overtake those who do.
  permit try_acquire(instant now, const request& r) noexcept {
    const auto a = machine_->try_acquire(now, {.priority = r.priority, .deadline = r.deadline});
    return {a == core::admission_machine::answer::admitted ? machine_.get() : nullptr, now};
  }
  permit try_acquire(instant now) noexcept { return try_acquire(now, request{}); }
  permit try_acquire(const request& r) noexcept { return try_acquire(steady_clock::now(), r); }
  permit try_acquire() noexcept { return try_acquire(steady_clock::now()); }

  admission_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  admission_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New options from now on, also for those who wait: they stay, for as long as they were told. Name, limit,
  /// order and turns are fixed. Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const admission_options& options, instant now) {
    if (auto error = validate(options)) return error;
    detail::option_checks checks;
    checks
        .require(options.limit == limit_, "limit", std::uint64_t{options.limit != nullptr},
                 "cannot be changed")
        .require(options.order == machine_->order(), "order", static_cast<std::uint64_t>(options.order),
                 "cannot be changed: " + std::to_string(static_cast<unsigned>(machine_->order())))
        .require(options.turns == machine_->turns(), "turns", std::uint64_t{options.turns},
                 "cannot be changed: " + std::to_string(machine_->turns()));
    if (auto error = checks.result()) return error;
    machine_->reconfigure(options, now);
    return std::nullopt;
  }
  std::optional<option_error> reconfigure(const admission_options& options) {
    return reconfigure(options, core::admission_machine::time_unknown());
  }

  /// For `keyed`: nothing would be lost by forgetting it.
  bool idle(instant) const noexcept { return machine_->idle(); }
  core::admission_machine& machine() noexcept { return *machine_; }

 private:
  static std::unique_ptr<core::admission_machine> make(const admission_options& o, std::string key) {
    auto* const learned = o.limit != nullptr ? &o.limit->machine() : nullptr;
    return std::make_unique<core::admission_machine>(o, learned, std::move(key));
  }

  const adaptive_limit* limit_;
  std::unique_ptr<core::admission_machine> machine_;
};

namespace detail {

/// Where an admission layer finds its admission: always the same one, or the one of the call's key.
struct one_admission {
  core::admission_machine* machine;

  using handle = core::admission_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
};

struct admission_of_key {
  keyed<admission>* admissions;

  struct handle {
    std::shared_ptr<admission> one;
    core::admission_machine* operator->() const noexcept { return &one->machine(); }
  };
  handle find(const call& c, instant now) const { return {admissions->get(c.key(), now)}; }
};

template <class Source>
class admission_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::admission;
  static constexpr bool waits = true;
  static constexpr bool straight = true;

  explicit admission_layer(Source source) : source_(source) {}

  /// A learned limit learns from it, and those who wait are judged by it.
  static constexpr bool needs_end_time() noexcept { return true; }

  template <class Inner>
  class frame : public passthrough<admission_layer, Inner> {
    using base = passthrough<admission_layer, Inner>;
    using answer = core::admission_machine::answer;

   public:
    using base::base;
    /// Of a frame that has started straight: it waits for nothing.
    [[gnu::always_inline]] frame(frame&& other)
        : base(std::move(other)),
          admission_(std::move(other.admission_)),
          begun_(other.begun_),
          held_(std::exchange(other.held_, false)) {}
    ~frame() { let_go(); }

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      admission_ = this->layer().source_.find(c, now);
      begun_ = now;
      held_ = admission_->try_take(now, c.priority(), c.attempt_deadline());
      return held_ && this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      held_ = false;
      admission_->settle(begun_, v, now);
    }
    [[gnu::always_inline]] void drop_straight() noexcept {
      let_go();
      admission_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      admission_ = this->layer().source_.find(c, now);
      claim_ = {.priority = c.priority(), .deadline = c.attempt_deadline()};
      if (!c.can_wait()) return act_on(c, now, admission_->try_acquire(now, claim_));
      claim_.turn = admission_->turn_of(c.key());
      claim_.until = this->earlier(now + admission_->max_wait(), c.deadline());
      place_.emplace();
      return act_on(c, now, admission_->acquire_or_wait(now, claim_, *place_, c.waker(), look_again_));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) {
      if (waiting_) return act_on(c, now, admission_->look(now, *place_, look_again_));
      return note(now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      let_go();
      this->inner().cancel(c);
    }
    instant wake_at() const {
      // What is inside has not begun again: its times are those of an earlier try.
      return waiting_ ? look_again_ : this->inner().wake_at();
    }

   private:
    resolution act_on(call& c, instant now, answer a) {
      waiting_ = a == answer::waiting;
      switch (a) {
        case answer::waiting: return {};
        case answer::admitted:
          held_ = true;
          begun_ = now;
          return note(now, this->inner().start(c, now));
        case answer::limit_reached: return reject(c, now, reason::limit_reached);
        case answer::queue_full: return reject(c, now, reason::queue_full);
        case answer::wait_timed_out: break;
      }
      // The caller's own deadline, which no layer need watch over.
      if (c.deadline() <= now)
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      return reject(c, now, reason::wait_timed_out);
    }

    resolution note(instant now, const resolution& r) {
      if (r && held_) {
        held_ = false;
        admission_->settle(begun_, r.v, now);
      }
      return r;
    }

    resolution reject(call& c, instant now, reason why) {
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      return c.reject(now,
                      {.policy = admission::policy_name,
                       .name = admission_->name(),
                       .why = why,
                       .detail_level = admission_->rejections(),
                       .detail = admission_->key()},
                      {.health = health::silent, .again = again::always});
    }

    void let_go() noexcept {
      if (waiting_) admission_->leave(*place_);
      if (held_) admission_->release(core::admission_machine::time_unknown());
      waiting_ = held_ = false;
    }

    typename Source::handle admission_{};
    core::admission_machine::claim claim_;
    std::optional<core::admission_machine::place> place_;  // large: only where it may be needed
    instant look_again_;
    instant begun_;
    bool waiting_ = false;
    bool held_ = false;
  };

 private:
  Source source_;
};

}  // namespace detail

/// The layer. The admission is shared state and must outlive the pipeline; hence an lvalue only.
inline detail::admission_layer<detail::one_admission> admit(admission& a) noexcept {
  return detail::admission_layer<detail::one_admission>({&a.machine()});
}
detail::admission_layer<detail::one_admission> admit(admission&&) = delete;

/// One admission for each `call_options::key`, each with a limit and a line of its own. For keys that take
/// turns in one line, see `queue_order::fair`.
inline detail::admission_layer<detail::admission_of_key> admit(keyed<admission>& a) noexcept {
  return detail::admission_layer<detail::admission_of_key>({&a});
}
detail::admission_layer<detail::admission_of_key> admit(keyed<admission>&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_ADMISSION_HPP
