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
  struct point {
    double latency = 0, in_flight = 0, error2 = 0;
  };
  bool complete(instant now) const {
    const double all = n_ + drops_;
    if (all < n_min) return false;
    if (n_ < 2) return true;
    const double mean = sum_ / n_;
    if (static_cast<double>((now - begin_).ns()) < mean) return false;
    const double var = std::max(0.0, sum2_ / n_ - mean * mean) / (mean * mean) / n_;
    return var <= precision * precision || all >= n_max;
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
      p.error2 = std::max(0.0, sum2_ / n_ / (p.latency * p.latency) - 1) / n_;
      wait_ = p.latency;
    }
    const bool full = full_ > 0 && p.in_flight >= before / 2;
    if (probing_) after_probe(p, have);
    else after_cruise(p, have, full);
    if (drop_share > 0.02) {
      limit_ = std::max(lo_, before * std::max(0.5, 1 - drop_share));
      streak_ = 0;
    }
    limit_ = std::clamp(limit_, lo_, hi_);
    probing_ = full && !probing_ && limit_ >= 2;
    if (again_ && limit_ >= 2) probing_ = true;
    again_ = false;
    allowed_ = probing_ ? std::max(1.0, std::min(std::floor(limit_) - 1, std::round(limit_ * (1 - margin)))) : limit_;
    n_ = drops_ = full_ = 0;
    sum_ = sum2_ = in_flight_ = 0;
    if (std::floor(allowed_) != std::floor(before)) settle_until_ = now + duration::from_ns(static_cast<std::int64_t>(wait_));
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
      streak_ = 0;
      return;
    }
    low_ = p;
  }
  void after_cruise(const point& p, bool have, bool full) {
    if (!have) return;
    high_ = p;
    trusted_ = true;
    if (!full) return;
    if (low_.latency <= 0 || low_.in_flight < p.in_flight * 0.4) return;  // a probe first
    const double most = std::max(-std::log(1 - margin), std::log(p.in_flight / std::max(1.0, p.in_flight - 1)));
    const double more = std::clamp(std::log(p.in_flight / low_.in_flight), 0.0, most);
    const double slower = std::log(p.latency / low_.latency);
    const double error = (1 - elastic) * more - slower;
    const double noise2 = p.error2 + low_.error2;
    double step = error * error * error / (error * error + noise2);
    if (accel && step > 0.5 * (1 - elastic) * more && more > 0) {
      streak_ = std::min(streak_ + 1, 3);
      step *= streak_;
    } else {
      streak_ = 0;
    }
    step = std::clamp(step, -0.7, 0.7);
    limit_ *= std::exp(step);
  }

  double limit_, lo_, hi_, allowed_;
  double n_ = 0, drops_ = 0, full_ = 0, sum_ = 0, sum2_ = 0, in_flight_ = 0, wait_ = 0;
  instant begin_, settle_until_;
  bool probing_ = false, trusted_ = false, again_ = false;
  int streak_ = 0;
  point low_, high_;
  std::uint64_t windows_ = 0;
};
}  // namespace seawall::core
#endif
