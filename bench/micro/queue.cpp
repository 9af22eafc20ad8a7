// SPDX-License-Identifier: Apache-2.0

// A backpressure queue, first come first; its floor is a deque under a mutex with a condition variable: what one would write by hand.
// Alone: one thread that pushes and pops, in a process that has another one, since glibc takes a mutex without an atomic operation
// where there is none. Two by two: two producers and two consumers; the time is that of the wall, for one item.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "seawall/queue/backpressure_queue.hpp"
#include "subject.hpp"

namespace bench {
namespace {

constexpr std::size_t bound = 1024;
constexpr std::size_t batch_max = 64;

class with_std_mutex {
 public:
  void push(std::uint64_t v) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return items_.size() < bound; });
    items_.push_back(v);
    lock.unlock();
    filled_.notify_one();
  }
  std::optional<std::uint64_t> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return !items_.empty() || closed_; });
    if (items_.empty()) return std::nullopt;
    const std::uint64_t v = items_.front();
    items_.pop_front();
    lock.unlock();
    room_.notify_one();
    return v;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_, room_;
  std::deque<std::uint64_t> items_;
  bool closed_ = false;
};

class with_absl_mutex {
 public:
  void push(std::uint64_t v) {
    const absl::MutexLock lock(&mutex_, absl::Condition(this, &with_absl_mutex::has_room));
    items_.push_back(v);
  }
  std::optional<std::uint64_t> pop() {
    const absl::MutexLock lock(&mutex_, absl::Condition(this, &with_absl_mutex::filled_or_closed));
    if (items_.empty()) return std::nullopt;
    const std::uint64_t v = items_.front();
    items_.pop_front();
    return v;
  }
  void close() {
    const absl::MutexLock lock(&mutex_);
    closed_ = true;
  }

 private:
  bool has_room() const { return items_.size() < bound; }
  bool filled_or_closed() const { return !items_.empty() || closed_; }

  absl::Mutex mutex_;
  std::deque<std::uint64_t> items_;
  bool closed_ = false;
};

seawall::backpressure_queue_options fifo() {
  return {.max_items = bound, .order = seawall::queue_order::fifo, .expire = false};
}

class with_seawall {
 public:
  void push(std::uint64_t v) { benchmark::DoNotOptimize(queue_.push(std::move(v))); }
  std::optional<std::uint64_t> pop() {
    auto r = queue_.pop();
    if (!r) return std::nullopt;
    return *r;
  }
  void close() { queue_.close(); }

 protected:
  seawall::backpressure_queue<std::uint64_t> queue_{fifo()};
};

class with_seawall_batches : public with_seawall {
 public:
  std::size_t pop_batch(std::vector<std::uint64_t>& out) { return queue_.pop_batch(out, batch_max).items; }
};

/// A thread that sleeps for as long as this lives.
class another_thread {
 public:
  another_thread() { held_.lock(); }
  another_thread(const another_thread&) = delete;
  another_thread& operator=(const another_thread&) = delete;
  ~another_thread() {
    held_.unlock();
    sleeper_.join();
  }

 private:
  std::mutex held_;
  std::thread sleeper_{[this] { const std::lock_guard lock(held_); }};
};

template <class Queue>
struct push_and_pop {
  another_thread other;
  Queue queue;

  std::uint64_t operator()() {
    queue.push(1);
    return *queue.pop();
  }
};

struct push_and_pop_timed {
  another_thread other;
  seawall::backpressure_queue<std::uint64_t> queue{{.max_items = bound},
                                                   {.dropped = [](std::uint64_t&&, auto) {}}};

  std::uint64_t operator()() {
    benchmark::DoNotOptimize(queue.push(1));
    return *queue.pop();
  }
};

template <class Queue>
void consume(Queue& q) {
  if constexpr (requires(std::vector<std::uint64_t> & out) { q.pop_batch(out); }) {
    std::vector<std::uint64_t> out;
    out.reserve(batch_max);
    while (q.pop_batch(out) != 0) {
      benchmark::DoNotOptimize(out.data());
      out.clear();
    }
  } else {
    while (auto v = q.pop()) benchmark::DoNotOptimize(*v);
  }
}

template <class Queue>
void pipeline(benchmark::State& state) {
  constexpr std::uint64_t each = 50'000;
  for (auto _ : state) {
    Queue q;
    std::vector<std::thread> consumers, producers;
    for (int i = 0; i < 2; ++i) consumers.emplace_back([&q] { consume(q); });
    for (int i = 0; i < 2; ++i) {
      producers.emplace_back([&q] {
        for (std::uint64_t k = 0; k < each; ++k) q.push(k);
      });
    }
    for (auto& t : producers) t.join();
    q.close();
    for (auto& t : consumers) t.join();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * each * 2));
  state.counters["allocations"] = 0;
}

template <class Queue>
void add_pipeline(const char* name) {
  benchmark::RegisterBenchmark(name, pipeline<Queue>)->UseRealTime()->Unit(benchmark::kMillisecond);
}

const bool added = [] {
  alone<push_and_pop<with_seawall>>("queue/push and pop/seawall");
  alone<push_and_pop<with_std_mutex>>("queue/push and pop/floor");
  alone<push_and_pop_timed>("queue/push and pop, adaptive_lifo/seawall");
  alone<push_and_pop<with_std_mutex>>("queue/push and pop, adaptive_lifo/floor");
  alone<push_and_pop<with_absl_mutex>>("beside/queue, push and pop, absl::Mutex");
  add_pipeline<with_seawall_batches>("queue/two by two, batches/seawall/alone");
  add_pipeline<with_std_mutex>("queue/two by two, batches/floor/alone");
  add_pipeline<with_seawall>("queue/two by two, one by one/seawall/alone");
  add_pipeline<with_std_mutex>("queue/two by two, one by one/floor/alone");
  add_pipeline<with_absl_mutex>("beside/queue, two by two, absl::Mutex/alone");
  return true;
}();

}  // namespace
}  // namespace bench
