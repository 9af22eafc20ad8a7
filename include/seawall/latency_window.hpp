// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_LATENCY_WINDOW_HPP
#define SEAWALL_LATENCY_WINDOW_HPP

// Quantiles of the durations seen lately: what a hedge takes its delay from, and usable by itself. Bounded
// memory, and a known relative error instead of exact values.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "seawall/core/striped_histogram.hpp"
#include "seawall/options.hpp"

namespace seawall {

struct latency_window_options {
  std::string name = {};
  duration window = std::chrono::seconds(30);  ///< at least 10 ms a slice, at most 24 h
  std::uint32_t slices = 10;                   ///< [1, 255]; fixed for the life of the window
  /// The range that is told apart; durations beyond it count as lying at its ends. Both are widened to a
  /// power of two of nanoseconds, and fixed for the life of the window. At least 16 ns.
  duration shortest = std::chrono::microseconds(10);
  duration longest = std::chrono::minutes(1);  ///< at least twice `shortest`, at most 24 h
};

inline std::optional<option_error> validate(const latency_window_options& o) {
  constexpr duration day = std::chrono::hours(24);
  detail::option_checks checks;
  checks
      .require(o.slices >= 1 && o.slices <= 255, "slices", std::uint64_t{o.slices},
               "must be at least 1 and at most 255")
      .require(o.window.ns() / 10'000'000 >= std::int64_t{o.slices}, "window", o.window,
               "must be at least 10ms for each slice")
      .require(o.window <= day, "window", o.window, "must be at most 24h")
      .require(o.shortest.ns() >= 16, "shortest", o.shortest, "must be at least 16ns")
      .require(o.longest <= day, "longest", o.longest, "must be at most 24h")
      .require(o.longest.ns() / 2 >= o.shortest.ns(), "longest", o.longest,
               "must be at least twice shortest, " + to_text(o.shortest));
  return checks.result();
}

/// What a window held at an instant. Without recordings all durations are zero.
struct latency_snapshot {
  std::string name = {};
  std::uint64_t count = 0;
  duration p50 = {};
  duration p90 = {};
  duration p95 = {};
  duration p99 = {};
  duration p999 = {};
};

/// Durations recorded within the window, in log-linear bins of 16 a doubling: a quantile is within 1/32
/// (3.1%) of the true one, as long as that lies within the range. A handle: moving it leaves layers valid.
///
/// Slices are aligned to multiples of their width and fall out of the window as a whole: it covers between
/// `slices
/// - 1` and `slices` of them.
///
/// Memory, fixed: 128 bytes a doubling of the range, slice and stripe; one stripe a processor, rounded up to
/// a power of two, at most 8. With the defaults 29 KiB a stripe.
/// Thread safety: distinct and shared objects safe; moving is not.
/// Cost: `record`: one read-modify-write on a cache line that other processors leave alone, no lock; all
/// else: a walk over that memory.
class latency_window {
 public:
  using options_type = latency_window_options;
  static constexpr std::string_view policy_name = "latency_window";

  explicit latency_window(latency_window_options options = {})
      : state_(std::make_unique<state>(detail::checked(policy_name, std::move(options)))) {}

  /// `absl::StatusOr<latency_window>`; needs seawall/status.hpp.
  template <class Creator = detail::creator<latency_window>>
  static auto create(latency_window_options options) {
    return Creator::make(std::move(options));
  }

  void record(duration took, instant now) noexcept { state_->histogram.record(took, now); }

  /// The smallest duration that at least `p` of those in the window do not exceed; nothing if it is empty.
  /// `p` in [0, 1].
  std::optional<duration> quantile(double p, instant now) const noexcept {
    return state_->histogram.read(now).quantile(p);
  }
  std::uint64_t count(instant now) const noexcept { return state_->histogram.read(now).total; }

  latency_snapshot snapshot(instant now) const {
    const core::histogram_reading r = state_->histogram.read(now);
    const auto at = [&r](double p) { return r.quantile(p).value_or(duration::zero()); };
    return {.name = state_->options.name,
            .count = r.total,
            .p50 = at(0.5),
            .p90 = at(0.9),
            .p95 = at(0.95),
            .p99 = at(0.99),
            .p999 = at(0.999)};
  }
  latency_snapshot snapshot() const { return snapshot(steady_clock::now()); }
  const std::string& name() const noexcept { return state_->options.name; }

  /// A new length from now on; what has been recorded is kept, and leaves the window as many slices later as
  /// before. Name, range and number of slices are fixed. Returns what is wrong with the options, in which
  /// case nothing has changed.
  std::optional<option_error> reconfigure(const latency_window_options& options) {
    if (auto error = validate(options)) return error;
    if (auto error = fixed(options, state_->options)) return error;
    state_->histogram.set_width(options.window / options.slices);
    return std::nullopt;
  }

  core::striped_histogram& histogram() noexcept { return state_->histogram; }

 private:
  static std::optional<option_error> fixed(const latency_window_options& wanted,
                                           const latency_window_options& made) {
    detail::option_checks checks;
    checks
        .require(wanted.slices == made.slices, "slices", std::uint64_t{wanted.slices},
                 "cannot be changed: " + std::to_string(made.slices))
        .require(wanted.shortest == made.shortest, "shortest", wanted.shortest,
                 "cannot be changed: " + to_text(made.shortest))
        .require(wanted.longest == made.longest, "longest", wanted.longest,
                 "cannot be changed: " + to_text(made.longest));
    return checks.result();
  }

  struct state {
    explicit state(latency_window_options o)
        : options(std::move(o)),
          histogram(core::latency_bins(options.shortest, options.longest), options.window / options.slices,
                    options.slices, core::histogram_stripes()) {}

    const latency_window_options options;
    core::striped_histogram histogram;
  };

  std::unique_ptr<state> state_;
};

}  // namespace seawall

#endif  // SEAWALL_LATENCY_WINDOW_HPP
