// SPDX-License-Identifier: Apache-2.0
// The circuit breaker under threads: what must hold in every interleaving. Time is virtual and goes on while they run.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "property/support.hpp"
#include "seawall/circuit_breaker.hpp"
#include <doctest/doctest.h>

namespace {

using namespace property;
using machine = seawall::core::breaker_machine;
using admitted_as = machine::admission::kind;
using state = seawall::breaker_state;

constexpr unsigned threads = 4;
constexpr std::size_t states = 6;

std::size_t number_of(std::string_view name) {
  std::size_t i = 0;
  while (i < states && to_string(static_cast<state>(i)) != name) ++i;
  return i;
}

/// Counts events from each state to each. Events of two threads may arrive in any order, so that only the counts can be
/// judged: every path through a graph enters each state as often as it leaves it, but for the first and the last.
class transition_counter final : public seawall::listener {
 public:
  using seawall::listener::on;
  void on(const seawall::event::state_changed& e) noexcept override {
    ++total;
    ++edges[number_of(e.from)][number_of(e.to)];
  }

  std::uint64_t count(state from, state to) const {
    return edges[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
  }
  bool is_one_path(state last) const {
    for (std::size_t s = 0; s < states; ++s) {
      std::int64_t balance =
          (s == number_of("closed") ? 1 : 0) - (s == static_cast<std::size_t>(last) ? 1 : 0);
      for (std::size_t other = 0; other < states; ++other) {
        balance += static_cast<std::int64_t>(edges[other][s]) - static_cast<std::int64_t>(edges[s][other]);
      }
      if (balance != 0) return false;
    }
    return true;
  }

  std::atomic<std::uint64_t> total{0};
  std::array<std::array<std::atomic<std::uint64_t>, states>, states> edges{};
};

struct stress_plan {
  duration lease = duration::infinite();
  unsigned lost_percent = 0;
  bool controls = false;
};

class stress {
 public:
  explicit stress(const stress_plan& plan) : plan_(plan), breaker_(options(plan)) {}

  void run(unsigned thread, std::uint64_t calls) {
    dice d(seed() + thread);
    std::vector<machine::permit> held;
    for (std::uint64_t i = 0; i < calls; ++i) {
      const instant now = instant::from_ns(clock_.fetch_add(d.chance(30) ? d.between(0, 300) : 0));
      if (plan_.controls && thread == 0 && d.chance(2)) control(d, now);
      if (held.size() < 4 && d.chance(60))
        acquire(d, now, held);
      else if (!held.empty())
        finish(d, now, held);
    }
    for (const machine::permit& p : held) let_go(p), machine_().release(p);
  }

  void check_invariants() {
    CHECK(too_many_probes_.load() == 0);
    CHECK(probes_seen_.load() > 0);
    const auto s = breaker_.snapshot(now());
    CHECK(s.transitions == events_.total.load());
    // Going half-open is told by the next call, while a snapshot shows it already.
    const bool untold = s.state == state::half_open && !events_.is_one_path(state::half_open);
    CHECK(events_.is_one_path(untold ? state::open : s.state));
    if (!plan_.controls) check_edges();
  }

  /// Time passes, then successes close it: nothing that happened before may prevent that.
  void check_not_wedged() {
    if (plan_.controls) breaker_.reset(now());
    const instant later = now() + std::chrono::hours(1);
    for (int i = 0; i < 3 && breaker_.snapshot(later).state != state::closed; ++i) {
      auto permit = breaker_.try_acquire(later);
      REQUIRE(static_cast<bool>(permit));
      permit.success(later);
    }
    CHECK(breaker_.snapshot(later).state == state::closed);
    CHECK(static_cast<bool>(breaker_.try_acquire(later)));
  }

 private:
  static constexpr std::uint32_t max_probes = 2;
  static constexpr std::uint64_t generations = 1 << 16;

  seawall::circuit_breaker_options options(const stress_plan& plan) {
    seawall::circuit_breaker_options o;
    o.over_time = {.failure_rate = 0.5, .length = unit * 10, .buckets = 5, .minimum_calls = 10};
    o.last_calls = {.calls = 10, .failure_rate = 0.8};
    o.consecutive_failures = 4;
    o.open_for = unit * 2;
    o.open_growth = 2;
    o.open_for_max = unit * 8;
    o.half_open = {.max_probes = max_probes, .successes = 2, .of = 3, .lease = plan.lease};
    o.events = &events_;
    return o;
  }

  void acquire(dice& d, instant now, std::vector<machine::permit>& held) {
    const auto a = machine_().try_acquire(now, seawall::thread_random);
    if (a.how != admitted_as::admitted) return;
    if (a.held.probe != 0) {
      ++probes_seen_;
      // With leases that end, another probe may take the place of one that is still here.
      const bool countable = plan_.lease == duration::infinite();
      if (countable && ++probes_of(a.held) > static_cast<int>(max_probes)) ++too_many_probes_;
    }
    if (!d.chance(plan_.lost_percent)) held.push_back(a.held);
  }

  /// Before it is settled, so that the count is never higher than what the breaker knows of.
  void let_go(const machine::permit& p) {
    if (p.probe != 0 && plan_.lease == duration::infinite()) --probes_of(p);
  }

  void finish(dice& d, instant now, std::vector<machine::permit>& held) {
    std::swap(d.pick_from(held), held.back());
    const machine::permit p = held.back();
    held.pop_back();
    let_go(p);
    if (d.chance(10)) return machine_().release(p);
    const auto v = d.chance(50) ? seawall::verdict::ok() : seawall::verdict::transient();
    machine_().settle(p, v, now, seawall::thread_random);
  }

  void control(dice& d, instant now) {
    switch (d.below(5)) {
      case 0: return breaker_.force_open(now);
      case 1: return breaker_.isolate(now);
      case 2: return breaker_.disable(now);
      case 3: return breaker_.metrics_only(now);
      default: return breaker_.reset(now);
    }
  }

  void check_edges() const {
    const std::uint64_t legal =
        events_.count(state::closed, state::open) + events_.count(state::open, state::half_open) +
        events_.count(state::half_open, state::open) + events_.count(state::half_open, state::closed);
    CHECK(legal == events_.total);
    CHECK(events_.count(state::half_open, state::closed) > 0);
    CHECK(events_.count(state::half_open, state::open) > 0);
  }

  std::atomic<int>& probes_of(const machine::permit& p) { return probes_out_[p.generation % generations]; }
  machine& machine_() { return breaker_.machine(); }
  instant now() const { return instant::from_ns(clock_); }

  const stress_plan plan_;
  transition_counter events_;
  seawall::circuit_breaker breaker_;
  std::atomic<std::int64_t> clock_{0};
  std::vector<std::atomic<int>> probes_out_ = std::vector<std::atomic<int>>(generations);
  std::atomic<std::uint64_t> probes_seen_{0};
  std::atomic<std::uint64_t> too_many_probes_{0};
};

void run_stress(const stress_plan& plan) {
  const std::uint64_t calls = sequences_wanted(800'000);
  stress s(plan);
  in_threads(threads, [&](unsigned thread) { s.run(thread, calls); });
  s.check_invariants();
  s.check_not_wedged();
  MESSAGE("seed ", seed(), ": ", threads, " threads, ", calls, " operations each");
}

TEST_CASE("breaker under threads: never more probes than allowed, no wedge, one event for each transition") {
  run_stress({});
}

TEST_CASE("breaker under threads: probes that vanish do not wedge it") {
  run_stress({.lease = unit * 3, .lost_percent = 20});
}

TEST_CASE("breaker under threads: controls in between") { run_stress({.controls = true}); }

TEST_CASE("breaker under threads: of callers that come at once, as many are probes as allowed") {
  const std::uint64_t rounds = sequences_wanted(15'000);
  for (const std::uint32_t max_probes : {1U, 3U}) {
    seawall::circuit_breaker breaker({.half_open = {.max_probes = max_probes}});
    breaker.restore({.state = state::half_open, .time_left = {}, .trips = 1}, instant());
    const noise looks([&] { breaker.snapshot(instant()); });
    starting_gun gun(threads);
    std::atomic<std::uint32_t> admitted{0};
    std::atomic<std::uint64_t> wrong{0};
    in_threads(threads, [&](unsigned thread) {
      for (std::uint64_t round = 0; round < rounds; ++round) {
        gun.wait();
        const auto permit = breaker.try_acquire(instant());
        if (permit) ++admitted;
        gun.wait();
        if (thread == 0 && admitted.exchange(0) != max_probes) ++wrong;
      }
    });
    CHECK(wrong.load() == 0);
  }
  MESSAGE("tried twice ", rounds, " rounds of ", threads, " threads");
}

// Permits of one generation are settled while a reset ends it, and one of the next: whatever the order, only that is left.
TEST_CASE("breaker under threads: a result that races with a reset is forgotten") {
  const std::uint64_t rounds = sequences_wanted(10'000);
  seawall::circuit_breaker breaker(
      {.over_time = {.failure_rate = 1.0, .buckets = 10, .minimum_calls = 1'000'000}}, 1, {});
  auto& m = breaker.machine();
  const noise looks([&] { m.snapshot(instant()); });
  starting_gun gun(threads);
  std::atomic<std::uint64_t> wrong{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::uint64_t round = 1; round <= rounds; ++round) {
      // A time of its own: the first to record there waits for a mutex, after it has looked at the generation.
      const instant now = instant() + std::chrono::seconds(round);
      const auto admitted = [&] { return m.try_acquire(now, seawall::thread_random).held; };
      const auto succeed = [&](const machine::permit& p) {
        m.settle(p, seawall::verdict::ok(), now, seawall::thread_random);
      };
      const machine::permit stale = admitted();
      gun.wait();
      if (thread == 0) {
        m.reset(now);
        succeed(admitted());
      } else {
        succeed(stale);
      }
      gun.wait();
      if (thread == 0 && m.snapshot(now).counts.over_time.calls != 1) ++wrong;
      gun.wait();
    }
  });
  CHECK(wrong.load() == 0);
  MESSAGE("tried ", rounds, " rounds of ", threads, " threads");
}

}  // namespace
