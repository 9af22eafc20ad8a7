// SPDX-License-Identifier: Apache-2.0
// The bulkhead under threads: never more inside than may be, none refused who may come in, nobody left asleep, nothing lost.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "property/support.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using namespace std::chrono_literals;
using seawall::bulkhead;
using seawall::wait_order;

/// Counts who is inside. Enters after the permit was given and leaves before it is given back.
class checker {
 public:
  explicit checker(std::int64_t limit) : limit_(limit) {}
  void enter(std::int64_t weight = 1) {
    const std::int64_t now_inside = inside_.fetch_add(weight) + weight;
    if (now_inside > limit_) too_many_ = true;
    ++entered_;
  }
  void leave(std::int64_t weight = 1) { inside_.fetch_sub(weight); }
  bool too_many() const { return too_many_; }
  std::int64_t entered() const { return entered_; }

 private:
  const std::int64_t limit_;
  std::atomic<std::int64_t> inside_{0};
  std::atomic<std::int64_t> entered_{0};
  std::atomic<bool> too_many_{false};
};

std::uint64_t rounds(std::uint64_t usual) {
  return from_environment("SEAWALL_CALLS").value_or(usual / slowdown);
}

/// All permits are there, and nobody waits.
void check_nothing_lost(bulkhead& b, std::uint32_t limit) {
  CHECK(b.snapshot().in_use == 0);
  CHECK(b.snapshot().waiting == 0);
  CHECK(b.try_acquire(seawall::steady_clock::now(), limit));
}

}  // namespace

TEST_CASE("bulkhead under threads: a permit for each is never refused, wherever it lies") {
  for (const std::uint32_t limit : {2U, 4U, 8U, 64U}) {
    for (const unsigned stripes : {1U, 2U, 16U}) {
      bulkhead b({.max_concurrent = limit}, stripes, "");
      checker inside(limit);
      std::atomic<int> refused{0};
      in_threads(std::min(limit, 8U), [&](unsigned) {
        for (std::uint64_t i = 0; i < rounds(20'000); ++i) {
          auto p = b.try_acquire();
          if (!p) {
            ++refused;
            continue;
          }
          inside.enter();
          if (i % 64 == 0) std::this_thread::yield();
          inside.leave();
        }
      });
      CHECK(refused == 0);
      CHECK_FALSE(inside.too_many());
      check_nothing_lost(b, limit);
    }
  }
}

TEST_CASE(
    "bulkhead under threads: weights never add up to more than the limit, though permits move between stripes") {
  bulkhead b({.max_concurrent = 64}, 8, "");
  checker inside(64);
  in_threads(4, [&](unsigned number) {
    dice d(seed() + number);
    bulkhead::permit kept;
    std::int64_t kept_weight = 0;
    for (std::uint64_t i = 0; i < rounds(100'000); ++i) {
      const auto weight = d.chance(95) ? d.between<std::uint32_t>(1, 3) : d.between<std::uint32_t>(20, 64);
      auto p = b.try_acquire(seawall::instant(), weight);
      if (p) {
        inside.enter(weight);
        if (d.chance(1)) std::this_thread::yield();
      }
      // Given back one round later.
      if (kept) inside.leave(kept_weight);
      kept = std::move(p);
      kept_weight = weight;
    }
    if (kept) inside.leave(kept_weight);
  });
  CHECK_FALSE(inside.too_many());
  CHECK(inside.entered() > 0);
  check_nothing_lost(b, 64);
}

TEST_CASE("bulkhead under threads: everyone who waits without end gets in, in every order") {
  for (const wait_order order : {wait_order::fifo, wait_order::lifo, wait_order::adaptive_lifo,
                                 wait_order::by_priority, wait_order::by_deadline}) {
    CAPTURE(to_string(order));
    bulkhead b({.max_concurrent = 2,
                .max_waiting = 100,
                .max_wait = seawall::duration::infinite(),
                .order = order,
                .lifo_after = 50us});
    const auto pipe = seawall::compose(seawall::limit_concurrency(b));
    checker inside(2);
    std::atomic<std::uint64_t> answered{0};
    in_threads(6, [&](unsigned number) {
      for (std::uint64_t i = 0; i < rounds(4'000); ++i) {
        const seawall::call_options said{.priority = static_cast<int>((i + number) % 3)};
        answered += pipe.run(said,
                             [&] {
                               inside.enter();
                               if (i % 8 == 0) std::this_thread::yield();
                               inside.leave();
                               return absl::OkStatus();
                             })
                            .ok()
                        ? 1
                        : 0;
      }
    });
    CHECK(answered == 6 * rounds(4'000));
    CHECK_FALSE(inside.too_many());
    check_nothing_lost(b, 2);
  }
}

TEST_CASE("bulkhead under threads: waits that end in every way, and a limit that changes, lose nothing") {
  constexpr std::uint32_t most = 5;
  for (const bool partitions : {false, true}) {
    seawall::bulkhead_options o{.max_concurrent = most,
                                .max_waiting = 3,
                                .max_wait = 100us,
                                .order = wait_order::by_priority,
                                .displaces = true,
                                .weight_of = [](const seawall::call& c) noexcept {
                                  return static_cast<std::uint32_t>(c.priority());
                                }};
    if (partitions) {
      o.partitions = {{"a", 1}, {"b", 1}};
      o.partition_of = [](const seawall::call& c) noexcept { return c.key(); };
      o.recall_for = 20us;
    }
    bulkhead b(o);
    const auto pipe = seawall::compose(seawall::limit_concurrency(b));
    checker inside(most);
    std::atomic<bool> over{false};
    std::thread resizes([&] {
      auto changed = o;
      for (std::uint32_t i = 0; !over; ++i) {
        changed.max_concurrent = 2 + i % (most - 1);
        b.reconfigure(changed);
        std::this_thread::sleep_for(50us);
      }
    });
    in_threads(4, [&](unsigned number) {
      dice d(seed() + number);
      for (std::uint64_t i = 0; i < rounds(6'000); ++i) {
        const int weight = d.between(1, 2);
        std::stop_source gone;
        seawall::call_options said{
            .key = d.pick({"a", "b", ""}), .priority = weight, .stop = gone.get_token()};
        if (d.chance(30)) said.deadline = seawall::steady_clock::now() + duration(1us) * d.between(1, 100);
        std::jthread stops;
        if (d.chance(3)) stops = std::jthread([&] { gone.request_stop(); });
        (void)pipe.run(said, [&] {
          inside.enter(weight);
          if (d.chance(20)) std::this_thread::yield();
          inside.leave(weight);
          return absl::OkStatus();
        });
      }
    });
    over = true;
    resizes.join();
    CHECK_FALSE(inside.too_many());
    CHECK(inside.entered() > 0);
    REQUIRE_FALSE(b.reconfigure(o));
    check_nothing_lost(b, most);
  }
}

TEST_CASE("bulkhead under threads: permits given back elsewhere than they were taken are found again") {
  bulkhead b({.max_concurrent = 32}, 2, "");
  std::atomic<int> refused{0};
  // One thread takes, another gives back: the taker's stripe runs dry again and again.
  std::atomic<bulkhead::permit*> handed{nullptr};
  std::atomic<bool> over{false};
  std::thread gives([&] {
    for (;;) {
      const bool last = over;
      delete handed.exchange(nullptr);
      if (last) return;
      std::this_thread::yield();
    }
  });
  for (std::uint64_t i = 0; i < rounds(50'000); ++i) {
    auto p = b.try_acquire();
    refused += p ? 0 : 1;
    delete handed.exchange(new bulkhead::permit(std::move(p)));
  }
  over = true;
  gives.join();
  CHECK(refused == 0);
  check_nothing_lost(b, 32);
}
