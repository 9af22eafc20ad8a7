// SPDX-License-Identifier: Apache-2.0
// The bulkhead against a list of calls.

#include "seawall/bulkhead.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "property/bulkhead_model.hpp"
#include "property/support.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace std::chrono_literals;
using machine = seawall::core::bulkhead_machine;
using phase = bulkhead_model::phase;

struct theme {
  bool partitions = false;
  bool weights = false;
  bool any_order = false;
  unsigned reconfigure_percent = 0;
};

class flag final : public seawall::waker {
 public:
  void poke() noexcept override { up = true; }
  bool up = false;
};

class duel {
 public:
  duel(dice& d, const theme& t)
      : dice_(d), theme_(t), subject_(options(), d.pick({1U, 2U, 8U}), ""), model_(first_, now_) {}

  std::optional<std::string> step() {
    now_ = now_ + unit * dice_.pick({0, 0, 1, 1, 2, 7});
    if (const auto what = act()) return what;
    return differs();
  }
  /// All go: nothing may be left.
  std::optional<std::string> end() {
    for (std::size_t i = 0; i < calls_.size(); ++i) leave(i);
    if (const auto what = differs()) return what;
    return subject_.idle() ? std::nullopt : std::optional<std::string>("something is left");
  }

 private:
  struct caller {
    machine::place place;
    flag waker;
    std::uint32_t weight = 1;
    std::uint32_t partition = 0;
    bool waits = false;
    bool runs = false;
    reason why = reason::none;
  };

  seawall::bulkhead_options options() {
    constexpr wait_order orders[] = {wait_order::fifo, wait_order::lifo, wait_order::adaptive_lifo,
                                     wait_order::by_priority, wait_order::by_deadline};
    seawall::bulkhead_options o;
    o.max_concurrent = dice_.between<std::uint32_t>(1, dice_.chance(20) ? 40 : 6);
    o.max_waiting = dice_.between<std::uint32_t>(0, 4);
    o.max_wait = units(dice_, 1, 20);
    if (theme_.any_order) o.order = orders[dice_.below(std::size(orders))];
    o.lifo_after = units(dice_, 1, 8);
    o.aging = dice_.chance(50) ? units(dice_, 1, 4) : duration::zero();
    o.displaces = dice_.chance(50);
    o.recall_for = units(dice_, 1, 10);
    if (theme_.partitions) {
      std::uint32_t left = o.max_concurrent;
      for (const char* name : {"a", "b", "c"}) {
        const auto share = dice_.between<std::uint32_t>(0, left);
        o.partitions.push_back({name, share});
        left -= share;
      }
    }
    if (now_ == instant()) {  // the first ones
      now_ = instant::from_ns(1'000'000);
      first_ = o;
    }
    return o;
  }

  std::optional<std::string> act() {
    if (dice_.chance(theme_.reconfigure_percent)) {
      const auto o = options();
      subject_.reconfigure(o);
      model_.reconfigure(o);
      return {};
    }
    if (calls_.empty() || dice_.chance(35)) return come();
    const std::size_t i = dice_.below(calls_.size());
    caller& c = calls_[i];
    if (dice_.chance(15)) {
      leave(i);
    } else if (c.runs) {
      subject_.release(c.weight, c.partition, now_);
      c.runs = false;
      model_.ends(model_.all[i], now_);
    } else if (c.waits) {
      take(c, subject_.look(now_, c.place, look_again_));
      model_.looks(model_.all[i], now_);
    }
    return {};
  }

  std::optional<std::string> come() {
    bulkhead_model::one m;
    m.weight = theme_.weights ? dice_.between(1, 4) : 1;
    m.partition = theme_.partitions ? dice_.below(4) : 0;
    m.priority = dice_.between(-1, 2);
    m.deadline = now_ + units(dice_, 1, 30);
    m.until = std::min(m.deadline, now_ + subject_.max_wait());
    m.may_wait = dice_.chance(85);
    caller& c = calls_.emplace_back();
    c.weight = static_cast<std::uint32_t>(m.weight);
    c.partition = static_cast<std::uint32_t>(m.partition);
    machine::claim claim{.weight = c.weight, .partition = c.partition, .priority = m.priority};
    if (!m.may_wait || !subject_.waits()) {
      // As a stand-alone caller, who has no deadline and waits for nothing.
      m.may_wait = false;
      m.deadline = m.until = instant::never();
      take(c, subject_.try_acquire(now_, claim));
    } else {
      claim.deadline = m.deadline;
      claim.until = m.until;
      take(c, subject_.acquire_or_wait(now_, claim, c.place, &c.waker, look_again_));
      if (c.waits && look_again_ > m.until) return "it is to look only after its wait is over";
    }
    model_.comes(m, now_);
    return {};
  }

  void take(caller& c, machine::admission a) {
    c.waits = a == machine::admission::waiting;
    c.runs = a == machine::admission::admitted;
    switch (a) {
      case machine::admission::limit_reached: c.why = reason::limit_reached; break;
      case machine::admission::queue_full: c.why = reason::queue_full; break;
      case machine::admission::wait_timed_out: c.why = reason::wait_timed_out; break;
      default: break;
    }
  }

  void leave(std::size_t i) {
    caller& c = calls_[i];
    if (c.waits) subject_.leave(c.place);
    if (c.runs) subject_.release(c.weight, c.partition, machine::time_unknown());
    if (c.waits || c.runs) model_.leaves(model_.all[i]);
    c.waits = c.runs = false;
  }

  std::optional<std::string> differs() {
    const auto seen = subject_.snapshot(now_);
    if (seen.in_use != static_cast<std::uint64_t>(model_.in_use()))
      return text("in use: ", seen.in_use, ", should be ", model_.in_use());
    if (seen.waiting != model_.waiting())
      return text("waiting: ", seen.waiting, ", should be ", model_.waiting());
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const caller& c = calls_[i];
      const auto& m = model_.all[i];
      const bool waits = m.at == phase::waits || m.at == phase::granted || m.at == phase::sent_away;
      if (c.waits != waits || c.runs != (m.at == phase::runs))
        return text("call ", i, " is in phase ", static_cast<int>(m.at), " and does not know");
      if (m.at == phase::rejected && c.why != m.why)
        return text("call ", i, " was rejected with ", static_cast<int>(c.why), " instead of ",
                    static_cast<int>(m.why));
      if (m.poked && !c.waker.up) return text("call ", i, " has not been woken");
    }
    return {};
  }

  dice& dice_;
  const theme& theme_;
  instant now_;
  seawall::bulkhead_options first_;
  machine subject_;
  bulkhead_model model_;
  std::deque<caller> calls_;
  instant look_again_;
};

void run_duels(std::uint64_t count, const theme& t) {
  run_sequences(count, [&](dice& d, std::uint64_t& operations) -> std::optional<std::string> {
    duel both(d, t);
    const std::uint64_t length = d.between(20, 80);
    for (std::uint64_t i = 0; i < length; ++i, ++operations) {
      if (auto mismatch = both.step()) return text("operation ", i, ": ", *mismatch);
    }
    return both.end();
  });
}

}  // namespace

TEST_CASE("bulkhead: first come, first served decides like a list of calls") { run_duels(10'000, {}); }

TEST_CASE("bulkhead: every order decides like a list of calls") {
  run_duels(20'000, {.weights = true, .any_order = true});
}

TEST_CASE("bulkhead: shares that are lent and called back decide like a list of calls") {
  run_duels(20'000, {.partitions = true, .weights = true, .any_order = true});
}

TEST_CASE("bulkhead: options that change under way decide like a list of calls") {
  run_duels(20'000, {.partitions = true, .weights = true, .any_order = true, .reconfigure_percent = 6});
}

TEST_CASE("bulkhead: without partitions too, options that change under way decide like a list of calls") {
  run_duels(20'000, {.weights = true, .any_order = true, .reconfigure_percent = 6});
}
