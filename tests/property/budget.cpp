// SPDX-License-Identifier: Apache-2.0
// The retry budget against a ledger.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "property/budget_ledger.hpp"
#include "property/support.hpp"
#include "seawall/retry_budget.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;

/// Options and the same rates as exact fractions: the floor of a window is a whole number of thousandths.
struct budget_terms {
  seawall::retry_budget_options options;
  ledger_rates rates;
};

budget_terms random_terms(dice& d, std::uint32_t buckets) {
  budget_terms t;
  t.options.buckets = buckets;
  t.options.window = std::chrono::milliseconds(d.pick({20, 40, 60})) * buckets;
  t.options.fleet = d.pick({1U, 2U, 4U});
  t.rates.ratio = d.pick({0, 1, 100, 200, 333, 500, 1000, 2500});
  // floor_per_second / fleet * window: a multiple of 1/20 each second, a window of whole 20 ms.
  const std::int64_t per_second = d.pick({0, 0, 1, 5, 10, 50}) * 4 * 50;
  t.options.ratio = static_cast<double>(t.rates.ratio) / 1000;
  t.options.floor_per_second = static_cast<double>(per_second) / 50;
  t.rates.floor = per_second * 1000 / 50 * (t.options.window.ns() / 1'000'000) / 1000 / t.options.fleet;
  return t;
}

class budget_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit budget_duel(dice& d)
      : d_(d),
        terms_(random_terms(d, d.pick({1U, 2U, 3U, 5U, 10U}))),
        budget_(terms_.options),
        ledger_(terms_.rates, width(), terms_.options.buckets),
        now_(instant::from_ns(d.between<std::int64_t>(-1'000'000'000, 1'000'000'000))) {}

  mismatch step() {
    advance();
    const auto roll = d_.below(100);
    if (roll < 45)
      deposit();
    else if (roll < 95) {
      if (mismatch m = withdraw()) return m;
    } else if (roll < 98) {
      if (mismatch m = reconfigure()) return m;
    }
    return compare();
  }

 private:
  duration width() const { return terms_.options.window / terms_.options.buckets; }

  // Often nothing, often to the very edge of a bucket, seldom an idle gap longer than the window.
  void advance() {
    const auto roll = d_.below(100);
    if (roll < 60) return;
    const std::int64_t edge = (bucket_of(now_, width()) + d_.between(1, 2)) * width().ns();
    if (roll < 80)
      now_ = instant::from_ns(edge - d_.between(0, 1));
    else if (roll < 98)
      now_ = now_ + std::chrono::milliseconds(d_.between(0, 60));
    else
      now_ = now_ + terms_.options.window * d_.between(1, 3);
    highest_ = now_ > highest_ ? now_ : highest_;
    now_ = highest_;
  }

  void deposit() {
    for (std::uint64_t i = d_.between(1, 5); i != 0; --i) {
      budget_.deposit(now_);
      ledger_.deposit(now_);
    }
  }

  mismatch withdraw() {
    const bool granted = budget_.try_withdraw(now_);
    const bool expected = ledger_.try_withdraw(now_);
    if (granted != expected) return text("granted ", granted, ", expected ", expected);
    // The promise itself, for the window that ends with this grant.
    if (granted &&
        static_cast<std::int64_t>(ledger_.repetitions(now_)) * 1000 > ledger_.bound_in_thousandths(now_)) {
      return text("more repetitions than the bound allows");
    }
    return {};
  }

  mismatch reconfigure() {
    budget_.snapshot(now_);  // tells it the time; reconfiguring does not
    const budget_terms changed = random_terms(d_, terms_.options.buckets);
    if (const auto error = budget_.reconfigure(changed.options)) return error->text("refused");
    terms_ = changed;
    ledger_.reconfigure(terms_.rates, width(), now_);
    return {};
  }

  mismatch compare() const {
    const seawall::retry_budget_snapshot s = budget_.snapshot(now_);
    if (s.calls == ledger_.calls(now_) && s.repetitions == ledger_.repetitions(now_) &&
        s.remaining == ledger_.remaining(now_)) {
      return {};
    }
    return text(s.calls, "/", s.repetitions, "/", s.remaining, ", expected ", ledger_.calls(now_), "/",
                ledger_.repetitions(now_), "/", ledger_.remaining(now_));
  }

  dice& d_;
  budget_terms terms_;
  seawall::retry_budget budget_;
  budget_ledger ledger_;
  instant now_;
  instant highest_ = instant::from_ns(seawall::detail::int64_min);
};

TEST_CASE("budget: grants like a ledger of all deposits and withdrawals") {
  run_sequences(120'000, [](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    budget_duel duel(d);
    const std::uint64_t length = d.between(20, 80);
    for (std::uint64_t i = 0; i < length; ++i, ++operations) {
      if (auto mismatch = duel.step()) return text("operation ", i, ": ", *mismatch);
    }
    return {};
  });
}

// All at one instant, so that nothing ages and the bound is known.
TEST_CASE("budget: of two threads that ask for the last repetition, one gets it") {
  const std::uint64_t rounds = sequences_wanted(20'000);
  seawall::retry_budget budget({.ratio = 0.5, .floor_per_second = 0});
  const instant now = instant::from_ns(1);
  const noise looks([&] { budget.machine().remaining(now); });
  starting_gun gun(2);
  std::atomic<std::uint64_t> granted{0}, wrong{0};
  in_threads(2, [&](unsigned thread) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      budget.deposit(now);
      gun.wait();
      if (budget.try_withdraw(now)) ++granted;
      gun.wait();
      if (thread == 0 && granted != round) ++wrong;
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of 2 threads");
}

TEST_CASE("budget: what four threads are granted is never more than what they have earned") {
  constexpr unsigned threads = 4;
  const std::uint64_t tries = sequences_wanted(200'000);
  seawall::retry_budget budget({.ratio = 0.5, .floor_per_second = 0.3});
  const instant now = instant::from_ns(1);
  std::atomic<std::uint64_t> granted{0}, deposited{0}, wrong{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::uint64_t i = 0; i < tries; ++i) {
      if ((i + thread) % 5 == 0) {
        ++deposited;  // before it counts, so that the bound can only be exceeded by a defect
        budget.deposit(now);
      }
      if (budget.try_withdraw(now) && ++granted > deposited / 2 + 3) ++wrong;
    }
  });
  while (budget.try_withdraw(now)) ++granted;
  CHECK(wrong.load() == 0);
  CHECK(granted == deposited / 2 + 3);
  MESSAGE("tried ", tries, " times in each of ", threads, " threads");
}

}  // namespace
