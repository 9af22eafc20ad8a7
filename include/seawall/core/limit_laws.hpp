// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_LIMIT_LAWS_HPP
#define SEAWALL_CORE_LIMIT_LAWS_HPP
#include <algorithm>
#include <cmath>
#include <cstdint>
#include "seawall/time.hpp"
namespace seawall::core {

struct limit_sample {
  instant now;
  double latency = 0;    // ns
  double in_flight = 0;  // itself included
  bool dropped = false;
};

class knee_law {
 public:
  double margin = 0.25, elastic = 0.2, precision = 0.06;
  unsigned n_min = 50, n_max = 1000;
  bool accel = true;
  double settle_rtts = 2, down = 1, stretch = 2, early = 2.5, up = 0.5, deep_at = .97, keep = 0.33, corr = 2, gain = 0.3;
  int deep_after = 3, run_max = 3;
  explicit knee_law(double initial, double lo, double hi) : limit_(initial), lo_(lo), hi_(hi), allowed_(initial) {}

  double limit() const { return allowed_; }
  double settled() const { return limit_; }
  double reference() const { return low_.latency; }
  std::uint64_t windows() const { return windows_; }

  bool add(const limit_sample& s) {
    if (s.now < settle_until_) return false;
    if (n_ == 0 && drops_ == 0) begin_ = s.now;
    if (s.dropped) ++drops_;
    if (!s.dropped || s.latency > low_.latency) {
      const double cap = low_.latency > 0 ? low_.latency * 8 : (n_ > 10 ? 8 * sum_ / n_ : 1e300);
      const double l = std::min(s.latency, cap);
      ++n_;
      sum_ += l;
      sum2_ += l * l;
      in_flight_ += s.in_flight;
      if (s.in_flight >= std::floor(allowed_)) ++full_;
    }
    if (!complete(s.now)) return false;
    return judge(s.now);
  }

 private:
  double probe_of(double whole, int depth) const {
    return std::max(1.0, std::min(whole - 1, std::round(whole * std::pow(1 - margin, depth))));
  }
  struct point {
    double latency = 0, in_flight = 0, error2 = 0, limit = 0;
  };
  bool complete(instant now) {
    const double all = n_ + drops_;
    if (all < n_min) return false;
    if (n_ < 2) return true;
    const double mean = sum_ / n_;
    if (static_cast<double>((now - begin_).ns()) < mean) return false;
    const double var = std::max(0.0, sum2_ / n_ - mean * mean) / (mean * mean) / n_;
    if (var > precision * precision && all < n_max) return false;
    if (probing_ || stretch <= 1 || drops_ > 0.02 * all || full_ == 0 || low_.latency <= 0 || low_.limit >= std::floor(allowed_)) return true;
    if (base_ == 0) {
      base_ = all;
      const double more = std::log(std::floor(allowed_) / low_.limit);
      const double error = (1 - elastic) * std::min(more, 0.7) - std::log(mean / low_.latency);
      if (error * error > early * early * (corr * var + low_.error2)) return true;
    }
    return all >= stretch * base_;
  }
  bool judge(instant now) {
    ++windows_;
    const double before = allowed_;
    point p;
    const double drop_share = drops_ / (n_ + drops_ + 1e-9);
    const bool have = n_ >= 10;
    if (have) {
      p.latency = sum_ / n_;
      p.in_flight = in_flight_ / n_;
      p.limit = std::floor(before);
      p.error2 = corr * std::max(0.0, sum2_ / n_ / (p.latency * p.latency) - 1) / n_;
      wait_ = p.latency;
    }
    const bool full = full_ > 0 && p.in_flight >= before / 2;
    if (probing_) after_probe(p, have);
    else after_cruise(p, have, full);
    if (drop_share > 0.02) {
      limit_ = std::max(lo_, before * std::max(0.5, 1 - drop_share));
      evidence_ = 0;
    }
    limit_ = std::clamp(limit_, lo_, hi_);
    if (full && before <= 1 && have && drop_share <= 0.02) {
      low_ = p;
      limit_ = std::min(hi_, 2.0);
      probing_ = true;
    }
    const double whole = std::clamp(std::ceil(limit_ - up), lo_, hi_);
    probing_ = ((full && !probing_) || again_) && whole >= 2;
    again_ = false;
    allowed_ = probing_ ? probe_of(whole, depth_) : whole;
    n_ = drops_ = full_ = base_ = 0;
    sum_ = sum2_ = in_flight_ = 0;
    if (std::floor(allowed_) != std::floor(before)) settle_until_ = now + duration::from_ns(static_cast<std::int64_t>(settle_rtts * std::max(high_.latency, low_.latency)));
    return allowed_ != before;
  }
  void after_probe(const point& p, bool have) {
    if (!have) return;
    // Slower than the window before at more calls: something has changed, and this is not what a lower limit gives.
    if (!trusted_ || high_.latency <= 0 || low_.latency <= 0) {
      low_ = p;
      trusted_ = true;
      return;
    }
    const double rise = std::log(p.latency / high_.latency);
    if (rise > 3 * std::sqrt(p.error2 + high_.error2) && rise > 0.1) {
      const double step = std::clamp((1 - elastic) * -std::log(1 - margin) - std::log(p.latency / low_.latency), -0.7, 0.0);
      limit_ = std::max(lo_, allowed_ * std::exp(step));
      trusted_ = false;  // the next one counts whatever it says
      again_ = true;
      evidence_ = 0;
      return;
    }
    const double change = std::log(p.latency / low_.latency);
    if (change * change < 4 * (p.error2 + low_.error2) && std::abs(p.limit - low_.limit) <= std::max(1.0, 0.15 * p.limit)) {
      const double w = std::max(keep, p.error2 > 0 ? low_.error2 / (p.error2 + low_.error2) : 1.0);
      low_.latency += w * (p.latency - low_.latency);
      low_.limit += w * (p.limit - low_.limit);
      low_.error2 = w * w * p.error2 + (1 - w) * (1 - w) * low_.error2;
    } else {
      low_ = p;
    }
  }
  void after_cruise(const point& p, bool have, bool full) {
    if (!have) return;
    high_ = p;
    trusted_ = true;
    if (!full) return;
    if (low_.latency <= 0 || low_.limit >= p.limit || low_.limit < p.limit * 0.25) return;  // a probe first
    const double most = std::log(p.limit / probe_of(p.limit, 1));
    const double apart = std::log(p.limit / low_.limit);
    const double more = std::clamp(apart, 0.0, most);
    const double slower = std::log(p.latency / low_.latency);
    double error = (1 - elastic) * more - slower;
    const double noise2 = p.error2 + low_.error2;
    flat_ += 0.3 * (std::clamp(slower / apart, 0.0, 1.5) - flat_);
    if (flat_ > deep_at) {
      depth_ = std::min(depth_ + 1, 4);
      flat_ = 0.9;
    } else if (depth_ > 1) {
      depth_ = 1;
      flat_ = 0.9;
    }
    if (error < 0) error *= down;
    double step = error * std::max(gain, error * error / (error * error + noise2));
    const bool up_now = error > 0;
    const double z = std::abs(error) / std::sqrt(noise2 + 1e-9);
    evidence_ = (up_now == went_up_ ? evidence_ : 0) + z;
    went_up_ = up_now;
    step *= std::clamp(evidence_ / z_per, 1.0, double(run_max));
    step = std::clamp(step, -0.7, 0.7);
    limit_ *= std::exp(step);
  }

  double limit_, lo_, hi_, allowed_;
  double n_ = 0, base_ = 0, drops_ = 0, full_ = 0, sum_ = 0, sum2_ = 0, in_flight_ = 0, wait_ = 0;
  instant begin_, settle_until_;
  bool probing_ = false, trusted_ = false, again_ = false;
  bool went_up_ = false;
 public:
  double z_per = 2.5;
 private:
  double evidence_ = 0, flat_ = 0.9;
  int plateau_ = 0, depth_ = 1;
  point low_, high_;
  std::uint64_t windows_ = 0;
};
}  // namespace seawall::core
#endif
