// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_BULKHEAD_HPP
#define SEAWALL_BULKHEAD_HPP

// A bulkhead (Nygard, "Release It!", 2007): a limit on how many calls are under way at once, so that one slow
// dependency does not take all threads and connections with it. What is too much is rejected, or waits for
// its turn. Not a limit on rate; for one with threads of its own see exec/pool.hpp and docs/bulkhead.md.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/bulkhead_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"

namespace seawall {

namespace detail {

inline std::optional<option_error> bad_partition(std::size_t i, const std::string& name, std::string range) {
  return option_error{"partitions[" + std::to_string(i) + "].name", "'" + name + "'", std::move(range)};
}

inline std::optional<option_error> validate_partitions(const bulkhead_options& o) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < o.partitions.size(); ++i) {
    const auto& p = o.partitions[i];
    if (p.name.empty()) return bad_partition(i, p.name, "must not be empty");
    for (std::size_t k = 0; k < i; ++k) {
      if (o.partitions[k].name == p.name) return bad_partition(i, p.name, "must be unlike the others");
    }
    sum += p.guaranteed;
  }
  option_checks checks;
  checks.require(sum <= o.max_concurrent, "partitions.guaranteed", sum,
                 "must in sum be at most max_concurrent");
  return checks.result();
}

}  // namespace detail

inline std::optional<option_error> validate(const bulkhead_options& o) {
  detail::option_checks checks;
  checks
      .require(o.max_concurrent >= 1 && o.max_concurrent <= 1'000'000'000, "max_concurrent",
               std::uint64_t{o.max_concurrent}, "must be at least 1 and at most 1000000000")
      .require(o.max_waiting <= 1'000'000, "max_waiting", std::uint64_t{o.max_waiting},
               "must be at most 1000000")
      .require(o.max_wait > duration::zero(), "max_wait", o.max_wait, "must be positive")
      .require(o.lifo_after > duration::zero(), "lifo_after", o.lifo_after, "must be positive")
      .require(o.aging == duration::zero() || o.aging.ns() >= 1000, "aging", o.aging,
               "must be 0 (off) or at least 1us")
      .require(o.recall_for > duration::zero(), "recall_for", o.recall_for, "must be positive")
      .require(o.partitions.size() <= 16, "partitions", std::uint64_t{o.partitions.size()},
               "must be at most 16");
  if (auto error = checks.result()) return error;
  return detail::validate_partitions(o);
}

/// The shared state of a bulkhead, and its stand-alone face. A handle: moving it leaves layers and permits
/// valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::bulkhead_machine`; 128 bytes a stripe, one stripe for each processor (at most 32) but no
/// more than leave each four permits.
class bulkhead {
 public:
  using options_type = bulkhead_options;
  static constexpr std::string_view policy_name = "bulkhead";

  /// What `try_acquire` is asked for.
  struct request {
    std::uint32_t weight = 1;         ///< permits
    std::string_view partition = {};  ///< as `bulkhead_options::partition_of` would say
    int priority = 0;                 ///< decides only while others wait
  };

  /// Permission for one call, or a refusal. Move-only; dropping it gives back what it holds.
  class permit {
   public:
    permit() = default;
    permit(permit&& other) noexcept
        : machine_(std::exchange(other.machine_, nullptr)),
          weight_(other.weight_),
          partition_(other.partition_) {}
    permit& operator=(permit&& other) noexcept {
      if (this != &other) {
        release();
        machine_ = std::exchange(other.machine_, nullptr);
        weight_ = other.weight_;
        partition_ = other.partition_;
      }
      return *this;
    }
    [[gnu::always_inline]] ~permit() { release(); }

    explicit operator bool() const noexcept { return machine_ != nullptr; }
    std::uint32_t weight() const noexcept { return machine_ != nullptr ? weight_ : 0; }

    /// With the time, those who have waited for too long are passed over at once, rather than by themselves.
    [[gnu::always_inline]] void release(instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->release(weight_, partition_, now);
    }
    [[gnu::always_inline]] void release() noexcept { release(core::bulkhead_machine::time_unknown()); }

   private:
    friend class bulkhead;
    permit(core::bulkhead_machine* m, std::uint32_t weight, std::uint32_t partition) noexcept
        : machine_(m), weight_(weight), partition_(partition) {}

    core::bulkhead_machine* machine_ = nullptr;
    std::uint32_t weight_ = 0;
    std::uint32_t partition_ = 0;
  };

  explicit bulkhead(bulkhead_options options = {})
      : bulkhead(std::move(options), core::default_stripes(), {}) {}
  /// For owners of many: fewer stripes, and the key that rejections carry.
  bulkhead(bulkhead_options options, unsigned stripes, std::string key)
      : machine_(std::make_unique<core::bulkhead_machine>(detail::checked(policy_name, std::move(options)),
                                                          stripes, std::move(key))) {}

  /// `absl::StatusOr<bulkhead>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<bulkhead>>
  static auto create(bulkhead_options options) {
    return Creator::make(std::move(options));
  }

  /// Does not wait, nor overtake those who do, unless the order says so. `weight` as in `request`.
  [[gnu::always_inline]] permit try_acquire(instant now, std::uint32_t weight = 1) noexcept {
    if (machine_->try_take(weight)) [[likely]]
      return {machine_.get(), weight, machine_->partition_named({})};
    return try_acquire(now, request{.weight = weight});
  }
  permit try_acquire(instant now, const request& r) noexcept {
    const std::uint32_t partition = machine_->partition_named(r.partition);
    const auto a =
        machine_->try_acquire(now, {.weight = r.weight, .partition = partition, .priority = r.priority});
    return {a == core::bulkhead_machine::admission::admitted ? machine_.get() : nullptr, r.weight, partition};
  }
  permit try_acquire() noexcept { return try_acquire(steady_clock::now()); }
  permit try_acquire(const request& r) noexcept { return try_acquire(steady_clock::now(), r); }

  bulkhead_snapshot snapshot(instant now) const { return machine_->snapshot(now); }
  bulkhead_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New options from now on. No permit in use is taken away: after the limit was made smaller, none is given
  /// until enough have come back. Those who wait stay, for as long as they were told, in the new order; only
  /// who needs more permits than there are now is rejected. The name and the partitions' names are fixed.
  /// Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(bulkhead_options options) {
    if (auto error = validate(options)) return error;
    const auto& names = machine_->partition_names();
    detail::option_checks checks;
    checks.require(options.partitions.size() == names.size(), "partitions",
                   std::uint64_t{options.partitions.size()},
                   "cannot be changed in number: " + std::to_string(names.size()));
    if (auto error = checks.result()) return error;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string& name = options.partitions[i].name;
      if (name != names[i]) return detail::bad_partition(i, name, "cannot be changed: '" + names[i] + "'");
    }
    machine_->reconfigure(std::move(options));
    return std::nullopt;
  }

  /// For `keyed`: nothing would be lost by forgetting it.
  bool idle(instant) noexcept { return machine_->idle(); }
  core::bulkhead_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::bulkhead_machine> machine_;
};

namespace detail {

/// Where a bulkhead layer finds its bulkhead: always the same one, or the one of the call's key.
struct one_bulkhead {
  core::bulkhead_machine* machine;

  using handle = core::bulkhead_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
};

struct bulkhead_of_key {
  keyed<bulkhead>* bulkheads;

  struct handle {
    std::shared_ptr<bulkhead> one;
    core::bulkhead_machine* operator->() const noexcept { return &one->machine(); }
  };
  handle find(const call& c, instant now) const { return {bulkheads->get(c.key(), now)}; }
};

template <class Source>
class bulkhead_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::bulkhead;
  static constexpr bool waits = true;
  static constexpr bool straight = true;

  explicit bulkhead_layer(Source source) : source_(source) {}

  template <class Inner>
  class frame : public passthrough<bulkhead_layer, Inner> {
    using base = passthrough<bulkhead_layer, Inner>;
    using admission = core::bulkhead_machine::admission;

   public:
    using base::base;
    /// Of a frame that has started straight: it waits for nothing.
    [[gnu::always_inline]] frame(frame&& other)
        : base(std::move(other)),
          bulkhead_(std::move(other.bulkhead_)),
          claim_(other.claim_),
          held_(std::exchange(other.held_, false)) {}
    ~frame() { let_go(core::bulkhead_machine::time_unknown()); }

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      bulkhead_ = this->layer().source_.find(c, now);
      if (bulkhead_->weighs()) [[unlikely]]
        return false;
      held_ = bulkhead_->try_take(1);
      return held_ && this->inner().start_straight(c, now);
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      held_ = false;
      bulkhead_->release(1, 0, now);
    }
    [[gnu::always_inline]] void drop_straight() noexcept {
      if (held_) [[unlikely]]
        bulkhead_->release(1, 0, core::bulkhead_machine::time_unknown());
      bulkhead_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      bulkhead_ = this->layer().source_.find(c, now);
      claim_ = {.weight = bulkhead_->weight_of(c), .partition = bulkhead_->partition_of(c)};
      if (bulkhead_->waits() && c.can_wait()) return wait(c, now);
      claim_.priority = c.priority();
      return act_on(c, now, bulkhead_->try_acquire(now, claim_));
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) {
      if (waiting_) return act_on(c, now, bulkhead_->look(now, place_, look_again_));
      return note(now, this->inner().on_time(c, now));
    }
    void cancel(call& c) {
      let_go(core::bulkhead_machine::time_unknown());
      this->inner().cancel(c);
    }
    instant wake_at() const {
      // What is inside has not begun again: its times are those of an earlier try.
      return waiting_ ? look_again_ : this->inner().wake_at();
    }

   private:
    resolution wait(call& c, instant now) {
      claim_.priority = c.priority();
      claim_.deadline = c.attempt_deadline();
      claim_.until = this->earlier(now + bulkhead_->max_wait(), c.deadline());
      return act_on(c, now, bulkhead_->acquire_or_wait(now, claim_, place_, c.waker(), look_again_));
    }

    resolution act_on(call& c, instant now, admission a) {
      waiting_ = a == admission::waiting;
      switch (a) {
        case admission::waiting: return {};
        case admission::admitted: held_ = true; return note(now, this->inner().start(c, now));
        case admission::limit_reached: return reject(c, now, reason::limit_reached);
        case admission::queue_full: return reject(c, now, reason::queue_full);
        case admission::wait_timed_out: break;
      }
      // The caller's own deadline, which no layer need watch over.
      if (c.deadline() <= claim_.until)
        return c.reject(now, {.policy = "deadline", .why = reason::deadline_exceeded}, verdict::cancelled());
      return reject(c, now, reason::wait_timed_out);
    }

    resolution note(instant now, const resolution& r) {
      if (r && held_) {
        held_ = false;
        bulkhead_->release(claim_.weight, claim_.partition, now);
      }
      return r;
    }

    resolution reject(call& c, instant now, reason why) {
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      return c.reject(now,
                      {.policy = bulkhead::policy_name,
                       .name = bulkhead_->name(),
                       .why = why,
                       .detail_level = bulkhead_->rejections(),
                       .detail = bulkhead_->key()},
                      {.health = health::silent, .again = again::always});
    }

    void let_go(instant now) noexcept {
      if (waiting_) bulkhead_->leave(place_);
      if (held_) bulkhead_->release(claim_.weight, claim_.partition, now);
      waiting_ = held_ = false;
    }

    typename Source::handle bulkhead_{};
    core::bulkhead_machine::claim claim_;
    core::bulkhead_machine::place place_;
    instant look_again_;
    bool waiting_ = false;
    bool held_ = false;
  };

 private:
  Source source_;
};

}  // namespace detail

/// The layer. The bulkhead is shared state and must outlive the pipeline; hence an lvalue only.
inline detail::bulkhead_layer<detail::one_bulkhead> limit_concurrency(bulkhead& b) noexcept {
  return detail::bulkhead_layer<detail::one_bulkhead>({&b.machine()});
}
detail::bulkhead_layer<detail::one_bulkhead> limit_concurrency(bulkhead&&) = delete;

/// One bulkhead for each `call_options::key`: a slow shard or a greedy tenant takes its own permits only.
inline detail::bulkhead_layer<detail::bulkhead_of_key> limit_concurrency(keyed<bulkhead>& b) noexcept {
  return detail::bulkhead_layer<detail::bulkhead_of_key>({&b});
}
detail::bulkhead_layer<detail::bulkhead_of_key> limit_concurrency(keyed<bulkhead>&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_BULKHEAD_HPP
