// SPDX-License-Identifier: Apache-2.0
// Short histories of threads that push, pop and close at once, each checked against a sequential queue: there must be an order
// of the operations that agrees with what each of them said and with which of them came before which.
//
// SEAWALL_SEQUENCES=<count> for a long run.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "property/support.hpp"
#include "seawall/queue/backpressure_queue.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using seawall::backpressure_queue;
using seawall::queue_answer;
using seawall::queue_order;

enum class kind : std::uint8_t { push, pop, batch, close };

struct operation {
  kind what = kind::push;
  int pushed = 0;
  queue_answer said = queue_answer::done;
  std::vector<int> popped = {};
  std::uint64_t begun = 0, ended = 0;
  bool beside_batch = false;  // one that takes items at the same time
};

struct model {
  std::vector<int> items;
  bool closed = false;

  friend auto operator<=>(const model&, const model&) = default;
};

/// Whether the operation may do what it did to this queue; does it.
bool step(model& m, const operation& o, std::size_t bound, queue_order order) {
  switch (o.what) {
    case kind::close: m.closed = true; return true;
    case kind::push:
      if (m.closed) return o.said == queue_answer::closed;
      if (m.items.size() == bound) return o.said == queue_answer::full;
      m.items.push_back(o.pushed);
      return o.said == queue_answer::done;
    default: break;
  }
  // What a batch has in hand comes back if its container throws: until then, nobody hears that no more will come.
  if (m.items.empty())
    return o.said == (m.closed ? queue_answer::closed : queue_answer::empty) ||
           (o.said == queue_answer::empty && o.beside_batch);
  if (o.said != queue_answer::done) return false;
  // A batch takes all there is, up to its size of two.
  if (o.popped.size() != (o.what == kind::batch ? std::min<std::size_t>(2, m.items.size()) : 1)) return false;
  for (const int v : o.popped) {
    const auto next = order == queue_order::lifo ? m.items.end() - 1 : m.items.begin();
    if (*next != v) return false;
    m.items.erase(next);
  }
  return true;
}

/// Wing and Gong, "Testing and Verifying Concurrent Objects" (JPDC 1993), with a memory of what was tried (Lowe).
class checker {
 public:
  checker(const std::vector<operation>& history, std::size_t bound, queue_order order)
      : history_(history), bound_(bound), order_(order) {}

  bool linearisable(std::uint32_t done = 0, model m = {}) {
    if (done == (1U << history_.size()) - 1) return true;
    if (!tried_.insert({done, m}).second) return false;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if ((done & 1U << i) != 0 || !may_be_next(done, i)) continue;
      model after = m;
      if (step(after, history_[i], bound_, order_) && linearisable(done | 1U << i, std::move(after)))
        return true;
    }
    return false;
  }

 private:
  // No other that is not done has ended before it began.
  bool may_be_next(std::uint32_t done, std::size_t i) const {
    for (std::size_t k = 0; k < history_.size(); ++k) {
      if ((done & 1U << k) == 0 && history_[k].ended < history_[i].begun) return false;
    }
    return true;
  }

  const std::vector<operation>& history_;
  const std::size_t bound_;
  const queue_order order_;
  std::set<std::pair<std::uint32_t, model>> tried_;
};

constexpr unsigned threads = 3;
constexpr std::size_t each = 4;

struct game {
  std::array<std::array<operation, each>, threads> plan;
  std::optional<backpressure_queue<int>> queue;
  std::atomic<std::uint64_t> clock{0};

  void play(unsigned thread) {
    for (operation& o : plan[thread]) {
      o.begun = clock.fetch_add(1);
      switch (o.what) {
        case kind::push: o.said = queue->try_push(int{o.pushed}).why(); break;
        case kind::pop: {
          auto p = queue->try_pop();
          o.said = p.why();
          if (p) o.popped = {*p};
          break;
        }
        case kind::batch: o.said = queue->try_pop_batch(o.popped, 2).why; break;
        case kind::close: queue->close(); break;
      }
      o.ended = clock.fetch_add(1);
    }
  }
};

void mark_those_beside_batches(std::vector<operation>& history) {
  for (operation& o : history) {
    o.beside_batch = std::any_of(history.begin(), history.end(), [&o](const operation& b) {
      return b.what == kind::batch && !b.popped.empty() && b.begun < o.ended && o.begun < b.ended;
    });
  }
}

std::string told(const std::vector<operation>& history) {
  std::string out;
  for (const operation& o : history) {
    out += text("\n  [", o.begun, ", ", o.ended, "] ", static_cast<int>(o.what), " ", o.pushed, " ",
                to_string(o.said));
    for (const int v : o.popped) out += text(" ", v);
  }
  return out;
}

TEST_CASE("queue: histories of concurrent pushes, pops, batches and closes are those of a sequential queue") {
  game g;
  starting_gun gun(threads + 1);
  std::atomic<bool> over{false};
  std::vector<std::thread> running;
  for (unsigned t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (;;) {
        gun.wait();
        if (over) return;
        g.play(t);
        gun.wait();
      }
    });
  }
  std::optional<std::string> wrong;
  std::uint64_t tried = 0;
  const std::uint64_t wanted = sequences_wanted(3000);
  for (dice d(seed()); tried < wanted && !wrong; ++tried) {
    const std::size_t bound = d.between<std::size_t>(1, 4);
    const queue_order order = d.pick({queue_order::fifo, queue_order::lifo});
    g.queue.emplace(seawall::backpressure_queue_options{.max_items = bound, .order = order, .expire = false});
    int value = 0;
    for (auto& line : g.plan) {
      for (operation& o : line) {
        const auto roll = d.below(20);
        o = {.what = roll < 9    ? kind::push
                     : roll < 16 ? kind::pop
                     : roll < 19 ? kind::batch
                                 : kind::close,
             .pushed = ++value};
      }
    }
    gun.wait();
    gun.wait();
    std::vector<operation> history;
    for (auto& line : g.plan) history.insert(history.end(), line.begin(), line.end());
    mark_those_beside_batches(history);
    if (!checker(history, bound, order).linearisable()) wrong = told(history);
  }
  over = true;
  gun.wait();
  for (std::thread& t : running) t.join();
  if (wrong) FAIL("seed ", seed(), ", history ", tried, ": ", *wrong);
  MESSAGE("tried ", tried, " histories of ", threads * each, " operations");
}

TEST_CASE("queue: the checker refuses what no sequential queue does") {
  const auto refused = [](std::vector<operation> h) {
    return !checker(h, 2, queue_order::fifo).linearisable();
  };
  const operation push{.what = kind::push, .pushed = 1, .begun = 0, .ended = 1};
  operation pop{.what = kind::pop, .popped = {1}, .begun = 2, .ended = 3};
  CHECK_FALSE(refused({push, pop}));
  operation twice = pop;
  twice.begun = 4, twice.ended = 5;
  CHECK(refused({push, pop, twice}));  // doubled
  pop.popped = {};
  pop.said = queue_answer::empty;
  CHECK(refused({push, pop}));  // lost
  pop.begun = 0;
  CHECK_FALSE(refused({push, pop}));  // at the same time: it may have been before
}

}  // namespace
