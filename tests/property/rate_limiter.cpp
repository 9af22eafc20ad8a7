// SPDX-License-Identifier: Apache-2.0
// The rate limiter against slow and obvious models: GCRA against a token bucket in fractions, windows against lists of what
// was granted, reservations against the definition of a rate.

#include "seawall/rate_limiter.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::rate_algorithm;
using seawall::rate_limiter;
using seawall::rate_limiter_options;
using mismatch = std::optional<std::string>;

/// Tokens in fractions of `1 / per in ns`: nothing is ever rounded.
class token_bucket {
 public:
  token_bucket(std::int64_t permits, std::int64_t per, std::int64_t burst)
      : permits_(permits), per_(per), full_(burst * per), tokens_(full_) {}

  bool take(instant now, std::int64_t n) {
    refill(now);
    if (tokens_ < n * per_) return false;
    tokens_ -= n * per_;
    return true;
  }
  /// Until there are `n`.
  duration wait(std::int64_t n) const {
    return duration::from_ns((n * per_ - tokens_ + permits_ - 1) / permits_);
  }
  std::int64_t whole() const { return tokens_ / per_; }

 private:
  void refill(instant now) {
    const std::int64_t passed = (now - last_).ns();
    last_ = now;
    tokens_ = passed >= full_ / permits_ + 1 ? full_ : std::min(full_, tokens_ + passed * permits_);
  }

  std::int64_t permits_, per_, full_, tokens_;
  instant last_;
};

rate_limiter_options random_rate(dice& d) {
  rate_limiter_options o;
  o.permits = d.pick({1U, 2U, 3U, 7U, 10U, 64U, 97U, 100U, 1000U, 9973U, 10'000U, 25'999U});
  o.per = duration::from_ns(d.pick<std::int64_t>(
      {26'681, 100'003, 1'000'000, 999'999'937, 1'000'000'000, 60'000'000'000, 86'400'000'000'000}));
  o.burst = d.pick({0U, 1U, 2U, 5U, 16U, 100U});
  return o;
}

/// Half a permit's time and less, a few permits' time, a moment at which it is just enough, long idle times.
duration random_pause(dice& d, const rate_limiter_options& o, std::optional<duration> told) {
  const std::int64_t interval = o.per.ns() / o.permits;
  if (told && d.chance(40)) return *told + duration::from_ns(d.pick<std::int64_t>({-1, 0, 0, 1}));
  if (d.chance(5)) return duration::from_ns(d.between<std::int64_t>(0, interval * 1000));
  return duration::from_ns(d.between<std::int64_t>(0, d.pick<std::int64_t>({0, interval, interval * 3})));
}

mismatch gcra_duel(dice& d, std::uint64_t& operations) {
  const rate_limiter_options o = random_rate(d);
  rate_limiter limiter(o, 1, {});
  const std::uint32_t burst = o.depth();
  token_bucket bucket(o.permits, o.per.ns(), burst);
  instant now = instant::from_ns(d.between<std::int64_t>(0, 1'000'000'000'000));
  std::optional<duration> told;
  for (int i = 0; i < 1000; ++i, ++operations) {
    now = now + std::max(random_pause(d, o, told), duration::zero());
    const std::uint32_t n = d.chance(80) ? 1 : d.between(1U, burst);
    const bool expected = bucket.take(now, n);
    const auto p = limiter.try_acquire(now, n);
    trace(now.ns(), ": ", n, " of ", o.permits, " in ", o.per.ns(), ", burst ", burst, ": ",
          static_cast<bool>(p));
    if (static_cast<bool>(p) != expected)
      return text("permit ", i, ": ", static_cast<bool>(p), ", the bucket says ", expected);
    told = p.retry_after();
    if (!expected && (!told || *told != bucket.wait(n)))
      return text("to wait: ", told.value_or(duration()).ns(), ", the bucket says ", bucket.wait(n).ns());
    if (i % 16 == 0 && limiter.snapshot(now).available != static_cast<std::uint64_t>(bucket.whole()))
      return text("available: ", limiter.snapshot(now).available, ", the bucket has ", bucket.whole());
  }
  return std::nullopt;
}

// SEAWALL_SEQUENCES=100000 for 10^8 events.
TEST_CASE("rate_limiter: gcra decides like a token bucket in exact fractions, permit by permit") {
  run_sequences(1000, gcra_duel);
}

/// What was granted, and the rules as they are written.
class granted_list {
 public:
  explicit granted_list(const rate_limiter_options& o) : o_(o) {}

  void add(instant at, std::uint32_t n) { all_.push_back({at, n}); }
  bool allows(instant at, std::uint32_t n) const {
    const std::int64_t per = o_.per.ns(), window = bucket_of(at, o_.per);
    std::int64_t here = n, before = 0, log = n;
    for (const auto& g : all_) {
      const std::int64_t w = bucket_of(g.at, o_.per);
      here += w == window ? g.n : 0;
      before += w == window - 1 ? g.n : 0;
      log += at - g.at < o_.per ? g.n : 0;
    }
    switch (o_.algorithm) {
      case rate_algorithm::fixed_window: return here <= o_.permits;
      case rate_algorithm::sliding_log: return log <= o_.permits;
      default: break;
    }
    const std::int64_t left = (window + 1) * per - at.ns();
    return here <= o_.permits && before * left <= (o_.permits - here) * per;
  }
  instant last() const {
    return all_.empty() ? instant::from_ns(seawall::detail::int64_min) : all_.back().at;
  }

 private:
  struct grant {
    instant at;
    std::uint32_t n;
  };
  rate_limiter_options o_;
  std::vector<grant> all_;
};

mismatch window_duel(dice& d, std::uint64_t& operations, rate_algorithm algorithm) {
  rate_limiter_options o;
  o.algorithm = algorithm;
  o.permits = d.between(1U, 12U);
  o.per = duration::from_ns(d.pick<std::int64_t>({12, 17, 100, 1000, 7919}));
  if (d.chance(50)) o.max_wait = o.per * d.between<std::int64_t>(1, 4);
  rate_limiter limiter(o, 1, {});
  granted_list list(o);
  std::vector<rate_limiter::reservation> waiting;
  instant now = instant::from_ns(d.between<std::int64_t>(-10'000, 10'000));
  for (int i = 0; i < 200; ++i, ++operations) {
    now = now + duration::from_ns(d.between<std::int64_t>(
                    0, d.pick({std::int64_t{0}, o.per.ns() / o.permits, o.per.ns()})));
    const std::uint32_t n = d.chance(70) ? 1 : d.between(1U, o.permits);
    const bool may_wait = d.chance(50);
    auto r = may_wait ? limiter.reserve(now, n) : rate_limiter::reservation();
    auto p = may_wait ? rate_limiter::permit() : limiter.try_acquire(now, n);
    const bool granted = may_wait ? static_cast<bool>(r) : static_cast<bool>(p);
    const auto told = may_wait ? r.retry_after() : p.retry_after();
    const instant at = granted ? (may_wait ? r.at() : now) : now + told.value_or(duration());
    const instant earliest = std::max(now, list.last());
    trace(now.ns(), ": ", n, " of ", o.permits, ": ", granted, " at ", at.ns());
    if (at < earliest || !list.allows(at, n)) return text(n, " at ", at.ns(), ": too early");
    if (at > earliest && list.allows(at - duration::from_ns(1), n))
      return text(n, " at ", at.ns(), ": too late");
    const bool expected = at == now || (may_wait && at - now <= o.max_wait);
    if (granted != expected) return text(n, " at ", at.ns(), " from ", now.ns(), ": ", granted);
    if (granted) list.add(at, n);
    if (r && r.at() > now)
      waiting.push_back(std::move(r));
    else
      r.use();
    if (waiting.size() > 40) {
      for (auto& w : waiting) w.use();
      waiting.clear();
    }
  }
  for (auto& w : waiting) w.use();
  return std::nullopt;
}

TEST_CASE("rate_limiter: a fixed window grants what a list of grants allows, and no later") {
  run_sequences(1000,
                [](dice& d, std::uint64_t& n) { return window_duel(d, n, rate_algorithm::fixed_window); });
}
TEST_CASE("rate_limiter: a sliding counter grants what a list of grants allows, and no later") {
  run_sequences(1000,
                [](dice& d, std::uint64_t& n) { return window_duel(d, n, rate_algorithm::sliding_counter); });
}
TEST_CASE("rate_limiter: a sliding log grants what a list of grants allows, and no later") {
  run_sequences(1000,
                [](dice& d, std::uint64_t& n) { return window_duel(d, n, rate_algorithm::sliding_log); });
}

struct use {
  instant at;
  std::int64_t n;
};

/// Between any two uses, no more than a burst and what is earned in between.
mismatch judge_uses(std::vector<use> all, const rate_limiter_options& o) {
  std::sort(all.begin(), all.end(), [](const use& a, const use& b) { return a.at < b.at; });
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::int64_t sum = 0;
    for (std::size_t j = i; j < all.size(); ++j) {
      sum += all[j].n;
      // Times are rounded up to whole ns, each by less than one.
      const std::int64_t between = (all[j].at - all[i].at).ns() + 1;
      if (sum * o.per.ns() > std::int64_t{o.depth()} * o.per.ns() + between * o.permits)
        return text(sum, " permits within ", between - 1, " ns");
    }
  }
  return std::nullopt;
}

mismatch reservations(dice& d, std::uint64_t& operations) {
  rate_limiter_options o;
  o.permits = d.pick({1U, 3U, 10U});
  o.per = duration::from_ns(d.pick<std::int64_t>({10, 100, 1000}));
  o.burst = d.between(1U, 6U);
  o.max_wait = o.per * d.between<std::int64_t>(1, 20) / o.permits;
  o.max_waiting = d.pick({1U, 4U, 100U});
  rate_limiter limiter(o, 1, {});
  instant now = instant::from_ns(d.between<std::int64_t>(0, 1000));
  struct waiter {
    rate_limiter::reservation r;
    std::uint32_t n;
    instant at;
  };
  std::vector<waiter> waiting;
  std::vector<use> used;
  for (int i = 0; i < 120; ++i, ++operations) {
    now = now + duration::from_ns(
                    d.between<std::int64_t>(0, d.pick({std::int64_t{0}, o.per.ns() / o.permits * 2})));
    for (std::size_t k = 0; k < waiting.size();) {
      waiter& w = waiting[k];
      if (w.r.at() != w.at) return text("a time that was given has moved");
      const bool leaves = w.at > now && d.chance(10);
      if (leaves) w.r.give_back(now);
      if (!leaves && w.at > now) {
        ++k;
        continue;
      }
      if (!leaves) used.push_back({w.at, w.n});
      if (!leaves) w.r.use();
      w = std::move(waiting.back());
      waiting.pop_back();
    }
    const std::uint32_t n = d.chance(70) ? 1 : d.between(1U, o.burst);
    if (d.chance(30)) {
      auto p = limiter.try_acquire(now, n);
      if (p && d.chance(20))
        p.give_back(now);
      else if (p)
        used.push_back({now, n});
    } else if (auto r = limiter.reserve(now, n)) {
      if (r.at() < now || r.at() - now > o.max_wait) return text("told to wait ", (r.at() - now).ns());
      waiting.push_back({std::move(r), n, {}});
      waiting.back().at = waiting.back().r.at();
    }
    if (limiter.snapshot(now).waiting > o.max_waiting) return text("more wait than may");
  }
  for (auto& w : waiting) w.r.give_back(now);
  waiting.clear();
  if (limiter.snapshot(now).waiting != 0) return text("somebody still waits");
  return judge_uses(std::move(used), o);
}

TEST_CASE("rate_limiter: reservations, taken and given back in any order, never exceed the rate, nor move") {
  run_sequences(5000, reservations);
}

}  // namespace
