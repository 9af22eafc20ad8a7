// SPDX-License-Identifier: Apache-2.0
// Leases against a ledger: processes that share a place which is slow, lost, cut off from some, or forgets everything, in
// virtual time. The place is a slow and obvious one, with exact arithmetic. And the pool under real threads.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "property/support.hpp"
#include "seawall/core/lease_keeper.hpp"
#include "seawall/core/lease_pool.hpp"
#include "seawall/random.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::quota_fallback;
using seawall::core::lease_keeper;
using seawall::core::lease_pool;
using seawall::core::lease_reply;
using seawall::core::lease_request;
using seawall::core::lease_terms;

/// One permit a millisecond, in millionths: a nanosecond is one. The script of adapt/redis/script.hpp, in C++.
class place {
 public:
  place(std::int64_t burst, std::int64_t members, duration gone_after)
      : cap_(burst * million), members_(members), gone_after_(gone_after), heard_(16, instant::from_ns(-1)) {}

  lease_reply carry_out(instant now, std::size_t who, const lease_request& r) {
    const std::int64_t before = living(now);
    if (members_ > 0) heard_[who] = now;
    if (!known_) {
      debt_ =
          r.silent == duration::infinite() ? 0 : std::max<std::int64_t>(cap_ - drained(r.silent, before), 0);
      known_ = true;
      at_ = now;
    }
    debt_ = std::max<std::int64_t>(debt_ - drained(now - at_, before), 0);
    at_ = now;
    debt_ = std::min(debt_ + amount(r.settled), 2 * cap_);
    debt_ = std::max<std::int64_t>(debt_ - amount(r.returned), 0);
    const std::int64_t granted =
        std::clamp<std::int64_t>((cap_ - debt_) / million, 0, static_cast<std::int64_t>(r.wanted));
    debt_ += granted * million;
    return {.granted = static_cast<std::uint64_t>(granted),
            .retry_after = duration::from_ns(std::max<std::int64_t>(debt_ + million - cap_, 0))};
  }
  void forget() { known_ = false; }

 private:
  static constexpr std::int64_t million = 1'000'000;

  static std::int64_t amount(std::uint64_t permits) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(permits, 1'000'000)) * million;
  }
  std::int64_t living(instant now) const {
    if (members_ == 0) return 1;
    const auto n = std::count_if(heard_.begin(), heard_.end(),
                                 [&](instant i) { return i.ns() >= 0 && i > now - gone_after_; });
    return std::min<std::int64_t>(n, members_);
  }
  std::int64_t drained(duration d, std::int64_t living) const {
    return members_ == 0 ? d.ns() : d.ns() / members_ * living;
  }

  const std::int64_t cap_;
  const std::int64_t members_;
  const duration gone_after_;
  std::vector<instant> heard_;
  std::int64_t debt_ = 0;
  instant at_;
  bool known_ = false;
};

/// Everything that was granted to anyone, as the level of a bucket that leaks at the rate.
class meter {
 public:
  void add(instant now, std::int64_t permits) {
    level_ =
        std::max(level_ - static_cast<double>((now - at_).ns()) / 1e6, 0.0) + static_cast<double>(permits);
    at_ = now;
    highest_ = std::max(highest_, level_);
  }
  double highest() const { return highest_; }

 private:
  double level_ = 0;
  double highest_ = 0;
  instant at_;
};

class process {
 public:
  process(const lease_terms& t, std::int64_t members, instant now, std::uint64_t seed, unsigned stripes)
      : pool(t.max_lease,
             t.fallback == quota_fallback::deny ? duration::infinite()
                                                : duration(std::chrono::milliseconds(members)),
             t.local_burst, lease_keeper::local_from(t, now), stripes),
        keeper(t, pool, now, seawall::random_source(seed)) {}

  lease_pool pool;
  lease_keeper keeper;
  bool cut_off = false;
  // A command that is under way.
  std::optional<lease_request> request;
  instant arrives;
  instant ends;
  std::optional<lease_reply> reply;
  bool in_contact = false;
};

/// What happens to the place: all lose it, or some are cut off.
enum class weather { fair, lost_once, lost_for_all, partition };

class world {
 public:
  using mismatch = std::optional<std::string>;

  world(dice& d, quota_fallback fallback, weather w)
      : d_(d), weather_(w), burst_(d.between(20, 60)), count_(d.between<std::size_t>(1, 4)) {
    const auto members = static_cast<std::int64_t>(count_);
    terms_.fallback = fallback;
    terms_.max_lease = static_cast<std::uint32_t>(d.between(1, 20));
    terms_.min_lease = static_cast<std::uint32_t>(d.between<std::int64_t>(1, terms_.max_lease));
    terms_.lease_time = ms(d.between(200, 1000));
    terms_.local_burst = static_cast<std::uint64_t>((burst_ + members - 1) / members);
    place_ = std::make_unique<place>(burst_, fallback == quota_fallback::reserved_share ? members : 0,
                                     terms_.lease_time);
    for (std::size_t i = 0; i < count_; ++i)
      all_.push_back(std::make_unique<process>(terms_, members, now_, d.next(), d.pick({1U, 2U, 4U})));
  }

  mismatch run(std::uint64_t& operations) {
    for (int i = 0; i < 3000; ++i) {
      now_ = now_ + std::chrono::microseconds(d_.between(0, 1500));
      change_weather();
      for (std::size_t p = 0; p < count_; ++p) {
        live(p);
        call(*all_[p]);
        ++operations;
        if (all_[p]->pool.left() > terms_.max_lease) return "holds more than a lease";
      }
    }
    // The parts of the burst are rounded up, and so is what a process has in hand between two steps.
    const double most = static_cast<double>(burst_) + static_cast<double>(count_) * (terms_.max_lease + 2);
    if (meter_.highest() <= most + on_top()) return std::nullopt;
    return text("exceeds the rate by ", meter_.highest(), " of ", most, " and ", on_top(), " with ", count_,
                " processes");
  }

 private:
  /// A share that is not reserved is on top of what the place grants to others: for as long as a contact takes (here up to 0.1
  /// s), and when all come back, until the last of them has noticed.
  double on_top() const {
    if (terms_.fallback != quota_fallback::share) return 0;
    return weather_ == weather::fair ? 100 : 200 + terms_.probe_max.seconds() * 1000;
  }

  static duration ms(std::int64_t n) { return std::chrono::milliseconds(n); }

  void change_weather() {
    if (weather_ == weather::fair || !d_.chance(1)) return;
    if (weather_ == weather::lost_once && ++changes_ > 2) return;
    if (weather_ != weather::partition) {
      const bool lost = !all_[0]->cut_off;
      for (const auto& p : all_) p->cut_off = lost;
      if (!lost && d_.chance(50)) place_->forget();
    } else {
      process& p = *all_[d_.below(count_)];
      p.cut_off = !p.cut_off;
    }
  }

  /// What the thread of a process does; it may be late.
  void live(std::size_t who) {
    process& p = *all_[who];
    if (p.request && p.arrives <= now_ && !p.reply && !p.cut_off)
      p.reply = place_->carry_out(now_, who, *p.request);
    if (p.in_contact && p.ends <= now_) end_contact(p);
    if (!p.in_contact && p.keeper.wake_at() <= now_ && d_.chance(70)) begin_contact(p);
  }
  void begin_contact(process& p) {
    p.in_contact = true;
    p.keeper.begin(now_);
    p.reply.reset();
    p.request.reset();
    // Refused at once, or a probe that is not answered.
    if (p.cut_off && (p.keeper.must_probe() || d_.chance(50))) {
      p.ends = now_ + ms(d_.between(0, 100));
      return;
    }
    p.request = p.keeper.request(now_);
    p.arrives = now_ + ms(d_.between(0, 3));
    p.ends = p.arrives + ms(d_.chance(10) ? d_.between(20, 90) : d_.between(0, 3));
  }
  void end_contact(process& p) {
    p.in_contact = false;
    // An answer may be lost as well.
    if (p.reply && !p.cut_off && !(weather_ != weather::fair && d_.chance(2)))
      p.keeper.succeeded(now_, *p.reply);
    else
      p.keeper.failed(now_, p.request.has_value());
  }

  void call(process& p) {
    const int calls = d_.chance(20) ? d_.between(0, 20) : d_.between(0, 2);
    for (int i = 0; i < calls; ++i) {
      const auto permits =
          d_.chance(90) ? 1U : static_cast<std::uint32_t>(d_.between<std::int64_t>(1, terms_.max_lease));
      if (!p.pool.take(permits, now_).granted) continue;
      if (d_.chance(5))
        p.pool.give_back(permits);
      else
        meter_.add(now_, permits);
    }
  }

  dice& d_;
  const weather weather_;
  int changes_ = 0;
  const std::int64_t burst_;
  const std::size_t count_;
  lease_terms terms_;
  instant now_ = instant() + std::chrono::hours(1);
  std::unique_ptr<place> place_;
  std::vector<std::unique_ptr<process>> all_;
  meter meter_;
};

void check(std::initializer_list<quota_fallback> fallbacks, weather w) {
  for (const quota_fallback f : fallbacks) {
    CAPTURE(static_cast<int>(f));
    run_sequences(300, [&](dice& d, std::uint64_t& operations) { return world(d, f, w).run(operations); });
  }
}

TEST_CASE(
    "leases: all together exceed a quota that refuses or reserves by a lease each at most: slow answers") {
  check({quota_fallback::deny, quota_fallback::reserved_share}, weather::fair);
}

TEST_CASE(
    "leases: all together exceed a quota that refuses or reserves by a lease each at most: lost, with its state") {
  check({quota_fallback::deny, quota_fallback::reserved_share}, weather::lost_for_all);
}

TEST_CASE(
    "leases: all together exceed a quota that refuses or reserves by a lease each at most: some are cut off") {
  check({quota_fallback::deny, quota_fallback::reserved_share}, weather::partition);
}

TEST_CASE(
    "leases: a share that is not reserved is on top, for as long as some are answered and others are not") {
  check({quota_fallback::share}, weather::fair);
  check({quota_fallback::share}, weather::lost_once);
}

TEST_CASE("lease_pool: threads that take, give back, deposit and withdraw neither lose nor make a permit") {
  for (int round = 0; round < 20; ++round) {
    constexpr std::uint32_t most = 64;
    lease_pool pool(most, duration::infinite(), 1, instant::never(), 4);
    const instant now = instant() + std::chrono::hours(1);
    std::atomic<std::uint64_t> taken{0};
    std::atomic<bool> over{false};
    std::uint64_t deposited = 0;
    std::uint64_t withdrawn = 0;
    in_threads(3, [&](unsigned number) {
      dice d(number + 1000U * static_cast<unsigned>(round));
      if (number == 0) {
        for (std::uint64_t i = 0; i < 20'000 / slowdown; ++i) {
          const std::uint64_t permits = d.below(most);
          deposited += permits - pool.deposit(permits, instant::never());
          if (d.chance(30)) withdrawn += pool.withdraw(d.below(10));
          pool.clear_asked();
        }
        over = true;
        return;
      }
      std::uint64_t mine = 0;
      while (!over) {
        const auto permits = d.between<std::uint32_t>(1, 5);
        if (pool.take(permits, now).granted) mine += permits;
      }
      taken += mine;
    });
    CHECK(pool.left() <= most);
    CHECK(taken + withdrawn + pool.left() <= deposited);
    // What was found on the way from one stripe to another, and no longer fitted, is lost; nothing else is.
    CHECK(taken + withdrawn + pool.left() + most >= deposited);
  }
}

}  // namespace
