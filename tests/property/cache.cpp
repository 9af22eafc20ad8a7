// SPDX-License-Identifier: Apache-2.0
// The cache's machine against a list of what should be there: what each call is told, who fetches, who waits, who is woken.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/core/cache_machine.hpp"
#include "support/frames.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::core::cache_machine;
using seawall::core::hashed_key;
using kind = cache_machine::answer::kind;
using arrival = cache_machine::arrival;

const char* name_of(kind k) {
  static const char* const names[] = {"none",  "fresh", "negative", "stale",
                                      "fetch", "wait",  "answered", "failed"};
  return names[static_cast<int>(k)];
}

/// One call, for as long as it fetches or waits.
struct caller {
  std::string key;
  bool waits = false;
  cache_machine::fetch fetching = {};
  std::uint64_t model_number = 0;  // of who leads, as the model counts; 0: for itself
  std::uint64_t asked = 0;
  cache_machine::place place;
  seawall_test::fake_waker waker;
};

/// A key's history, without any structure.
struct line {
  int good = 0;  // 0: none
  instant since, fresh_until;
  int negative = 0;
  instant negative_until;
  std::uint64_t asked = 0;
  std::uint64_t leader = 0;
  instant lease_ends;
  std::vector<caller*> waiting;
};

class cache_duel {
 public:
  using mismatch = std::optional<std::string>;

  explicit cache_duel(dice& d)
      : d_(d),
        times_{.ttl = units(d, 1, 20),
               .stale_while_revalidate = units(d, 0, 10),
               .stale_if_error = units(d, 0, 30),
               .negative_ttl = units(d, 1, 10)},
        lease_(units(d, 1, 30)),
        max_waiting_(d.pick<std::size_t>({0, 1, 3, 100})),
        real_("c", 1, times_, 100, 1'000'000,
              {.max_keys = 100, .max_waiting = max_waiting_, .lease = lease_}) {}
  ~cache_duel() {
    for (caller& c : callers_) {
      if (c.waits) real_.leave(hashed_key(c.key), c.place);
    }
  }

  mismatch step() {
    if (d_.chance(40)) now_ = now_ + units(d_, 0, 4);
    const auto roll = d_.below(100);
    if (roll < 40) return ask();
    if (roll < 60) return end_fetch();
    if (roll < 80) return look();
    if (roll < 86) return leave();
    if (roll < 90) return put();
    if (roll < 93) return invalidate();
    if (roll < 94) return clear();
    return std::nullopt;
  }

  std::uint64_t fetched() const { return fetched_; }

 private:
  std::string some_key() { return std::string(1, static_cast<char>('a' + d_.below(3))); }

  mismatch ask() {
    caller& c = callers_.emplace_back();
    c.key = some_key();
    line& l = lines_[c.key];
    const bool can_wait = d_.chance(80);
    kind expected = kind::none;
    int what = 0;
    if (l.negative != 0 && now_ < l.negative_until) {
      expected = kind::negative;
      what = l.negative;
    } else if (l.good != 0 && now_ < l.fresh_until) {
      expected = kind::fresh;
      what = l.good;
    } else {
      const bool revalidates = l.good != 0 && now_ < l.fresh_until + times_.stale_while_revalidate;
      const bool usable = l.good != 0 && now_ < l.fresh_until + std::max(times_.stale_while_revalidate,
                                                                         times_.stale_if_error);
      what = usable ? l.good : 0;
      if (l.leader == 0 || now_ >= l.lease_ends) {
        expected = kind::fetch;
        lead(l, c);
      } else if (revalidates) {
        expected = kind::stale;
      } else if (can_wait && l.waiting.size() < max_waiting_) {
        expected = kind::wait;
        l.waiting.push_back(&c);
        c.waits = true;
      } else {
        expected = kind::fetch;
        c.model_number = 0;
      }
    }
    c.place.waker = &c.waker;
    cache_machine::answer a = real_.find(hashed_key(c.key), now_);
    if (a.how == kind::none) a = real_.join(hashed_key(c.key), now_, can_wait ? &c.place : nullptr);
    if (a.how != expected) return text("asked: ", name_of(a.how), ", should be ", name_of(expected));
    const int got = a.what != nullptr ? *static_cast<const int*>(a.what.get()) : 0;
    if (got != what) return text("told ", got, ", should be ", what);
    if (expected == kind::fetch) return begins(c, a);
    if (expected == kind::wait)
      return a.look_again == l.lease_ends ? mismatch() : text("looks again at the wrong time");
    callers_.pop_back();
    return std::nullopt;
  }

  void lead(line& l, caller& c) {
    l.leader = c.model_number = ++last_number_;
    l.lease_ends = now_ + lease_;
  }
  mismatch begins(caller& c, const cache_machine::answer& a) {
    ++fetched_;
    c.waits = false;
    c.fetching = a.fetching;
    c.asked = ++asked_;
    if ((a.fetching.number != 0) != (c.model_number != 0)) return text("leads or not: differs");
    return std::nullopt;
  }

  caller* some(bool waits) {
    std::vector<caller*> all;
    for (caller& c : callers_) {
      if (c.waits == waits) all.push_back(&c);
    }
    return all.empty() ? nullptr : d_.pick_from(all);
  }
  void remove(caller& c) {
    callers_.remove_if([&](const caller& o) { return &o == &c; });
  }

  mismatch end_fetch() {
    caller* const c = some(false);
    if (c == nullptr) return std::nullopt;
    line& l = lines_[c->key];
    const bool leads = c->model_number != 0 && l.leader == c->model_number;
    const auto roll = d_.below(10);
    if (roll < 3) {
      real_.abandon(hashed_key(c->key), c->fetching);
      if (leads) l.leader = 0;
    } else {
      const auto how = roll < 6   ? arrival::kind::good
                       : roll < 8 ? arrival::kind::failure
                       : roll < 9 ? arrival::kind::negative
                                  : arrival::kind::shared;
      const int value = ++last_value_;
      real_.settle(hashed_key(c->key), c->fetching, now_,
                   {.how = how, .what = std::make_shared<const int>(value), .bytes = 1, .ttl = times_.ttl});
      if ((leads || c->asked > cleared_) && c->asked > l.asked) keep(l, how, value, c->asked);
      if (leads) land(l, value, how == arrival::kind::failure);
    }
    const std::string key = c->key;
    remove(*c);
    return check(key);
  }

  void keep(line& l, arrival::kind how, int value, std::uint64_t asked) {
    if (how == arrival::kind::good) {
      l.good = value;
      l.since = now_;
      l.fresh_until = now_ + times_.ttl;
      l.negative = 0;
    } else if (how == arrival::kind::negative) {
      l.negative = value;
      l.negative_until = now_ + times_.negative_ttl;
    } else {
      return;
    }
    l.asked = asked;
  }
  void land(line& l, int value, bool failed) {
    for (caller* w : l.waiting) landed_[w] = {value, failed};
    l.waiting.clear();
    l.leader = 0;
  }

  mismatch look() {
    caller* const c = some(true);
    if (c == nullptr) return std::nullopt;
    line& l = lines_[c->key];
    const std::string key = c->key;
    const auto a = real_.look(hashed_key(key), c->place, now_);
    if (const auto end = landed_.find(c); end != landed_.end()) {
      if (c->waker.pokes == 0) return text("was not woken");
      const auto [value, failed] = end->second;
      landed_.erase(end);
      const kind expected = failed ? kind::failed : kind::answered;
      if (a.how != expected) return text("looked: ", name_of(a.how), ", should be ", name_of(expected));
      if (*static_cast<const int*>(a.what.get()) != value) return text("got what somebody else waited for");
      remove(*c);
    } else if (l.leader == 0 || now_ >= l.lease_ends) {
      if (a.how != kind::fetch) return text("looked: ", name_of(a.how), ", should fetch");
      std::erase(l.waiting, c);
      lead(l, *c);
      if (auto m = begins(*c, a)) return m;
    } else if (a.how != kind::wait || a.look_again != l.lease_ends) {
      return text("looked: ", name_of(a.how), ", should wait on");
    }
    return check(key);
  }

  mismatch leave() {
    caller* const c = some(true);
    if (c == nullptr) return std::nullopt;
    const std::string key = c->key;
    real_.leave(hashed_key(key), c->place);
    std::erase(lines_[key].waiting, c);
    landed_.erase(c);
    remove(*c);
    return check(key);
  }

  mismatch put() {
    const std::string key = some_key();
    line& l = lines_[key];
    const int value = ++last_value_;
    const auto how = d_.chance(70) ? arrival::kind::good : arrival::kind::negative;
    real_.put(hashed_key(key), now_,
              {.how = how, .what = std::make_shared<const int>(value), .bytes = 1, .ttl = times_.ttl});
    keep(l, how, value, ++asked_);
    land(l, value, false);
    return check(key);
  }
  void forget(line& l) {
    l.good = l.negative = 0;
    l.asked = 0;
    l.leader = 0;
  }
  mismatch invalidate() {
    const std::string key = some_key();
    real_.invalidate(hashed_key(key));
    cleared_ = ++asked_;
    forget(lines_[key]);
    return check(key);
  }
  mismatch clear() {
    real_.clear();
    cleared_ = ++asked_;
    for (auto& [key, l] : lines_) forget(l);
    for (auto& [key, l] : lines_) {
      if (auto m = check(key)) return m;
    }
    return std::nullopt;
  }

  // Those who wait for nobody: the first of them knows.
  mismatch check(const std::string& key) {
    const line& l = lines_[key];
    if (l.leader == 0 && !l.waiting.empty() && l.waiting.front()->waker.pokes == 0)
      return text("nobody leads, and the first who waits does not know");
    std::size_t waiting = landed_.size();
    std::size_t in_flight = 0;
    for (const auto& [k, each] : lines_) in_flight += each.waiting.size();
    waiting += in_flight;
    std::size_t callers = 0;
    for (const caller& c : callers_) callers += c.waits ? 1 : 0;
    if (callers != waiting) return text("the model has lost somebody");
    if (real_.counts().waiting != in_flight)
      return text("waiting ", real_.counts().waiting, ", should be ", in_flight);
    return std::nullopt;
  }

  dice& d_;
  const seawall::core::cache_times times_;
  const duration lease_;
  const std::size_t max_waiting_;
  cache_machine real_;
  instant now_ = instant::from_ns(1'000'000);
  std::map<std::string, line> lines_;
  std::list<caller> callers_;
  std::map<caller*, std::pair<int, bool>> landed_;
  std::uint64_t last_number_ = 0, asked_ = 0, cleared_ = 0, fetched_ = 0;
  int last_value_ = 0;
};

}  // namespace

TEST_CASE("cache: what each call is told, who fetches and who waits, as a list of everything has it") {
  std::uint64_t fetched = 0;
  run_sequences(5'000, [&](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    cache_duel duel(d);
    for (int i = 0; i < 200; ++i, ++operations) {
      if (auto m = duel.step()) return text("after ", i + 1, " steps: ", *m);
    }
    fetched += duel.fetched();
    return std::nullopt;
  });
  CHECK(fetched > 1000);
}
