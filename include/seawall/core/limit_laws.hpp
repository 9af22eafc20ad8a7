// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_LIMIT_LAWS_HPP
#define SEAWALL_CORE_LIMIT_LAWS_HPP

// The published laws by which a limit on concurrency follows the latencies seen: AIMD, Vegas and Gradient2,
// as in Netflix' concurrency-limits (github.com/Netflix/concurrency-limits, v0.5.4: AIMDLimit, VegasLimit,
// Gradient2Limit), with its constants as defaults. The library's own is in knee_law.hpp.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "seawall/time.hpp"

namespace seawall {

/// The library's own law: nothing to set. See `core::knee_law`.
struct knee_limit {};

/// Additive increase, multiplicative decrease (Chiu and Jain, 1989): adds one for each answer while at least
/// half of the limit is used, and multiplies by `backoff` at a failure or a call that takes longer than
/// `slow`.
struct aimd_limit {
  double backoff = 0.9;                     ///< [0.5, 1)
  duration slow = std::chrono::seconds(5);  ///< positive
};

/// After TCP Vegas (Brakmo and Peterson, 1995): estimates how many calls wait from the shortest latency seen,
/// and moves by log10(limit) to keep that between 3 and 6 times log10(limit).
struct vegas_limit {
  double smoothing = 1.0;  ///< (0, 1]: how much of a new limit is taken over
  std::uint32_t probe_every =
      30;  ///< the shortest latency is forgotten after so many times the limit of calls; at least 1
};

/// Compares each latency with a long average, and lowers the limit by the ratio when it exceeds `tolerance`.
struct gradient2_limit {
  double tolerance = 1.5;           ///< [1, 10]
  double smoothing = 0.2;           ///< (0, 1]
  std::uint32_t queue = 4;          ///< added at each step
  std::uint32_t long_window = 600;  ///< calls in the long average; at least 10
};

namespace core {

/// How a call ended, to a law.
struct limit_sample {
  enum class kind : std::uint8_t {
    answered,
    failed,     ///< it has taken at least so long, and may have been cut short
    overloaded  ///< the dependency says that it is too much
  };

  instant now;
  double latency = 0;    ///< ns
  double in_flight = 0;  ///< when it ended, itself included
  double room = 0;       ///< what a call of the least priority was admitted up to
  kind how = kind::answered;
};

/// The bounds of a limit.
struct limit_bounds {
  double least = 1;
  double most = 10'000;

  double clamp(double limit) const noexcept { return std::clamp(limit, least, most); }
};

/// What an observer is told.
enum class limit_phase : std::uint8_t {
  starting,  ///< doubling while that costs no latency
  cruising,
  probing,  ///< below the limit for a window, to see whether calls become faster
};

struct limit_law_view {
  double settled = 0;   ///< the limit but for probes
  double latency = 0;   ///< of the last window, ns; 0: not known
  double baseline = 0;  ///< what it is compared with, ns; 0: not known
  limit_phase phase = limit_phase::cruising;
  std::uint64_t windows = 0;
};

class aimd_law {
 public:
  aimd_law(const aimd_limit& o, double initial, limit_bounds b) : options_(o), bounds_(b), limit_(initial) {}

  double limit() const noexcept { return limit_; }
  void add(const limit_sample& s) noexcept {
    const bool slow = s.latency > static_cast<double>(options_.slow.ns());
    why_ = slow ? "latency" : "overload";
    if (s.how != limit_sample::kind::answered || slow) {
      limit_ = std::floor(limit_ * options_.backoff);
    } else if (s.in_flight * 2 >= limit_) {
      limit_ += 1;
      why_ = "growth";
    }
    limit_ = bounds_.clamp(limit_);
    ++samples_;
  }
  void set_bounds(limit_bounds b) noexcept { bounds_ = b, limit_ = b.clamp(limit_); }
  std::string_view why() const noexcept { return why_; }
  limit_law_view view() const noexcept { return {.settled = limit_, .windows = samples_}; }

 private:
  const aimd_limit options_;
  limit_bounds bounds_;
  double limit_;
  std::string_view why_ = "growth";
  std::uint64_t samples_ = 0;
};

class vegas_law {
 public:
  vegas_law(const vegas_limit& o, double initial, limit_bounds b)
      : options_(o), bounds_(b), limit_(initial) {}

  double limit() const noexcept { return limit_; }
  void add(const limit_sample& s) noexcept {
    ++samples_;
    latency_ = s.latency;
    since_probe_ += 1;
    if ((0.5 + 0.5 * jitter_) * options_.probe_every * limit_ <= since_probe_) {
      // Published with a random share; the golden ratio's multiples are as even and need no random source.
      jitter_ = jitter_ + 0.618 - (jitter_ + 0.618 >= 1 ? 1 : 0);
      since_probe_ = 0;
      shortest_ = s.latency;
      return;
    }
    if (shortest_ == 0 || s.latency < shortest_) {
      shortest_ = s.latency;
      return;
    }
    move(s);
  }
  void set_bounds(limit_bounds b) noexcept { bounds_ = b, limit_ = b.clamp(limit_); }
  std::string_view why() const noexcept { return why_; }
  limit_law_view view() const noexcept {
    return {.settled = limit_, .latency = latency_, .baseline = shortest_, .windows = samples_};
  }

 private:
  void move(const limit_sample& s) noexcept {
    const double step = std::max(1.0, std::floor(std::log10(limit_)));
    const double waiting = std::ceil(limit_ * (1 - shortest_ / s.latency));
    double next = limit_;
    if (s.how != limit_sample::kind::answered) {
      why_ = "overload";
      next -= step;
    } else if (s.in_flight * 2 < limit_) {
      return;
    } else if (waiting <= step) {
      why_ = "growth";
      next += 6 * step;
    } else if (waiting < 3 * step) {
      why_ = "growth";
      next += step;
    } else if (waiting > 6 * step) {
      why_ = "latency";
      next -= step;
    } else {
      return;
    }
    limit_ = bounds_.clamp((1 - options_.smoothing) * limit_ + options_.smoothing * bounds_.clamp(next));
  }

  const vegas_limit options_;
  limit_bounds bounds_;
  double limit_;
  double shortest_ = 0, latency_ = 0, jitter_ = 0.5;
  double since_probe_ = 0;
  std::string_view why_ = "growth";
  std::uint64_t samples_ = 0;
};

class gradient2_law {
 public:
  gradient2_law(const gradient2_limit& o, double initial, limit_bounds b)
      : options_(o), bounds_(b), limit_(initial) {}

  double limit() const noexcept { return limit_; }
  void add(const limit_sample& s) noexcept {
    latency_ = std::max(s.latency, 1.0);
    // The first ten are averaged plainly.
    ++samples_;
    const double weight =
        samples_ <= 10 ? 1.0 / static_cast<double>(samples_) : 2.0 / (options_.long_window + 1.0);
    average_ += weight * (latency_ - average_);
    if (average_ > 2 * latency_) average_ *= 0.95;  // the load has gone: back quickly
    if (s.in_flight < limit_ / 2) return;
    const double gradient = std::clamp(options_.tolerance * average_ / latency_, 0.5, 1.0);
    const double next = limit_ * gradient + options_.queue;
    why_ = next > limit_ ? "growth" : "latency";
    limit_ = bounds_.clamp(limit_ * (1 - options_.smoothing) + next * options_.smoothing);
  }
  void set_bounds(limit_bounds b) noexcept { bounds_ = b, limit_ = b.clamp(limit_); }
  std::string_view why() const noexcept { return why_; }
  limit_law_view view() const noexcept {
    return {.settled = limit_, .latency = latency_, .baseline = average_, .windows = samples_};
  }

 private:
  const gradient2_limit options_;
  limit_bounds bounds_;
  double limit_;
  double average_ = 0, latency_ = 0;
  std::string_view why_ = "growth";
  std::uint64_t samples_ = 0;
};

}  // namespace core
}  // namespace seawall

#endif  // SEAWALL_CORE_LIMIT_LAWS_HPP
