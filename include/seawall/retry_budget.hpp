// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_RETRY_BUDGET_HPP
#define SEAWALL_RETRY_BUDGET_HPP

// Bounds the extra load of retries and hedges to a share of the calls made lately. Without it, an outage
// multiplies the load by the number of attempts at the worst moment (Bronson et al., "Metastable Failures in
// Distributed Systems", HotOS 2021). One budget may be shared by any number of pipelines.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/budget_machine.hpp"
#include "seawall/options.hpp"

namespace seawall {

struct retry_budget_options {
  std::string name = {};
  /// Repetitions for each call within the window: [0, 10].
  double ratio = 0.2;
  /// Repetitions a second that are granted whatever the traffic, so that a quiet client can retry at all: [0,
  /// 1e6]. A fleet multiplies it: with 1000 clients, the 10 a second that others grant each are 10,000 a
  /// second against a sick dependency. The default gives each client one a window of 10 s, and 1000 clients
  /// 100 a second.
  double floor_per_second = 0.1;
  /// How many clients share the floor, if known: each takes its part; at least 1.
  std::uint32_t fleet = 1;
  duration window = std::chrono::seconds(10);  ///< at least 1 us a bucket
  std::uint32_t buckets = 10;                  ///< [1, 255]; fixed for the life of the budget
};

inline std::optional<option_error> validate(const retry_budget_options& o) {
  detail::option_checks checks;
  checks.require(detail::within(o.ratio, 0.0, 10.0), "ratio", o.ratio, "must be at least 0 and at most 10")
      .require(detail::within(o.floor_per_second, 0.0, 1e6), "floor_per_second", o.floor_per_second,
               "must be at least 0 and at most 1000000")
      .require(o.fleet >= 1, "fleet", std::uint64_t{o.fleet}, "must be at least 1")
      .require(o.buckets >= 1 && o.buckets <= 255, "buckets", std::uint64_t{o.buckets},
               "must be at least 1 and at most 255")
      .require(o.window.ns() / 1000 >= std::int64_t{o.buckets}, "window", o.window,
               "must be at least 1us for each bucket")
      .require(o.window <= std::chrono::hours(24), "window", o.window, "must be at most 24h");
  return checks.result();
}

struct retry_budget_snapshot {
  std::string name = {};
  std::uint64_t calls = 0;        ///< in the window
  std::uint64_t repetitions = 0;  ///< in the window
  std::uint64_t remaining = 0;    ///< that would be granted now
};

/// Within any window, repetitions <= ratio * calls + floor_per_second / fleet * window. A handle: moving it
/// leaves layers valid.
///
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: a call: one read-modify-write on a striped counter; a repetition: see `core::budget_machine`.
class retry_budget {
 public:
  using options_type = retry_budget_options;
  static constexpr std::string_view policy_name = "retry_budget";

  explicit retry_budget(retry_budget_options options = {})
      : state_(std::make_unique<state>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<retry_budget>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<retry_budget>>
  static auto create(retry_budget_options options) {
    return Creator::make(std::move(options));
  }

  /// A call begins: `ratio` of a repetition is earned.
  void deposit(instant now) noexcept { state_->machine.deposit(now); }
  /// Asks for one repetition; true if it is granted, and then it is spent.
  bool try_withdraw(instant now) noexcept { return state_->machine.try_withdraw(now); }
  bool try_withdraw() noexcept { return try_withdraw(steady_clock::now()); }

  retry_budget_snapshot snapshot(instant now) const {
    auto& m = state_->machine;
    return {.name = state_->name,
            .calls = m.calls(now),
            .repetitions = m.repetitions(now),
            .remaining = m.remaining(now)};
  }
  retry_budget_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return state_->name; }

  /// New rates and window from now on; what has been counted is kept. The name and the number of buckets are
  /// fixed. Returns what is wrong with the options, in which case nothing has changed.
  std::optional<option_error> reconfigure(const retry_budget_options& options) {
    if (auto error = validate(options)) return error;
    detail::option_checks checks;
    checks.require(options.buckets == state_->buckets, "buckets", std::uint64_t{options.buckets},
                   "cannot be changed: " + std::to_string(state_->buckets));
    if (auto error = checks.result()) return error;
    state_->machine.set_width(options.window / options.buckets);
    state_->set_rates(options);
    return std::nullopt;
  }

  core::budget_machine& machine() noexcept { return state_->machine; }

 private:
  struct state {
    explicit state(retry_budget_options o)
        : name(std::move(o.name)),
          buckets(o.buckets),
          machine(o.window / o.buckets, o.buckets, core::default_stripes()) {
      set_rates(o);
    }
    void set_rates(const retry_budget_options& o) noexcept {
      machine.set_rates(o.ratio, o.floor_per_second / o.fleet * o.window.seconds());
    }

    const std::string name;
    const std::uint32_t buckets;
    core::budget_machine machine;
  };

  std::unique_ptr<state> state_;
};

}  // namespace seawall

#endif  // SEAWALL_RETRY_BUDGET_HPP
