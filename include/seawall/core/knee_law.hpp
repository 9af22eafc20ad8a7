// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_CORE_KNEE_LAW_HPP
#define SEAWALL_CORE_KNEE_LAW_HPP

// The library's own law for a limit on concurrency: it looks for the knee, the limit beyond which more calls
// at once are only slower ones. It knows no "latency without load", which drifts in an overload that lasts;
// it compares what it sees at the limit with what it sees a quarter below it, again and again.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "seawall/core/limit_laws.hpp"
#include "seawall/time.hpp"

namespace seawall::core {

/// How it works. Windows of calls alternate: *cruise* at the limit, *probe* a quarter below. By Little's law,
/// throughput is calls in flight over latency: if latency has grown as much as the limit, the calls in
/// between were of no use; if it has not grown at all, all of them were. The limit moves to where a tenth
/// more of it gives about one per cent more throughput (`elasticity`). That is a statement about the server
/// at this moment, and holds for any number of servers, any law of service times, and servers that get slower
/// with each call; in a sustained overload there is nothing that could drift.
///
/// The sizes of windows and steps come from the noise: a window ends when its mean is known to `precision`, a
/// step is taken in full when it is significant, and a small one is when it is not. What is clearly too slow
/// is answered at once, by Newton's step to the knee of a queue.
///
/// The constants are statements about what is good (how much throughput a call must bring) or about
/// statistics, not about the server: docs/adaptive_limit.md tells how little the figures depend on them.
///
/// Thread safety: none. Cost: some twenty floating-point operations a call, some hundred a window.
class knee_law {
 public:
  knee_law(double initial, limit_bounds b) : bounds_(b), settled_(initial), limit_(initial) {}

  double limit() const noexcept { return limit_; }
  void add(const limit_sample& s) noexcept {
    // Calls that began under another limit would tell about that one.
    if (s.now < settled_at_ || to_pass_ > 0) {
      to_pass_ -= 1;
      return;
    }
    if (window_.calls == 0 && window_.overloads == 0) window_.begin = s.now;
    window_.add(s, probe_.latency);
    if (window_.changed()) {
      window_ = {};
      window_.begun_anew = true;
      window_.begin = s.now;
    }
    if (complete(s.now)) conclude(s.now);
  }
  void set_bounds(limit_bounds b) noexcept {
    bounds_ = b;
    settled_ = b.clamp(settled_);
    limit_ = b.clamp(limit_);
  }
  std::string_view why() const noexcept { return why_; }
  limit_law_view view() const noexcept {
    return {.settled = settled_,
            .latency = cruise_.latency,
            .baseline = probe_.latency,
            .phase = phase_,
            .windows = windows_};
  }

 private:
  // What is wanted.
  static constexpr double elasticity =
      0.12;                             // of throughput to the limit, at the limit wanted, if that is large,
  static constexpr double handful = 4;  // and half of it at so many: a few calls more cost little

  // Windows, in calls, and when they end.
  static constexpr double least_calls = 50;   // or nothing but equal latencies would never end
  static constexpr double most_calls = 1000;  // heavy tails are never precise
  static constexpr double generations = 16;   // and half as many pass before it
  static constexpr double precision = 0.06;   // relative standard error of the mean latency
  static constexpr double coarse = 0.15;      // the same while starting: only a doubling has to be seen
  static constexpr double correlation = 2;    // neighbours in a queue are alike: so much less do they tell
  static constexpr double certain = 3.0;      // standard errors, with which a cruise may end early
  static constexpr double cruise_length = 6;  // windows of a probe's length, as probing costs throughput
  static constexpr double lately = 50;        // calls
  static constexpr double sudden = 2;         // so many times as slow is a change of the server
  static constexpr double overload_share = 0.02;

  // Probes and steps.
  static constexpr double margin = 0.25;          // by which a probe is below the limit
  static constexpr int deepest = 4;               // times
  static constexpr double farthest_probe = 0.25;  // of the limit: what is lower cannot be compared with it
  static constexpr double deep = 0.6;             // of the limit, and less: at least twice as deep as usual
  static constexpr double useless = 0.85;    // share(), from which on a jump down to such a probe is safe
  static constexpr double least_gain = 0.3;  // the share of a step that is taken although it may be noise
  static constexpr double farthest = 0.7;    // a step, as a logarithm: a factor of two

  /// What a window has found out.
  struct point {
    double limit = 0;
    double latency = 0;  // 0: not known
    double error2 = 0;   // relative, squared
  };

  struct window {
    double calls = 0, overloads = 0, full = 0, sum = 0, squares = 0, in_flight = 0;
    double recent = 0;      // mean of the last calls, of some `lately`
    double first_look = 0;  // calls when a cruise was precise enough to look
    bool begun_anew = false;
    instant begin;

    void add(const limit_sample& s, double usual) noexcept {
      if (s.how == limit_sample::kind::overloaded) overloads += 1;
      // A failure that is fast tells nothing about time; one that is slow has taken at least so long.
      if (s.how != limit_sample::kind::answered && (usual == 0 || s.latency < 2 * usual)) return;
      // One call in a million that takes a minute must not decide.
      const double known = usual > 0 ? usual : calls >= 10 ? sum / calls : 0;
      const double latency = known > 0 ? std::min(s.latency, 8 * known) : s.latency;
      calls += 1;
      recent += (latency - recent) / std::min(calls, lately);
      sum += latency;
      squares += latency * latency;
      in_flight += s.in_flight;
      if (s.in_flight >= s.room) full += 1;
    }
    // The server is not what it was when the window began, and what it was then no longer matters. Once a
    // window: bursts must not keep it from ever ending.
    bool changed() const noexcept {
      return !begun_anew && calls > 2 * lately && recent * calls > sudden * sum;
    }
    double ended() const noexcept { return calls + overloads; }
    double mean() const noexcept { return calls > 0 ? sum / calls : 0; }
    double error2() const noexcept {
      const double m = mean();
      return m > 0 ? std::max(0.0, squares / calls / (m * m) - 1) / calls : 0;
    }
    double overloaded() const noexcept { return ended() > 0 ? overloads / ended() : 0; }
  };

  static double wanted(double limit) noexcept { return elasticity * limit / (limit + handful); }
  double below(double limit, int times) const noexcept {
    const double share = std::pow(1 - margin, times);
    return std::max(bounds_.least, std::floor(limit * share));
  }

  bool complete(instant now) noexcept {
    const double all = window_.ended();
    if (all < least_calls) return false;
    if (!lasted(now)) return clearly_too_slow(now);
    const double error2 = window_.error2();
    const bool starting = phase_ == limit_phase::starting;
    const double allowed = starting ? coarse : precision;
    if (error2 > allowed * allowed && all < most_calls) return false;
    if (starting || phase_ == limit_phase::probing || !comparable(limit_)) return true;
    if (window_.full == 0 || window_.overloaded() > overload_share) return true;
    if (window_.first_look == 0) {
      window_.first_look = all;
      const double e = error({limit_, window_.mean(), 0});
      if (e * e > certain * certain * (correlation * error2 + probe_.error2)) return true;
      if (of_no_use({limit_, window_.mean(), 0})) return true;
    }
    return all >= cruise_length * window_.first_look;
  }
  // By Little's law, as many calls end in the time that one takes as are in flight: a generation. Where calls
  // share processors, the short ones of a generation end first, and for some generations after a change of
  // the limit calls look faster than they are. With windows of one generation such servers drove the limit to
  // fifty times the best.
  bool lasted(instant now) const noexcept {
    return window_.ended() >= generations * limit_ &&
           static_cast<double>((now - window_.begin).ns()) >= window_.mean();
  }
  // That calls are slower than they are is not what a change of the limit makes believe, so this need not
  // wait: in front of a server that has lost nearly all of itself, many generations are minutes.
  bool clearly_too_slow(instant now) const noexcept {
    return phase_ == limit_phase::cruising && window_.mean() > sudden * probe_.latency &&
           comparable(limit_) && window_.error2() < coarse * coarse &&
           window_.ended() >= std::max(4 * least_calls, 2 * limit_) &&
           static_cast<double>((now - window_.begin).ns()) >= window_.mean();
  }

  bool comparable(double limit) const noexcept {
    return probe_.latency > 0 && probe_.limit < limit && probe_.limit >= limit * farthest_probe;
  }
  /// By how much, as a logarithm, the limit could be higher (or must be lower) if the server is a queue at
  /// its knee.
  double error(const point& p) const noexcept {
    const double apart = std::log(p.limit / std::max(probe_.limit, below(p.limit, 1)));
    return (1 - wanted(p.limit)) * apart - std::log(p.latency / probe_.latency);
  }

  /// How much slower calls are than in the probe, as a share of how many more there are: 1 in a queue far
  /// above its knee.
  double share(const point& p) const noexcept {
    return std::log(p.latency / probe_.latency) / std::log(p.limit / probe_.limit);
  }
  /// Whether a probe so deep that noise does not matter has lost next to nothing.
  bool of_no_use(const point& p) const noexcept {
    return depth_ > 1 && probe_.limit <= p.limit * deep && share(p) > useless;
  }

  void conclude(instant now) noexcept {
    ++windows_;
    point p{.limit = limit_};
    if (window_.calls >= 10) {
      p.latency = window_.mean();
      p.error2 = correlation * window_.error2();
    }
    const bool used = window_.full > 0 && window_.in_flight >= window_.calls * limit_ / 2;
    const double overloaded = window_.overloaded();
    again_ = false;
    if (p.latency > 0) learn(p, used);
    if (overloaded > overload_share) {
      // What the server has taken is what it takes.
      settled_ = std::min(settled_, limit_ * std::max(0.5, 1 - overloaded));
      why_ = "overload";
      evidence_ = 0;
      if (phase_ == limit_phase::starting) phase_ = limit_phase::cruising;
    }
    settled_ = bounds_.clamp(settled_);
    enter(now, used);
  }

  void learn(const point& p, bool used) noexcept {
    switch (phase_) {
      case limit_phase::starting: return start(p, used);
      case limit_phase::probing: return probe(p);
      case limit_phase::cruising: return cruise(p, used);
    }
  }

  // Doubles, as long as that makes calls slower by less than half as much.
  void start(const point& p, bool used) noexcept {
    cruise_ = p;
    if (!used) return;
    if (probe_.latency > 0 && probe_.limit < p.limit) {
      const double slower = std::log(p.latency / probe_.latency);
      if (slower > 0.5 * std::log(p.limit / probe_.limit)) {
        // Coarse windows err: it has to be seen twice.
        if (!doubtful_) {
          doubtful_ = true;
          return;
        }
        doubtful_ = false;
        settled_ = p.limit * std::exp(std::clamp(error(p), -farthest, 0.0));
        phase_ = limit_phase::cruising;
        why_ = "latency";
        return;
      }
    }
    doubtful_ = false;
    probe_ = p;
    settled_ = p.limit * 2;
    why_ = "growth";
  }

  void probe(const point& p) noexcept {
    const bool slower_than_above =
        cruise_.latency > 0 && probe_.latency > 0 &&
        std::log(p.latency / cruise_.latency) > std::max(0.1, 3 * std::sqrt(p.error2 + cruise_.error2));
    // A change in the middle of a cruise is in both.
    const bool slower_than_before =
        probe_.latency > 0 && p.limit <= probe_.limit && std::log(p.latency / probe_.latency) > farthest / 2;
    if ((slower_than_above || slower_than_before) && !doubtful_) {
      // With fewer calls? The server has changed, and this is no baseline. Assume that it can do less, and
      // look again: if calls have become longer by themselves, the next probe will say the same, and is
      // believed.
      const double apart = std::log(settled_ / below(settled_, 1));
      const double step = (1 - wanted(settled_)) * apart - std::log(p.latency / probe_.latency);
      settled_ = limit_ * std::exp(std::clamp(step, -farthest, 0.0));
      if (step < -farthest) depth_ = 2;
      why_ = "latency";
      doubtful_ = true;
      again_ = true;
      evidence_ = 0;
      return;
    }
    doubtful_ = false;
    probe_ = p;
  }

  void cruise(const point& p, bool used) noexcept {
    cruise_ = p;
    doubtful_ = false;
    if (!used || !comparable(p.limit)) return;
    if (of_no_use(p)) {
      settled_ = probe_.limit;
      depth_ = std::min(depth_ + 1, deepest);
      evidence_ = 0;
      why_ = "latency";
      return;
    }
    look_deeper(p);
    const double e = error(p);
    const double noise2 = p.error2 + probe_.error2;
    const double strength = std::abs(e) / std::sqrt(noise2 + 1e-9);
    // Small steps that all go one way are not noise.
    evidence_ = ((e > 0) == (last_error_ > 0) ? evidence_ : 0) + strength;
    last_error_ = e;
    const double step =
        e * std::max(least_gain, e * e / (e * e + noise2)) * std::clamp(evidence_ / 3, 1.0, 3.0);
    settled_ *= std::exp(std::clamp(step, -farthest, farthest));
    // So much at once is a change of the server: one benefit of the doubt is enough, the next probe is
    // believed.
    if (step < -farthest / 2) {
      doubtful_ = true;
      // By more than a step can be? How much more, only a deep probe tells.
      depth_ = step < -farthest ? 2 : 1;
    }
    why_ = step > 0 ? "growth" : "latency";
  }

  // Far above the knee, latency goes as the limit whether a probe is a quarter below or half: only the depth
  // tells how far. Deep probes cost throughput, so it has to be seen for many windows.
  void look_deeper(const point& p) noexcept {
    flatness_ += 0.15 * (std::clamp(share(p), 0.0, 1.5) - flatness_);
    const bool flat = flatness_ > 1.05;
    if (flat || depth_ > 1) flatness_ = 1 - elasticity;
    depth_ = flat ? std::min(depth_ + 1, deepest) : 1;
  }

  void enter(instant now, bool used) noexcept {
    const double before = limit_;
    const double whole = bounds_.clamp(std::ceil(settled_));
    const bool can_probe = below(whole, 1) < whole;
    if (phase_ != limit_phase::starting) {
      const bool probe_next = (used && phase_ == limit_phase::cruising) || again_;
      phase_ = probe_next && can_probe ? limit_phase::probing : limit_phase::cruising;
      // At the floor there is nothing below: it becomes what the next limit is compared with.
      if (used && !can_probe && cruise_.latency > 0 && whole < bounds_.most && why_ != "overload") {
        probe_ = cruise_;
        settled_ = whole + 1;
      }
    }
    while (depth_ > 1 && below(whole, depth_) < whole * farthest_probe) --depth_;
    limit_ = phase_ == limit_phase::probing ? below(whole, depth_) : bounds_.clamp(std::ceil(settled_));
    window_ = {};
    if (limit_ != before) {
      const double longest = std::max(cruise_.latency, probe_.latency);
      settled_at_ = now + duration::from_ns(static_cast<std::int64_t>(2 * longest));
      to_pass_ = generations / 2 * std::max(limit_, std::min(before, whole));
    }
  }

  limit_bounds bounds_;
  double settled_;  // the limit between probes; fractions add up
  double limit_;    // in force: a whole number
  limit_phase phase_ = limit_phase::starting;
  window window_;
  point probe_, cruise_;
  instant settled_at_;  // when a change of the limit has worked through,
  double to_pass_ = 0;  // and after how many calls
  double evidence_ = 0, last_error_ = 0, flatness_ = 1 - elasticity;
  int depth_ = 1;
  bool doubtful_ = false, again_ = false;
  std::string_view why_ = "growth";
  std::uint64_t windows_ = 0;
};

}  // namespace seawall::core

#endif  // SEAWALL_CORE_KNEE_LAW_HPP
