// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/virtual_scheduler.hpp"

#include <array>
#include <chrono>
#include <deque>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::duration;
using seawall::task;
using seawall::testing::virtual_scheduler;

/// Writes down what it was called for, and does something then.
struct noted final : task {
  noted(std::string& l, char n)
      : task([](task& t, outcome how) {
          auto& self = static_cast<noted&>(t);
          self.log += how == outcome::run ? self.name : how == outcome::stop ? '|' : '-';
          if (how == outcome::run && self.then != nullptr) self.then(self);
        }),
        log(l),
        name(n) {}
  std::string& log;
  char name;
  virtual_scheduler* loop = nullptr;
  noted* other = nullptr;
  void (*then)(noted&) = nullptr;
};

TEST_CASE("virtual_scheduler: posts run in their order, and no time passes") {
  virtual_scheduler loop;
  std::string log;
  noted a(log, 'a'), b(log, 'b'), c(log, 'c');
  for (noted* n : {&b, &c, &a}) loop.post(*n);
  CHECK(log.empty());  // never from inside
  loop.run();
  CHECK(log == "bca");
  CHECK(loop.elapsed() == duration::zero());
  CHECK_FALSE(loop.run_one());
}

TEST_CASE("virtual_scheduler: timers run when they are due, in order, and time jumps") {
  virtual_scheduler loop;
  std::string log;
  noted a(log, 'a'), b(log, 'b'), c(log, 'c'), d(log, 'd');
  virtual_scheduler::timer ta, tb, tc, td;
  loop.schedule_at(loop.now() + 20ms, ta, a);
  loop.schedule_at(loop.now() + 10ms, tb, b);
  loop.schedule_at(loop.now() + 10ms, tc, c);
  loop.schedule_at(loop.now() + 1h, td, d);
  loop.run_for(10ms);
  CHECK(log == "bc");
  CHECK(loop.elapsed() == 10ms);
  CHECK(loop.run_one());
  CHECK(loop.elapsed() == 20ms);
  loop.run_for(1ms);
  CHECK(loop.elapsed() == 21ms);  // time passes also where nothing happens
  loop.run();
  CHECK(log == "bcad");
  CHECK(loop.elapsed() == 1h);
}

TEST_CASE(
    "virtual_scheduler: what was posted goes before timers that are due; a time that has passed is now") {
  virtual_scheduler loop;
  std::string log;
  noted a(log, 'a'), b(log, 'b');
  virtual_scheduler::timer ta;
  loop.run_for(1s);
  loop.schedule_at(loop.now() - 5ms, ta, a);
  loop.post(b);
  loop.run();
  CHECK(log == "ba");
  CHECK(loop.elapsed() == 1s);
}

TEST_CASE(
    "virtual_scheduler: cancel says whether the work will not be run; timers can be armed again, also by their work") {
  virtual_scheduler loop;
  std::string log;
  noted a(log, 'a');
  virtual_scheduler::timer t;
  CHECK_FALSE(loop.cancel(t));
  loop.schedule_at(loop.now() + 1ms, t, a);
  CHECK(loop.cancel(t));
  CHECK_FALSE(loop.cancel(t));
  loop.run();
  CHECK(log.empty());

  static virtual_scheduler::timer* again = nullptr;
  again = &t;
  a.loop = &loop;
  a.then = [](noted& n) {
    CHECK_FALSE(n.loop->cancel(*again));  // it is running
    if (n.log.size() < 3) n.loop->schedule_at(n.loop->now() + 1ms, *again, n);
  };
  loop.schedule_at(loop.now() + 1ms, t, a);
  loop.run();
  CHECK(log == "aaa");
  CHECK(loop.elapsed() == 3ms);
}

TEST_CASE(
    "virtual_scheduler: a seed shuffles what happens at one instant, and nothing else; the same seed does the same") {
  const auto order = [](auto&&... seed) {
    virtual_scheduler loop(seed...);
    std::string log;
    std::deque<noted> all;
    std::array<virtual_scheduler::timer, 12> timers;
    for (std::size_t i = 0; i < 12; ++i) {
      noted& n = all.emplace_back(log, static_cast<char>('a' + i));
      loop.schedule_at(loop.now() + (i < 6 ? duration(1ms) : duration(2ms)), timers[i], n);
    }
    loop.run();
    return log;
  };
  CHECK(order() == "abcdefghijkl");
  CHECK(order(7U) == order(7U));
  CHECK(order(7U) != order(8U));
  for (unsigned seed = 0; seed < 20; ++seed)
    CHECK(order(seed).substr(0, 6).find_first_of("ghijkl") == std::string::npos);
}

TEST_CASE("virtual_scheduler: destroyed, it drops what is left, and what comes while it does") {
  std::string log;
  noted a(log, 'a'), b(log, 'b');
  virtual_scheduler::timer t;
  {
    virtual_scheduler loop;
    loop.post(a);
    loop.schedule_at(loop.now() + 1h, t, b);
  }
  CHECK(log == "--");
}

TEST_CASE("virtual_scheduler: work that throws leaves it in order") {
  virtual_scheduler loop;
  std::string log;
  noted a(log, 'a'), b(log, 'b');
  a.then = [](noted&) { throw std::runtime_error("done throws"); };
  loop.post(a);
  loop.post(b);
  CHECK_THROWS_AS(loop.run(), std::runtime_error);
  loop.run();
  CHECK(log == "ab");
}

}  // namespace
