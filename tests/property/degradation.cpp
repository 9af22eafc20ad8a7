// SPDX-License-Identifier: Apache-2.0
// The ladder against a slow and obvious model, which walks through time unit by unit; rollouts; all of it under threads.

#include "seawall/degradation.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/brownout.hpp"
#include "seawall/event.hpp"
#include "seawall/feature_gate.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace seawall;

struct change {
  std::string from, to;
  std::int64_t at;
  friend bool operator==(const change&, const change&) = default;
};

struct recorder : listener {
  using listener::on;
  void on(const event::state_changed& e) noexcept override {
    seen.push_back({std::string(e.from), std::string(e.to), e.at.ns()});
  }
  std::vector<change> seen = {};
};

/// Time is a whole number, and every one of them is visited.
struct ladder_model {
  std::uint32_t last = 3, step = 1;
  std::int64_t hold = 10;
  std::array<std::uint32_t, 4> wants = {};
  std::array<std::uint32_t, 4> leaving = {};  // wishes of dropped handles that it has not heard of
  std::uint32_t automatic = 0, best = 0, worst = 3, shown = 0;
  std::int64_t now = 0, calm = 0;  // for so long nobody has wanted `automatic`
  std::vector<change> changes = {};

  std::uint32_t wished() const {
    return std::max(*std::max_element(wants.begin(), wants.end()),
                    *std::max_element(leaving.begin(), leaving.end()));
  }
  void show() {
    const std::uint32_t to = std::clamp(automatic, best, worst);
    if (to != shown) changes.push_back({std::to_string(shown), std::to_string(to), now});
    shown = to;
  }
  void settle() {
    if (wished() >= automatic) {
      automatic = wished();
      calm = 0;
    }
    while (automatic > wished() && calm >= hold) {
      automatic = std::max(wished(), automatic - std::min(step, automatic));
      calm = 0;
      show();
    }
  }
  void pass(std::int64_t until) {
    while (now < until) {
      ++now;
      if (automatic > wished()) ++calm;
      settle();
    }
  }
  /// After `mutate` has changed what is wanted or set.
  template <class Mutate>
  void told(std::int64_t at, Mutate&& mutate) {
    pass(at);
    leaving = {};
    mutate();
    if (wished() >= automatic) {
      automatic = wished();
      calm = 0;
    }
    settle();
    show();
  }
};

std::optional<std::string> play_ladder(dice& d, std::uint64_t& operations) {
  ladder_model m;
  m.last = d.between(0U, 5U);
  m.worst = m.last;
  m.step = d.between(1U, 3U);
  m.hold = d.pick<std::int64_t>({0, 1, 3, 10});
  recorder events;
  degradation_options o{
      .hold = duration::from_ns(m.hold), .step = m.step, .max_signals = 64, .events = &events};
  o.levels.clear();
  for (std::uint32_t i = 0; i <= m.last; ++i) o.levels.push_back({.name = std::to_string(i)});
  degradation ladder(o);
  std::array<degradation_signal, 4> signals;
  for (auto& s : signals) s = ladder.signal("s");

  std::int64_t t = 0;
  const int length = d.between(5, 60);
  for (int i = 0; i < length; ++i, ++operations) {
    t += d.between(0, 6);
    const instant now = instant::from_ns(t);
    const std::uint64_t which = d.below(4);
    switch (d.below(10)) {
      case 0: {
        const std::uint32_t best = d.between(0U, m.last), worst = d.between(best, m.last);
        ladder.bound(best, worst, "", now);
        m.told(t, [&] { m.best = best, m.worst = worst; });
        break;
      }
      case 1:
        ladder.release(now);
        m.told(t, [&] { m.best = 0, m.worst = m.last; });
        break;
      case 2:
        // No time is told: the wish stays until it is.
        m.leaving[which] = std::max(m.leaving[which], m.wants[which]);
        m.wants[which] = 0;
        signals[which].drop();
        signals[which] = ladder.signal("s");
        continue;
      case 3:
      case 4:
        m.told(t, [] {});
        if (ladder.level(now) != m.shown)
          return text("at ", t, " level is ", ladder.level(), ", the model's ", m.shown);
        continue;
      default: {
        const std::uint32_t level = d.chance(40) ? 0 : d.between(0U, m.last);
        signals[which].want(level, "", now);
        m.told(t, [&] { m.wants[which] = level; });
      }
    }
    if (ladder.level() != m.shown)
      return text("at ", t, " level is ", ladder.level(), ", the model's ", m.shown);
  }
  const degradation_snapshot s = ladder.snapshot(instant::from_ns(t));
  m.told(t, [] {});
  if (s.automatic != m.automatic) return text("automatic is ", s.automatic, ", the model's ", m.automatic);
  if (events.seen != m.changes)
    return text(events.seen.size(), " changes told, of ", m.changes.size(), " or at other times");
  return std::nullopt;
}

std::string user(std::uint64_t n) { return "user-" + std::to_string(n); }

}  // namespace

TEST_CASE("degradation: random signals and hands, against a model that visits every instant") {
  run_sequences(20'000, play_ladder);
}

TEST_CASE("rollout: stable per key, and raising the percentage takes no key out") {
  run_sequences(200, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    const std::string name = "feature-" + std::to_string(d.below(1000));
    feature_gate g({.name = name, .percent = 0}), twin({.name = name, .percent = 0});
    std::vector<bool> in(200, false);
    double percent = 0;
    while (percent < 100) {
      percent = std::min(100.0, percent + static_cast<double>(d.between(0, 3000)) / 100);
      g.set_percent(percent, "", instant());
      twin.set_percent(percent, "", instant());
      for (std::size_t k = 0; k < in.size(); ++k, ++operations) {
        const bool allowed = g.allows(user(k), instant());
        if (in[k] && !allowed) return text(user(k), " fell out of ", name, " at ", percent, "%");
        if (allowed != twin.allows(user(k), instant())) return text("two gates of one name disagree");
        in[k] = allowed;
      }
    }
    if (std::count(in.begin(), in.end(), false) != 0) return text("not everybody at 100%");
    return std::nullopt;
  });
}

// Keys that differ little, as keys do: numbers in a row, one letter, long common beginnings.
TEST_CASE(
    "rollout: the share of the keys is the percentage, within what chance allows, and features are independent") {
  const std::uint64_t keys = 100'000 / slowdown;
  double farthest = 0;
  for (const std::string prefix : {"", "user-", "eu-west-1/tenant/000000000000/"}) {
    for (const double percent : {0.1, 1.0, 10.0, 50.0, 99.0}) {
      feature_gate one({.name = "one", .percent = percent}), other({.name = "other", .percent = percent});
      double in_one = 0, in_both = 0;
      for (std::uint64_t k = 0; k < keys; ++k) {
        const std::string key = prefix + std::to_string(k);
        const bool a = one.allows(key, instant()), b = other.allows(key, instant());
        in_one += a;
        in_both += a && b;
      }
      const double p = percent / 100, n = static_cast<double>(keys);
      const double off = std::abs(in_one - n * p) / std::sqrt(n * p * (1 - p));
      const double off_both = std::abs(in_both - n * p * p) / std::sqrt(n * p * p * (1 - p * p));
      farthest = std::max({farthest, off, off_both});
      // 30 figures: five standard deviations happen once in 60'000 runs of fair draws. These are always the same.
      CHECK(off < 5);
      CHECK(off_both < 5);
    }
  }
  MESSAGE("farthest from the expected share: ", farthest, " standard deviations");
}

TEST_CASE("degradation under threads: signals, hands, gates and a brownout at once") {
  constexpr unsigned threads = 4;
  const std::uint64_t rounds = 20'000 / slowdown;
  degradation ladder({.hold = duration::from_ns(50), .max_signals = 8});
  feature_gate gate(ladder, {.name = "g", .up_to_level = 1, .percent = 50});
  brownout dimmed({.set_point = std::chrono::milliseconds(1), .period = std::chrono::milliseconds(1)});
  CHECK_FALSE(dimmed.drive(ladder, {.level = 1, .below = 0.5, .above = 0.6}));
  std::atomic<std::int64_t> clock{0};
  std::atomic<std::uint64_t> impossible{0};
  const noise looks([&] {
    const auto s = ladder.snapshot(instant::from_ns(clock.load()));
    if (s.level > 3 || s.signals.size() > 8) ++impossible;
    gate.snapshot(instant::from_ns(clock.load()));
    dimmed.snapshot();
  });
  in_threads(threads, [&](unsigned thread) {
    dice d(thread + 1);
    random_source draws(thread);
    degradation_signal mine = ladder.signal("mine");
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const instant now = instant::from_ns(clock.fetch_add(static_cast<std::int64_t>(d.below(40))));
      switch (d.below(8)) {
        case 0: mine.want(static_cast<std::uint32_t>(d.below(4)), "noise", now); break;
        case 1: mine = ladder.signal("mine"); break;
        case 2: thread == 0 ? (void)ladder.bound(0, 2, "hand", now) : ladder.release(now); break;
        case 3: gate.set_percent(static_cast<double>(d.below(101)), "", now); break;
        case 4: d.chance(50) ? gate.kill("", now) : gate.revive("", now); break;
        default:
          if (ladder.level(now) > 3) ++impossible;
          gate.allows(user(i), now);
          dimmed.serve_optional(draws);
          dimmed.observe(std::chrono::microseconds(d.between(1, 3000)), instant::from_ns(now.ns() * 1000));
      }
    }
  });
  CHECK(impossible == 0);
  // All wishes are withdrawn but the brownout's, and no hand is on it.
  const instant later = instant::from_ns(clock.load());
  ladder.release(later);
  const instant at_rest = later + std::chrono::seconds(1);
  CHECK(ladder.level(at_rest) == (dimmed.snapshot().drives_ladder ? 1 : 0));
  CHECK(ladder.snapshot(at_rest).signals.size() == 1);
}
