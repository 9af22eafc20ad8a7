// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPTIVE_LIMIT_HPP
#define SEAWALL_ADAPTIVE_LIMIT_HPP

// A limit on calls in flight that finds its own value and follows the dependency's capacity: in front of a
// client's calls, or of a server's own handlers. Rejects at once what is too much; for a limit that is known,
// or calls that may wait, see the bulkhead.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "seawall/core/adaptive_machine.hpp"
#include "seawall/frame.hpp"
#include "seawall/keyed.hpp"
#include "seawall/options.hpp"

namespace seawall {

namespace detail {

inline void check(option_checks& c, const knee_limit& /*nothing*/) { static_cast<void>(c); }
inline void check(option_checks& c, const aimd_limit& a) {
  c.require(within(a.backoff, 0.5, 0.999999), "algorithm.backoff", a.backoff,
            "must be at least 0.5 and at most 0.999999")
      .require(a.slow > duration::zero(), "algorithm.slow", a.slow, "must be positive");
}
inline void check(option_checks& c, const vegas_limit& a) {
  c.require(within(a.smoothing, 1e-6, 1.0), "algorithm.smoothing", a.smoothing,
            "must be at least 0.000001 and at most 1")
      .require(a.probe_every >= 1, "algorithm.probe_every", std::uint64_t{a.probe_every},
               "must be at least 1");
}
inline void check(option_checks& c, const gradient2_limit& a) {
  c.require(within(a.tolerance, 1.0, 10.0), "algorithm.tolerance", a.tolerance,
            "must be at least 1 and at most 10")
      .require(within(a.smoothing, 1e-6, 1.0), "algorithm.smoothing", a.smoothing,
               "must be at least 0.000001 and at most 1")
      .require(a.queue <= 10'000, "algorithm.queue", std::uint64_t{a.queue}, "must be at most 10000")
      .require(a.long_window >= 10, "algorithm.long_window", std::uint64_t{a.long_window},
               "must be at least 10");
}

}  // namespace detail

inline std::optional<option_error> validate(const adaptive_limit_options& o) {
  detail::option_checks checks;
  checks.require(o.min_limit >= 1, "min_limit", std::uint64_t{o.min_limit}, "must be at least 1")
      .require(o.max_limit <= 1'000'000, "max_limit", std::uint64_t{o.max_limit}, "must be at most 1000000")
      .require(o.min_limit <= o.max_limit, "min_limit", std::uint64_t{o.min_limit},
               "must be at most max_limit")
      .require(o.initial_limit == 0 || (o.initial_limit >= o.min_limit && o.initial_limit <= o.max_limit),
               "initial_limit", std::uint64_t{o.initial_limit},
               "must be 0 (the default) or at least min_limit and at most max_limit")
      .require(detail::within(o.reserved_share, 0.0, 0.9), "reserved_share", o.reserved_share,
               "must be at least 0 and at most 0.9");
  std::visit([&](const auto& algorithm) { detail::check(checks, algorithm); }, o.algorithm);
  return checks.result();
}

/// The shared state of an adaptive limit, and its stand-alone face. A handle: moving it leaves layers and
/// permits valid.
///
/// Errors: invalid options: the constructor throws `std::invalid_argument` (aborts without exceptions);
/// `create` returns them as a status; both name field, value and range.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: see `core::adaptive_machine`; about 500 bytes.
class adaptive_limit {
 public:
  using options_type = adaptive_limit_options;
  static constexpr std::string_view policy_name = "adaptive_limit";

  /// A place for one call, or a refusal. Move-only; dropping it gives the place back and teaches nothing.
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

    void settle(const verdict& v, instant now) noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->settle(begun_, v, now);
    }
    void success(instant now) noexcept { settle(verdict::ok(), now); }
    void success() noexcept { success(steady_clock::now()); }
    /// It failed, and not because of too much load: only that it took long, if it did, counts.
    void failure(instant now) noexcept { settle(verdict::transient(), now); }
    void failure() noexcept { failure(steady_clock::now()); }
    /// The dependency has said that it is overloaded.
    void overloaded(instant now) noexcept {
      settle({.health = health::silent, .again = again::if_idempotent}, now);
    }
    void overloaded() noexcept { overloaded(steady_clock::now()); }
    void release() noexcept {
      if (auto* m = std::exchange(machine_, nullptr)) m->release();
    }

   private:
    friend class adaptive_limit;
    permit(core::adaptive_machine* m, instant now) noexcept : machine_(m), begun_(now) {}

    core::adaptive_machine* machine_ = nullptr;
    instant begun_;
  };

  explicit adaptive_limit(adaptive_limit_options options = {}) : adaptive_limit(std::move(options), 1U, {}) {}
  /// For owners of many: the key that events carry. There are no stripes.
  adaptive_limit(adaptive_limit_options options, unsigned /*stripes*/, std::string key)
      : machine_(std::make_unique<core::adaptive_machine>(detail::checked(policy_name, std::move(options)),
                                                          std::move(key))) {}

  /// `absl::StatusOr<adaptive_limit>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<adaptive_limit>>
  static auto create(adaptive_limit_options options) {
    return Creator::make(std::move(options));
  }

  permit try_acquire(instant now, int priority = 0) noexcept {
    return {machine_->try_acquire(priority) ? machine_.get() : nullptr, now};
  }
  permit try_acquire() noexcept { return try_acquire(steady_clock::now()); }

  adaptive_limit_snapshot snapshot(instant /*now*/) const { return machine_->snapshot(); }
  adaptive_limit_snapshot snapshot() const { return machine_->snapshot(); }
  const std::string& name() const noexcept { return machine_->name(); }

  /// New bounds and reservation from now on; the limit and what has been learned are kept. Name, algorithm
  /// and initial limit are fixed. Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const adaptive_limit_options& options) {
    if (auto error = validate(options)) return error;
    detail::option_checks checks;
    checks.require(options.algorithm.index() == machine_->algorithm(), "algorithm",
                   std::uint64_t{options.algorithm.index()},
                   "cannot be changed: " + std::to_string(machine_->algorithm()));
    if (auto error = checks.result()) return error;
    machine_->reconfigure(options);
    return std::nullopt;
  }

  /// For `keyed`: hardly anything would be lost by forgetting it.
  bool idle(instant now) const noexcept { return machine_->idle(now); }
  core::adaptive_machine& machine() noexcept { return *machine_; }

 private:
  std::unique_ptr<core::adaptive_machine> machine_;
};

namespace detail {

/// Where an adaptive layer finds its limit: always the same one, or the one of the call's key.
struct one_adaptive_limit {
  core::adaptive_machine* machine;

  using handle = core::adaptive_machine*;
  handle find(const call&, instant) const noexcept { return machine; }
};

struct adaptive_limit_of_key {
  keyed<adaptive_limit>* limits;

  struct handle {
    std::shared_ptr<adaptive_limit> limit;
    core::adaptive_machine* operator->() const noexcept { return &limit->machine(); }
  };
  handle find(const call& c, instant now) const { return {limits->get(c.key(), now)}; }
};

template <class Source>
class adaptive_layer : public layer_base {
 public:
  static constexpr layer_kind kind = layer_kind::adaptive_limit;
  static constexpr bool straight = true;

  explicit adaptive_layer(Source source) : source_(source) {}

  static constexpr bool needs_end_time() noexcept { return true; }

  template <class Inner>
  class frame : public passthrough<adaptive_layer, Inner> {
    using base = passthrough<adaptive_layer, Inner>;

   public:
    using base::base;
    [[gnu::always_inline]] frame(frame&& other)
        : base(std::move(other)),
          limit_(std::move(other.limit_)),
          begun_(other.begun_),
          held_(std::exchange(other.held_, false)) {}
    ~frame() { let_go(); }

    [[gnu::always_inline]] bool start_straight(call& c, instant now) {
      if (!acquire(c, now)) return false;
      if (this->inner().start_straight(c, now)) return true;
      let_go();
      return false;
    }
    [[gnu::always_inline]] void end_straight(call& c, instant now, verdict& v) {
      this->inner().end_straight(c, now, v);
      held_ = false;
      limit_->settle(begun_, v, now);
    }
    [[gnu::always_inline]] void drop_straight() noexcept {
      let_go();
      limit_ = {};
      this->inner().drop_straight();
    }
    resolution start(call& c, instant now) {
      if (acquire(c, now)) return note(now, this->inner().start(c, now));
      // Provably not executed, and silent about the dependency: a breaker further out must not count it.
      return c.reject(now,
                      {.policy = adaptive_limit::policy_name,
                       .name = limit_->name(),
                       .why = reason::limit_reached,
                       .detail_level = limit_->rejections(),
                       .detail = limit_->key()},
                      {.health = health::silent, .again = again::always});
    }
    resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
      return note(now, this->inner().on_done(c, now, id, v));
    }
    resolution on_time(call& c, instant now) { return note(now, this->inner().on_time(c, now)); }
    void cancel(call& c) {
      let_go();
      this->inner().cancel(c);
    }

   private:
    bool acquire(const call& c, instant now) {
      limit_ = this->layer().source_.find(c, now);
      begun_ = now;
      held_ = limit_->try_acquire(c.priority());
      return held_;
    }
    resolution note(instant now, const resolution& r) {
      if (r && held_) {
        held_ = false;
        limit_->settle(begun_, r.v, now);
      }
      return r;
    }
    void let_go() noexcept {
      if (held_) limit_->release();
      held_ = false;
    }

    typename Source::handle limit_{};
    instant begun_;
    bool held_ = false;
  };

 private:
  Source source_;
};

}  // namespace detail

/// The layer. The limit is shared state and must outlive the pipeline; hence an lvalue only.
inline detail::adaptive_layer<detail::one_adaptive_limit> limit_concurrency(adaptive_limit& l) noexcept {
  return detail::adaptive_layer<detail::one_adaptive_limit>({&l.machine()});
}
detail::adaptive_layer<detail::one_adaptive_limit> limit_concurrency(adaptive_limit&&) = delete;

/// One limit for each `call_options::key`: a slow shard does not narrow the others.
inline detail::adaptive_layer<detail::adaptive_limit_of_key> limit_concurrency(
    keyed<adaptive_limit>& l) noexcept {
  return detail::adaptive_layer<detail::adaptive_limit_of_key>({&l});
}
detail::adaptive_layer<detail::adaptive_limit_of_key> limit_concurrency(keyed<adaptive_limit>&&) = delete;

}  // namespace seawall

#endif  // SEAWALL_ADAPTIVE_LIMIT_HPP
