// SPDX-License-Identifier: Apache-2.0
// An Asio executor as a scheduler: the contract in exec/scheduler.hpp, and what Asio adds to it.
#include "seawall/exec/scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "support/net.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::instant;
using seawall_test::io_scheduler;

static_assert(seawall::scheduler<io_scheduler>);
static_assert(seawall::scheduler<net_scheduler<net::any_io_executor>>);
static_assert(seawall::scheduler<net_scheduler<net::strand<net::any_io_executor>>>);
static_assert(seawall::scheduler<net_scheduler<net::thread_pool::executor_type>>);

/// Writes down what becomes of it.
class noted final : public seawall::task {
 public:
  noted(std::vector<int>& log, int name) : task(&noted::act), log_(log), name_(name) {}
  io_scheduler::timer timer;
  instant due, run_at;
  int dropped = 0;

 private:
  static void act(task& t, outcome how) {
    auto& self = static_cast<noted&>(t);
    if (how == outcome::run) {
      self.log_.push_back(self.name_);
      self.run_at = io_scheduler::now();
    }
    if (how == outcome::drop) ++self.dropped;
  }
  std::vector<int>& log_;
  int name_;
};

TEST_CASE("posted work runs in the order of the posts, and not inside") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  noted a(log, 1), b(log, 2), c(log, 3);
  s.post(a);
  s.post(b);
  s.post(c);
  CHECK(log.empty());
  io.run();
  CHECK(log == std::vector{1, 2, 3});
}

TEST_CASE("timers are run in the order in which they are due, and those of one instant as they were set") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  noted a(log, 1), b(log, 2), c(log, 3), d(log, 4), e(log, 5);
  const instant soon = s.now() + 2ms;
  s.schedule_at(soon + 2ms, d.timer, d);
  s.schedule_at(soon, b.timer, b);
  s.schedule_at(soon, c.timer, c);
  s.schedule_at(s.now() - 1s, a.timer, a);
  s.schedule_at(soon + 2ms, e.timer, e);
  io.run();
  CHECK(log == std::vector{1, 2, 3, 4, 5});
  CHECK(s.now() >= soon + 2ms);
}

TEST_CASE("a timer is never early, however close it is behind another one") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  std::vector<std::unique_ptr<noted>> all;
  const instant begin = s.now() + 1ms;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<noted>(log, i));
    all.back()->due = begin + std::chrono::microseconds(50 * i);
    s.schedule_at(all.back()->due, all.back()->timer, *all.back());
  }
  io.run();
  REQUIRE(log.size() == 100);
  for (const auto& n : all) CHECK(n->run_at >= n->due);
}

TEST_CASE("more timers at one instant than are handed over at a time: all run, in order") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  std::vector<std::unique_ptr<noted>> all;
  const instant at = s.now() + 1ms;
  for (int i = 0; i < 1000; ++i) {
    all.push_back(std::make_unique<noted>(log, i));
    s.schedule_at(at, all.back()->timer, *all.back());
  }
  io.run();
  REQUIRE(log.size() == 1000);
  CHECK(std::is_sorted(log.begin(), log.end()));
}

TEST_CASE("a cancelled timer does not run, and run() does not wait for it") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  noted a(log, 1), b(log, 2);
  s.schedule_at(s.now() + 1h, a.timer, a);
  s.schedule_at(s.now() + 2h, b.timer, b);
  CHECK(s.cancel(a.timer));
  CHECK_FALSE(s.cancel(a.timer));
  CHECK(s.cancel(b.timer));
  io.run();
  CHECK(log.empty());
  // And again, as the native timer has been cancelled once.
  s.schedule_at(s.now() + 1ms, a.timer, a);
  io.restart();
  io.run();
  CHECK(log == std::vector{1});
  CHECK_FALSE(s.cancel(a.timer));
}

TEST_CASE(
    "an earlier timer is not kept waiting by a later one, nor a later one by an earlier one that was cancelled") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  noted late(log, 3), early(log, 1), middle(log, 2);
  s.schedule_at(s.now() + 1h, late.timer, late);
  s.schedule_at(s.now() + 2ms, middle.timer, middle);
  s.schedule_at(s.now() + 1ms, early.timer, early);
  s.cancel(early.timer);
  while (log.empty()) io.run_one();
  CHECK(log == std::vector{2});
  CHECK(s.cancel(late.timer));
}

TEST_CASE("a context runs while a call is under way, and no longer") {
  net::io_context io;
  io_scheduler s(io);
  s.work_started();
  CHECK(io.poll() == 0);
  CHECK_FALSE(io.stopped());
  s.work_finished();
  io.poll();
  CHECK(io.stopped());
}

TEST_CASE(
    "what a context has not run when it is destroyed is dropped: posted work, and timers in any state") {
  std::vector<int> log;
  noted posted(log, 1), waiting(log, 2), due(log, 3), handed_over(log, 4), never(log, 5);
  {
    net::io_context io;
    io_scheduler s(io);
    s.schedule_at(s.now() - 1s, handed_over.timer, handed_over);
    io.run_one();  // the native timer's handler
    s.post(posted);
    s.schedule_at(s.now() - 1s, due.timer, due);
    s.schedule_at(s.now() + 1h, waiting.timer, waiting);
    s.schedule_at(instant::never(), never.timer, never);
    CHECK_FALSE(s.cancel(handed_over.timer));
  }
  CHECK(log.empty());
  for (const noted* n : {&posted, &waiting, &due, &handed_over, &never}) CHECK(n->dropped == 1);
}

TEST_CASE("a context that is stopped keeps timers and work for the next run") {
  net::io_context io;
  io_scheduler s(io);
  std::vector<int> log;
  noted a(log, 1), b(log, 2);
  s.post(a);
  s.schedule_at(s.now() + 1ms, b.timer, b);
  io.stop();
  io.run();
  CHECK(log.empty());
  io.restart();
  io.run();
  CHECK(log == std::vector{1, 2});
}

TEST_CASE("a timer continues on the strand it was set for") {
  net::io_context io;
  const auto strand = net::make_strand(io);
  auto s = seawall_test::scheduler_on(strand);
  struct on_strand final : seawall::task {
    explicit on_strand(const decltype(strand)& e) : task(&on_strand::act), executor(e) {}
    static void act(task& t, outcome) {
      auto& self = static_cast<on_strand&>(t);
      self.there = self.executor.running_in_this_thread();
    }
    const decltype(strand)& executor;
    bool there = false;
  } work(strand);
  decltype(s)::timer timer;
  s.schedule_at(s.now() + 1ms, timer, work);
  io.run();
  CHECK(work.there);
}

}  // namespace
