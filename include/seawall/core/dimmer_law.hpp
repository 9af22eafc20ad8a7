// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_DIMMER_LAW_HPP
#define SEAWALL_CORE_DIMMER_LAW_HPP

// The control law of a brownout: from the latency of a period to the share of optional content in the next.
// After Klein, Maggio, Årzén and Hernández-Rodríguez ("Brownout: building more robust cloud applications",
// ICSE 2014), with another model of what is controlled: see `dimmer_law`.

#include <algorithm>
#include <cmath>

namespace seawall::core {

/// What a period was like. Latencies and lengths are multiples of the set point.
struct dimmer_reading {
  double latency = 0;          ///< the percentile
  double above = 0;            ///< share of the requests above the set point
  double may_be_above = 0.05;  ///< 1 - percentile
  double length = 1;           ///< of the period
};

/// The published controller takes the latency for proportional to the dimmer, estimates the factor, and
/// integrates the error. Near its capacity a server is no factor but an integrator: with a load of 1.2
/// capacities the latency grows by 0.2 s in each second, whatever it was, and integrating the error of an
/// integrator swings. So this law has two terms:
///
/// - the change of the latency over the period says how far the load is from the capacity, and the dimmer
///   moves against that;
/// - the error, which draws the latency slowly to its set point, below and above capacity alike.
///
/// Both are divided by the slope: how much load a unit of the dimmer makes, in capacities. It is estimated
/// from how the change of the latency answers to the dimmer, within [0.1, 4], and starts at 1. The dimmer
/// itself is the integral, and is kept within its bounds: nothing winds up. Since a mean over periods of
/// percentiles is not the percentile of all requests, the aim is trimmed, slowly, until as many requests as
/// may be are above the set point.
class dimmer_law {
 public:
  /// The dimmer for the next period, in [least, 1].
  double next(const dimmer_reading& r, double least) noexcept {
    const double moved = dimmer_ - dimmer_before_;
    dimmer_before_ = dimmer_;
    if (periods_ >= 1) {
      const double change = r.latency - latency_;
      if (periods_ >= 2) learn_slope(r, (change - change_) / r.length, moved);
      trim(r);
      dimmer_ = std::clamp(dimmer_ + step(r, change), least, 1.0);
      change_ = change;
    }
    latency_ = r.latency;
    if (periods_ < 2) ++periods_;
    return dimmer_;
  }

  double raise(double least) noexcept { return dimmer_ = std::max(dimmer_, least); }
  /// The set point has changed: latencies before cannot be compared.
  void forget_latency() noexcept { periods_ = 0; }
  double slope() const noexcept { return slope_; }

 private:
  static constexpr double against_change = 0.6;
  static constexpr double against_error = 0.1;

  double step(const dimmer_reading& r, double change) const noexcept {
    const double error = std::clamp(aim_ - r.latency, -2.0, 1.0);
    const double step = (against_error * error - against_change * change) / (slope_ * r.length);
    // Without a queue the latency says little about how much more load there is room for: feel the way.
    return r.latency < 0.6 ? std::max(step, 0.04 * error) : step;
  }

  // Two periods of which the dimmer differed, in which there was a queue: else the latency does not answer to
  // the load.
  void learn_slope(const dimmer_reading& r, double answer, double moved) noexcept {
    const bool queued = std::min(r.latency, latency_) > 0.6 && r.latency < 6;
    if (!queued || std::abs(moved) < 0.02) return;
    const double seen = std::clamp(answer / moved, slope_ / 4, slope_ * 4);
    const double weight = moved * moved / (moved * moved + 0.02);
    slope_ = std::clamp(slope_ + 0.3 * weight * (seen - slope_), 0.1, 4.0);
  }

  void trim(const dimmer_reading& r) noexcept {
    if (r.latency < 0.6 || r.latency > 1.5) return;
    const double too_few = std::clamp((r.may_be_above - r.above) / r.may_be_above, -1.0, 1.0);
    aim_ = std::clamp(aim_ + 0.02 * too_few, 0.7, 1.1);
  }

  double dimmer_ = 1;
  double dimmer_before_ = 1;
  double latency_ = 0;
  double change_ = 0;  // of the latency, over the period before
  double slope_ = 1;
  double aim_ = 1;
  int periods_ = 0;  // seen, up to 2
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_DIMMER_LAW_HPP
