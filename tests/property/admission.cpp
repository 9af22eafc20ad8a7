// SPDX-License-Identifier: Apache-2.0
// The admission against a list of calls; and under threads.

#include "seawall/admission.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "property/admission_model.hpp"
#include "property/support.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace std::chrono_literals;
using seawall::admission_options;
using seawall::queue_full;
using seawall::queue_order;
using seawall::reason;
using machine = seawall::core::admission_machine;
using phase = admission_model::phase;

constexpr duration unit = 1ms;

struct theme {
  bool codel = false;
  bool learned = false;
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
      : dice_(d),
        theme_(t),
        options_(changed({})),
        limit_(bounds()),
        subject_(options_, learned(), ""),
        model_(options_) {}

  std::optional<std::string> step() {
    now_ = now_ + unit * dice_.pick({0, 0, 1, 1, 2, 7});
    act();
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
    bool waits = false;
    bool runs = false;
    reason why = reason::none;
  };

  admission_options changed(admission_options o) {
    o.max_concurrent = dice_.between<std::uint32_t>(1, 4);
    o.max_waiting = dice_.between<std::size_t>(1, 6);
    o.max_wait = unit * dice_.between(1, 20);
    o.when_full = dice_.pick(
        {queue_full::reject, queue_full::drop_oldest, queue_full::drop_newest, queue_full::drop_lowest});
    o.expire = dice_.chance(80);
    o.service_time = unit * dice_.between(0, 3);
    if (o.order == queue_order::adaptive_lifo && o.turns == 1024) {  // the first time
      o.order = static_cast<queue_order>(dice_.below(6));
      o.turns = 16;
      o.patience = unit * dice_.between(0, 10);
      o.aging = unit * dice_.between(1, 8);
      o.codel = {.on = theme_.codel, .target = unit, .interval = unit * dice_.between(1, 5)};
    }
    return o;
  }
  // A learned limit that is told where it is, as a fixed one is.
  seawall::adaptive_limit_options bounds() const {
    return {.min_limit = options_.max_concurrent, .max_limit = options_.max_concurrent};
  }
  seawall::core::adaptive_machine* learned() { return theme_.learned ? &limit_.machine() : nullptr; }

  void act() {
    if (dice_.chance(theme_.reconfigure_percent)) {
      options_ = changed(options_);
      // Whoever raises the limit first tells nobody yet for whom it is.
      subject_.reconfigure(options_, now_);
      if (theme_.learned) CHECK_FALSE(limit_.reconfigure(bounds()));
      model_.reconfigure(options_, now_);
    } else if (calls_.empty() || dice_.chance(40)) {
      come();
    } else {
      const std::size_t i = dice_.below(calls_.size());
      caller& c = calls_[i];
      if (c.runs ? dice_.chance(70) : dice_.chance(15)) {
        leave(i);
      } else if (c.waits) {
        model_.looks(model_.all[i], now_);
        take(c, subject_.look(now_, c.place, look_again_));
      }
    }
  }
  void come() {
    admission_model::one m;
    m.priority = dice_.between(-1, 2);
    m.key = static_cast<std::uint32_t>(dice_.below(4));
    m.deadline = dice_.chance(80) ? now_ + unit * dice_.between(1, 30) : instant::never();
    m.until = std::min(m.deadline, now_ + subject_.max_wait());
    m.may_wait = dice_.chance(90);
    caller& c = calls_.emplace_back();
    const machine::claim claim{
        .priority = m.priority, .deadline = m.deadline, .until = m.until, .turn = m.key};
    take(c, m.may_wait ? subject_.acquire_or_wait(now_, claim, c.place, &c.waker, look_again_)
                       : subject_.try_acquire(now_, claim));
    model_.comes(m, now_);
  }
  void take(caller& c, machine::answer a) {
    c.waits = a == machine::answer::waiting;
    c.runs = a == machine::answer::admitted;
    switch (a) {
      case machine::answer::limit_reached: c.why = reason::limit_reached; break;
      case machine::answer::queue_full: c.why = reason::queue_full; break;
      case machine::answer::wait_timed_out: c.why = reason::wait_timed_out; break;
      default: break;
    }
  }
  void leave(std::size_t i) {
    caller& c = calls_[i];
    if (c.waits || c.runs) model_.leaves(model_.all[i], now_);
    if (c.waits) subject_.leave(c.place, now_);
    if (c.runs) subject_.release(now_);
    c.waits = c.runs = false;
  }

  std::optional<std::string> differs() {
    const auto seen = subject_.snapshot(now_);
    if (seen.in_flight != model_.running())
      return text("in flight: ", seen.in_flight, ", should be ", model_.running());
    if (seen.waiting != model_.waiting())
      return text("waiting: ", seen.waiting, ", should be ", model_.waiting());
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const caller& c = calls_[i];
      const auto& m = model_.all[i];
      const bool waits = m.at == phase::waits || m.at == phase::granted || m.at == phase::dropped;
      if (c.waits != waits || c.runs != (m.at == phase::runs))
        return text("call ", i, " is in phase ", static_cast<int>(m.at), " and does not know");
      if (m.at == phase::rejected && c.why != m.why)
        return text("call ", i, " was rejected with ", static_cast<int>(c.why), " instead of ",
                    static_cast<int>(m.why));
      if (waits && m.poked && !c.waker.up) return text("call ", i, " has not been woken");
    }
    return {};
  }

  dice& dice_;
  const theme& theme_;
  instant now_ = instant::from_ns(1'000'000'000);
  admission_options options_;
  seawall::adaptive_limit limit_;
  machine subject_;
  admission_model model_;
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

TEST_CASE("admission: every order decides like a list of calls") { run_duels(20'000, {}); }
TEST_CASE("admission: with CoDel too") { run_duels(20'000, {.codel = true}); }
TEST_CASE("admission: in front of a learned limit too") { run_duels(10'000, {.learned = true}); }
TEST_CASE("admission: options that change under way decide like a list of calls") {
  run_duels(20'000, {.reconfigure_percent = 6});
}

TEST_CASE("admission under threads: never more inside than may be, nobody left asleep, nothing lost") {
  const std::uint64_t calls = from_environment("SEAWALL_CALLS").value_or(20'000 / slowdown);
  seawall::adaptive_limit limit({.min_limit = 2, .max_limit = 2});
  for (seawall::adaptive_limit* learned : {static_cast<seawall::adaptive_limit*>(nullptr), &limit}) {
    for (const auto order : {queue_order::fifo, queue_order::adaptive_lifo, queue_order::fair}) {
      CAPTURE(static_cast<int>(order));
      // Two lines before the learned limit; each has its own otherwise.
      const admission_options o{.limit = learned,
                                .max_concurrent = 2,
                                .max_waiting = 100,
                                .max_wait = duration::infinite(),
                                .order = order,
                                .patience = 50us};
      seawall::admission first(o), second(o);
      const auto a = seawall::compose(seawall::admit(first)), b = seawall::compose(seawall::admit(second));
      std::atomic<int> inside{0}, served{0};
      std::atomic<bool> too_many{false};
      in_threads(4, [&](unsigned number) {
        const auto& mine = number % 2 == 0 ? a : b;
        for (std::uint64_t i = 0; i < calls / 4; ++i) {
          const absl::Status s = mine.run({.key = i % 3 == 0 ? "x" : "y"}, [&] {
            if (++inside > (learned != nullptr ? 2 : 4)) too_many = true;
            if (i % 16 == 0) std::this_thread::yield();
            --inside;
            return absl::OkStatus();
          });
          if (s.ok()) ++served;
        }
      });
      CHECK_FALSE(too_many);
      CHECK(static_cast<std::uint64_t>(served) == calls / 4 * 4);
      CHECK(first.snapshot().in_flight == 0);
      CHECK(first.snapshot().waiting + second.snapshot().waiting == 0);
    }
  }
}
