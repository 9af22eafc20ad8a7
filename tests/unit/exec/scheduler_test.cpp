// SPDX-License-Identifier: Apache-2.0
// What becomes of calls when their scheduler stops them, drops them, or is kept by them.
#include "seawall/exec/scheduler.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "seawall/seawall.hpp"
#include "seawall/testing/virtual_scheduler.hpp"
#include "support/async.hpp"
#include <doctest/doctest.h>

namespace {

using namespace std::chrono_literals;
using seawall::attempt;
using seawall::completion;
using seawall::task;
using seawall::testing::virtual_scheduler;
using seawall_test::answered;
using seawall_test::held;
using seawall_test::result;

struct numbered final : task {
  explicit numbered(int n) : task([](task&, outcome) {}), number(n) {}
  int number;
};

TEST_CASE("task_queue: first in, first out, and as new once it is empty") {
  seawall::task_queue queue;
  std::array<numbered, 3> tasks = {numbered(0), numbered(1), numbered(2)};
  CHECK(queue.empty());
  CHECK(queue.pop() == nullptr);
  for (int round = 0; round < 2; ++round) {
    for (numbered& t : tasks) queue.push(t);
    CHECK(queue.pop() == &tasks[0]);
    queue.push(tasks[0]);  // one that was taken can be handed over again
    CHECK(queue.pop() == &tasks[1]);
    CHECK(queue.pop() == &tasks[2]);
    CHECK(queue.pop() == &tasks[0]);
    CHECK(queue.pop() == nullptr);
    CHECK(queue.empty());
  }
}

/// One native timer for all; stops in good order what waits for it.
class stoppable {
 public:
  struct timer {
    task* work = nullptr;
  };
  seawall::instant now() const { return now_; }
  void post(task& t) { ready_.push(t); }
  void schedule_at(seawall::instant, timer& t, task& work) {
    t.work = &work;
    armed_.push_back(&t);
  }
  bool cancel(timer& t) { return std::erase(armed_, &t) != 0; }

  void run() {
    while (task* const t = ready_.pop()) t->run();
  }
  void stop_timers() {
    while (!armed_.empty()) {
      timer* const t = armed_.back();
      armed_.pop_back();
      t->work->stop();
    }
  }
  std::size_t armed() const { return armed_.size(); }

 private:
  seawall::instant now_;
  seawall::task_queue ready_;
  std::vector<timer*> armed_;
};
static_assert(seawall::scheduler<stoppable>);

TEST_CASE("stop: a call in a pause ends with shut_down, and tries no more") {
  stoppable loop;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}), seawall::retry());
  int attempts = 0;
  answered<> got;
  p.start(loop, seawall::idempotent([&](completion<result> done) {
            ++attempts;
            done(absl::UnavailableError("busy"));
          }),
          got.taker());
  loop.run();
  CHECK(loop.armed() == 1);
  loop.stop_timers();
  REQUIRE(got.once());
  CHECK(seawall::rejection_of(got.value->status())->why == seawall::reason::shut_down);
  CHECK(attempts == 1);
}

TEST_CASE(
    "stop: a call whose attempt runs gives it up, and is told before it ends; one that has no timer goes on") {
  stoppable loop;
  const auto limited = seawall::compose(seawall::deadline({.after = 1h}));
  const auto bare = seawall::compose();
  held<> op;
  answered<> with_timer, without;
  limited.start(loop, op.operation(), with_timer.taker());
  bare.start(loop, op.operation(), without.taker());
  loop.stop_timers();
  loop.run();
  CHECK(with_timer.once());
  CHECK(op.pending[0].attempt.stop_requested());
  CHECK(without.times == 0);
  op.end(1, 7);
  loop.run();
  CHECK(*without.value == 7);
  op.end(0, 7);
}

TEST_CASE("stop: an answer that was on its way counts") {
  stoppable loop;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  held<> op;
  answered<> got;
  p.start(loop, op.operation(), got.taker());
  op.end(0, 7);
  loop.stop_timers();
  loop.run();
  REQUIRE(got.once());
  CHECK(*got.value == 7);
}

TEST_CASE("drop: nobody is told; what the call holds is released when its attempts have ended") {
  const auto p =
      seawall::compose(seawall::deadline({.after = 1h}), seawall::retry({.backoff = {.initial = 1s}}));
  enum class phase { attempt, pause, answered, rejected };
  for (const phase when : {phase::attempt, phase::pause, phase::answered, phase::rejected}) {
    CAPTURE(static_cast<int>(when));
    auto op_holds = std::make_shared<int>(0);
    auto done_holds = std::make_shared<int>(0);
    std::optional<completion<result>> running;
    int told = 0;
    {
      virtual_scheduler loop;
      seawall::call_options options;
      if (when == phase::rejected) options.deadline = loop.now();
      p.start(options, loop, seawall::idempotent([&, op_holds](completion<result> done) {
                if (when == phase::attempt) {
                  running.emplace(std::move(done));
                } else {
                  done(when == phase::pause ? result(absl::UnavailableError("busy")) : result(7));
                }
              }),
              [done_holds, &told](const result&) { ++told; });
      if (when == phase::pause || when == phase::attempt) loop.run_for(1ms);
    }
    CHECK(told == 0);
    CHECK(done_holds.use_count() == 1);
    CHECK(op_holds.use_count() == (when == phase::attempt ? 2 : 1));
    if (running) (*running)(1);
    CHECK(op_holds.use_count() == 1);
  }
}

TEST_CASE("drop: a call whose substitute is another call leaves nothing behind") {
  auto op_holds = std::make_shared<int>(0);
  const auto replica = seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}}));
  const auto p =
      seawall::compose(seawall::deadline({.after = 2h}),
                       seawall::fallback_to(replica, seawall::idempotent([](completion<result> done) {
                                              done(absl::UnavailableError("as well"));
                                            })));
  int told = 0;
  {
    virtual_scheduler loop;
    p.start(
        loop, [op_holds](completion<result> done) { done(absl::UnavailableError("down")); },
        [&](const result&) { ++told; });
    loop.run_for(1ms);
  }
  CHECK(told == 0);
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("drop: a call nested by hand ends its attempt, as its done goes with the completion") {
  auto op_holds = std::make_shared<int>(0);
  const auto inner = seawall::compose(seawall::retry({.backoff = {.initial = 1h, .max = 1h}}));
  const auto p = seawall::compose(seawall::deadline({.after = 2h}));
  {
    virtual_scheduler loop;
    p.start(
        loop,
        [&, op_holds](attempt a, completion<result> done) {
          inner.start(a, loop,
                      seawall::idempotent([](completion<result> d) { d(absl::UnavailableError("down")); }),
                      [d = std::move(done)](result r) mutable { d(std::move(r)); });
        },
        [](const result&) {});
    loop.run_for(1ms);
  }
  CHECK(op_holds.use_count() == 1);
}

TEST_CASE("drop: a scheduler that is gone is not asked to cancel its timers") {
  struct touchy : virtual_scheduler {
    using timer = virtual_scheduler::timer;
    bool cancel(timer& t) {
      if (gone) ++asked;
      return virtual_scheduler::cancel(t);
    }
    bool gone = false;
    int asked = 0;
  };
  // Dropped where its work was posted, before its timer is.
  int asked = 0;
  held<> op;
  answered<> got;
  const auto p = seawall::compose(seawall::deadline({.after = 1h}));
  {
    touchy loop;
    p.start(loop, op.operation(), got.taker());
    op.end(0, 1);
    loop.gone = true;
    struct note {
      touchy& loop;
      int& asked;
      ~note() { asked = loop.asked; }
    };
    // Runs before the base drops what is left.
    const note n{loop, asked};
  }
  CHECK(asked == 0);
  CHECK(got.times == 0);
}

/// A handle, as event loops give them out; looks at itself after the work was handed over.
struct handle {
  using timer = virtual_scheduler::timer;

  explicit handle(virtual_scheduler& l) : loop(&l), alive(std::make_shared<int>(1)) {}
  seawall::instant now() const { return loop->now(); }
  void post(task& t) const {
    loop->post(t);
    loop->run();  // what another thread might do in the meantime
    if (alive == nullptr || *alive != 1) ++touched_when_gone;
  }
  void schedule_at(seawall::instant at, timer& t, task& work) const { loop->schedule_at(at, t, work); }
  bool cancel(timer& t) const { return loop->cancel(t); }

  virtual_scheduler* loop;
  std::shared_ptr<int> alive;
  static inline int touched_when_gone = 0;
};

TEST_CASE("a scheduler that is kept is still there when post returns, though the call may not be") {
  virtual_scheduler loop;
  const auto p = seawall::compose(seawall::retry({.backoff = {.initial = 1ms}}));
  held<> op;
  answered<> got;
  {
    handle h(loop);
    const std::weak_ptr<int> alive = h.alive;
    p.start(std::move(h), seawall::idempotent(op.operation()), got.taker());
    CHECK_FALSE(alive.expired());
    op.end(0, absl::UnavailableError("busy"));
    loop.run();
    op.end(1, 7);
    CHECK(got.once());
    CHECK(alive.expired());
    CHECK(handle::touched_when_gone == 0);
  }
}

}  // namespace
