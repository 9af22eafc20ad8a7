// SPDX-License-Identifier: Apache-2.0
// Nothing is lost and nothing comes twice, while producers and consumers are stopped in the middle of a wait, end and are
// started again, and the queue is reconfigured under them.
//
// SEAWALL_CALLS=<items> for a long run.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/queue/backpressure_queue.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace seawall;
using namespace std::chrono_literals;

/// Which of the items have come out: a bit for each, and a complaint if it was set.
class ledger {
 public:
  explicit ledger(std::uint64_t items) : words_((items + 63) / 64) {}
  void note(std::uint64_t item) {
    const std::uint64_t bit = std::uint64_t{1} << item % 64;
    if ((words_[item / 64].fetch_or(bit, std::memory_order_relaxed) & bit) != 0) ++twice;
    out.fetch_add(1, std::memory_order_relaxed);
  }
  std::atomic<std::uint64_t> twice{0}, out{0};

 private:
  std::vector<std::atomic<std::uint64_t>> words_;
};

/// A thread that is stopped every now and then, ends, and is followed by another.
template <class Work>
class restarted {
 public:
  restarted(Work work, std::atomic<std::uint64_t>& restarts)
      : thread_([this, work, &restarts] {
          for (;;) {
            std::stop_source source;
            {
              const std::lock_guard lock(mutex_);
              stop_ = source;
            }
            bool over = false;
            std::thread one([&] { over = work(source.get_token()); });
            one.join();
            if (over) return;
            ++restarts;
          }
        }) {}
  void kill() {
    std::stop_source stop(std::nostopstate);
    {
      const std::lock_guard lock(mutex_);
      stop = stop_;
    }
    stop.request_stop();
  }
  void join() { thread_.join(); }

 private:
  std::mutex mutex_;
  std::stop_source stop_;
  std::thread thread_;
};

void run(std::uint64_t items, backpressure_queue_options options) {
  ledger all(items);
  std::atomic<std::uint64_t> next{0}, restarts{0}, dropped{0};
  queue_hooks<std::uint64_t> hooks;
  hooks.dropped = [&](std::uint64_t&& item, queue_drop) {
    all.note(item);
    ++dropped;
  };
  backpressure_queue<std::uint64_t> q(options, hooks);

  // Who is stopped with an item in hand tries again in its next life.
  const auto produce = [&](std::uint64_t& in_hand, const std::stop_token& stop) {
    for (;;) {
      if (in_hand == items) in_hand = next.fetch_add(1, std::memory_order_relaxed);
      if (in_hand >= items) return true;
      const bool deadline = in_hand % 64 == 0;
      const auto answer = q.push(std::uint64_t{in_hand},
                                 {.priority = static_cast<int>(in_hand % 3),
                                  .deadline = deadline ? steady_clock::now() + 1ms : instant::never()},
                                 {.stop = stop})
                              .why();
      if (answer == queue_answer::done) in_hand = items;
      if (answer == queue_answer::expired || answer == queue_answer::full) {
        all.note(in_hand);  // back with the producer: that is out as well
        in_hand = items;
      }
      if (stop.stop_requested()) return false;
    }
  };
  const auto consume = [&](unsigned n, const std::stop_token& stop) {
    std::vector<std::uint64_t> batch;
    for (std::uint64_t i = n;; ++i) {
      batch.clear();
      const instant deadline = i % 16 == 0 ? steady_clock::now() + 20us : instant::never();
      const batch_result r = q.pop_batch(batch, 1 + i % 32, {.deadline = deadline, .stop = stop});
      for (const std::uint64_t item : batch) all.note(item);
      if (r.why == queue_answer::closed) return true;
      if (stop.stop_requested()) return false;
    }
  };

  std::uint64_t hands[2] = {items, items};
  auto p0 = [&](const std::stop_token& s) { return produce(hands[0], s); };
  auto p1 = [&](const std::stop_token& s) { return produce(hands[1], s); };
  auto c0 = [&](const std::stop_token& s) { return consume(0, s); };
  auto c1 = [&](const std::stop_token& s) { return consume(1, s); };
  restarted first(p0, restarts);
  restarted second(p1, restarts);
  restarted third(c0, restarts);
  restarted fourth(c1, restarts);
  std::atomic<bool> produced{false};
  std::thread killer([&] {
    dice d(seed());
    while (!produced) {
      d.chance(50) ? (d.chance(50) ? first.kill() : second.kill())
                   : (d.chance(50) ? third.kill() : fourth.kill());
      options.max_items = d.between<std::size_t>(1, 200);
      CHECK_FALSE(q.reconfigure(options));
      std::this_thread::sleep_for(200us);
    }
  });
  first.join();
  second.join();
  produced = true;
  killer.join();
  CHECK(q.drain() == 0);
  third.join();
  fourth.join();
  CHECK(all.twice == 0);
  CHECK(all.out == items);
  MESSAGE(items, " items, ", dropped.load(), " dropped, ", restarts.load(), " restarts of threads");
}

std::uint64_t wanted() { return from_environment("SEAWALL_CALLS").value_or(1'000'000 / slowdown); }

}  // namespace

TEST_CASE("queue stress: first come first, producers wait") { run(wanted(), {.order = queue_order::fifo}); }
TEST_CASE("queue stress: adaptive lifo, the oldest make room, CoDel") {
  run(wanted() / 4,
      {.when_full = queue_full::drop_oldest, .codel = {.on = true, .target = 1us, .interval = 50us}});
}
TEST_CASE("queue stress: priorities, the lowest make room") {
  run(wanted() / 4, {.when_full = queue_full::drop_lowest, .order = queue_order::priority});
}
