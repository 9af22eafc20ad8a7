// SPDX-License-Identifier: Apache-2.0
// A circuit breaker under any options and any sequence of operations: what must hold after each of them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "must.hpp"
#include "seawall/circuit_breaker.hpp"
#include <fuzzer/FuzzedDataProvider.h>

using namespace seawall;

namespace {

struct null_waker final : waker {
  void poke() noexcept override {}
};

// Every field within its range, at a byte each, so that most of the input is left for operations.
circuit_breaker_options any_options(FuzzedDataProvider& in, std::uint32_t buckets) {
  circuit_breaker_options o;
  const auto rate = [&] { return in.PickValueInArray({1e-6, 0.3, 0.5, 1.0}); };
  const auto rate_or_off = [&] { return in.PickValueInArray({0.0, 1e-6, 0.3, 0.5, 1.0}); };
  const auto time = [&] {
    return duration::from_ns(
        in.PickValueInArray<std::int64_t>({1, 7, 100, 1000, 5000, 1'000'000'000, INT64_MAX}));
  };
  const auto count = [&](std::uint32_t least, std::uint32_t most) {
    return in.ConsumeIntegralInRange(least, most);
  };
  o.over_time = {.failure_rate = rate_or_off(),
                 .length = duration::from_ns(1000 * buckets + 777 * count(0, 255)),
                 .buckets = buckets,
                 .minimum_calls = count(1, 5)};
  o.last_calls = {.calls = count(0, 5), .failure_rate = rate_or_off()};
  o.last_calls.minimum_calls = count(0, o.last_calls.calls);
  o.slow = {.limit = in.ConsumeBool() ? duration::zero() : time(), .rate = rate()};
  o.failures_in_period = {.failures = count(0, 4), .within = time()};
  o.consecutive_failures = count(0, 4);
  o.open_for = time();
  o.open_growth = in.PickValueInArray({1.0, 1.5, 1e6});
  o.open_jitter = in.PickValueInArray({0.0, 0.2, 1.0});
  if (in.ConsumeBool()) o.open_for_max = o.open_for + time();
  const std::uint32_t of = count(1, 4);
  o.half_open = {.max_probes = count(1, 3),
                 .successes = count(1, of),
                 .of = of,
                 .lease = time(),
                 .excess_calls = in.ConsumeBool() ? circuit_breaker_options::excess::waits
                                                  : circuit_breaker_options::excess::rejected,
                 .max_waiting = count(0, 2)};
  if (in.ConsumeBool())
    o.recovery = {.length = time(), .initial_share = in.PickValueInArray({0.0, 0.5, 1.0})};
  return o;
}

verdict any_verdict(FuzzedDataProvider& in) {
  verdict v{.success = in.ConsumeBool(),
            .health = in.PickValueInArray({health::silent, health::healthy, health::unhealthy})};
  v.slow = in.ConsumeBool();
  v.retry_after = duration::from_ns(in.PickValueInArray<std::int64_t>({-1, 0, 50, 1'000'000, INT64_MAX}));
  return v;
}

class session {
 public:
  session(FuzzedDataProvider& in, std::uint32_t buckets)
      : in_(in), buckets_(buckets), options_(any_options(in, buckets)), breaker_(options_) {}

  void run() {
    while (in_.remaining_bytes() > 0) {
      operation();
      check_snapshot();
    }
    check_recovers();
  }

 private:
  using machine = core::breaker_machine;
  static random_source& random() { return thread_random(); }

  void operation() {
    switch (in_.ConsumeIntegralInRange(0, 13)) {
      case 0:
      case 1:
      case 2: return acquire();
      case 3:
      case 4: return end_one(true);
      case 5: return end_one(false);
      case 6: return pass(in_.ConsumeIntegralInRange(0, 255));
      case 7:
        return pass(in_.PickValueInArray<std::int64_t>({1000, 1'000'000, 60'000'000'000, INT64_MAX / 64}));
      case 8: return wait();
      case 9: return leave();
      case 10: return control();
      case 11: return reconfigure();
      case 12: return breaker_.restore(breaker_.save(now_), now_);
      case 13: return breaker_.tick(now_);
    }
  }

  void pass(std::int64_t ns) { now_ = now_ + duration::from_ns(ns); }

  void acquire() {
    const auto before = breaker_.snapshot(now_);
    auto p = breaker_.try_acquire(now_);
    const auto after = breaker_.snapshot(now_);
    must(after.state == before.state, "asking does not change the state that is seen");
    if (p) {
      must(before.state != breaker_state::open && before.state != breaker_state::isolated,
           "open admits nothing");
      must(permits_.size() < 1000, "the input is shorter than that");
      permits_.push_back(std::move(p));
      return;
    }
    must(before.state != breaker_state::disabled && before.state != breaker_state::metrics_only,
         "these admit all");
    must(before.state != breaker_state::half_open || before.probes > 0,
         "half-open without probes admits one");
    // Leases that have run out may go.
    must(after.probes <= before.probes && after.probes_failed == before.probes_failed &&
             after.trips == before.trips && after.time_left == before.time_left &&
             after.counts.over_time == before.counts.over_time &&
             after.counts.consecutive_failures == before.counts.consecutive_failures,
         "a rejection leaves nothing behind");
  }

  void end_one(bool with_verdict) {
    if (permits_.empty()) return;
    const auto i = in_.ConsumeIntegralInRange<std::size_t>(0, permits_.size() - 1);
    auto p = std::exchange(permits_[i], {});
    permits_.erase(permits_.begin() + static_cast<std::ptrdiff_t>(i));
    if (with_verdict) p.settle(any_verdict(in_), now_);
  }

  void wait() {
    auto& node = nodes_[in_.ConsumeIntegralInRange<std::size_t>(0, nodes_.size() - 1)];
    node.waker = &waker_;
    const auto a = breaker_.machine().acquire_or_wait(now_, node, random);
    must(node.linked == (a.how == machine::admission::kind::waiting),
         "who waits is in the list, nobody else");
    if (node.linked) must(a.look_again > now_, "who waits is told to look again later");
    if (a.how == machine::admission::kind::admitted)
      breaker_.machine().settle(a.held, any_verdict(in_), now_, random);
  }
  void leave() {
    breaker_.machine().forget(nodes_[in_.ConsumeIntegralInRange<std::size_t>(0, nodes_.size() - 1)]);
  }

  void control() {
    switch (in_.ConsumeIntegralInRange(0, 4)) {
      case 0: breaker_.force_open(now_); return;
      case 1: breaker_.isolate(now_); return;
      case 2: breaker_.disable(now_); return;
      case 3: breaker_.metrics_only(now_); return;
      case 4: breaker_.reset(now_); return;
    }
  }

  void reconfigure() {
    const auto before = breaker_.snapshot(now_);
    options_ = any_options(in_, buckets_);
    must(!breaker_.reconfigure(options_), "valid options are accepted");
    const auto after = breaker_.snapshot(now_);
    must(after.state == before.state && after.probes == before.probes && after.trips == before.trips,
         "nothing is lost");
    most_probes_ =
        most_probes_ > options_.half_open.max_probes ? most_probes_ : options_.half_open.max_probes;
  }

  void check_snapshot() {
    const auto s = breaker_.snapshot(now_);
    must(s.probes <= most_probes_, "no more probes than permitted");
    must(s.probes == 0 || s.state == breaker_state::half_open, "probes belong to half-open");
    must((s.time_left > duration::zero()) == (s.state == breaker_state::open),
         "open has time left, nothing else");
    must(s.counts.over_time.bad <= s.counts.over_time.calls &&
             s.counts.over_time.slow <= s.counts.over_time.calls,
         "no more bad or slow calls than calls");
    must(s.counts.last_calls.calls <= options_.last_calls.calls, "no more last calls than remembered");
    must(s.admitted_share >= 0 && s.admitted_share <= 1, "a share is a share");
    must(s.waiting <= nodes_.size(), "nobody waits twice");
    must(s.transitions >= transitions_, "transitions only add up");
    transitions_ = s.transitions;
  }

  // Nothing that happened keeps it from working again.
  void check_recovers() {
    permits_.clear();
    for (auto& n : nodes_) breaker_.machine().forget(n);
    const auto s = breaker_.snapshot(now_);
    must(s.waiting == 0, "whoever has left does not wait");
    if (s.state == breaker_state::half_open) {
      must(s.probes == 0, "dropped permits give their places back");
      must(static_cast<bool>(breaker_.try_acquire(now_)), "and half-open admits a probe");
    }
    breaker_.reset(now_);
    must(breaker_.idle(now_), "after a reset nothing is remembered");
    must(static_cast<bool>(breaker_.try_acquire(now_)), "and everything is admitted");
  }

  FuzzedDataProvider& in_;
  const std::uint32_t buckets_;
  circuit_breaker_options options_;
  circuit_breaker breaker_;
  null_waker waker_;
  std::array<core::wait_node, 3> nodes_{};
  std::vector<circuit_breaker::permit> permits_;
  instant now_ = instant::from_ns(1);
  std::uint32_t most_probes_ = options_.half_open.max_probes;
  std::uint64_t transitions_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 1000) return -1;
  FuzzedDataProvider in(data, size);
  session(in, in.ConsumeIntegralInRange<std::uint32_t>(1, 4)).run();
  return 0;
}
