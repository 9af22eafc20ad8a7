// SPDX-License-Identifier: Apache-2.0

// Throttling, and chaos that is switched off: successes, and rejections with the code alone.

#include <atomic>
#include <cstdint>

#include "absl/status/statusor.h"
#include "by_hand.hpp"
#include "seawall/chaos.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/throttle.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using result = absl::StatusOr<int>;

constexpr auto operation = [](const seawall::attempt& a) { return answer<result>(a.time_left().ns()); };

struct throttled {
  seawall::adaptive_throttle throttle{{.name = "quotes"}};
  decltype(seawall::compose(seawall::throttle(throttle))) pipeline =
      seawall::compose(seawall::throttle(throttle));

  result operator()() { return pipeline.run(operation); }
};
struct throttled_by_hand {
  std::atomic<std::int64_t> calm_until{INT64_MAX};
  hand_window window;

  result operator()() {
    const std::int64_t now = read_clock();
    if (now >= calm_until.load(std::memory_order_relaxed)) [[unlikely]]
      return refuse<result>(0);
    result r = answer<result>(INT64_MAX);
    if (good(r)) [[likely]]
      window.add(now);
    return r;
  }
};

struct throttle_permit {
  seawall::adaptive_throttle throttle{{.name = "quotes"}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() {
    auto p = throttle.try_acquire(now);
    if (!p) return false;
    p.accepted(now);
    return true;
  }
};
struct throttle_permit_by_hand {
  std::atomic<std::int64_t> calm_until{INT64_MAX};
  hand_window window;
  std::int64_t now = read_clock();

  bool operator()() {
    if (now >= calm_until.load(std::memory_order_relaxed)) return false;
    window.add(now);
    return true;
  }
};

/// Rejects as good as every call: so many were refused.
struct throttling {
  seawall::adaptive_throttle throttle{
      {.name = "quotes", .floor_per_second = 0, .rejections = seawall::rejection_detail::code_only}};
  decltype(seawall::compose(seawall::throttle(throttle))) pipeline =
      seawall::compose(seawall::throttle(throttle));

  throttling() {
    for (int i = 0; i < 1'000'000; ++i)
      throttle.machine().settle(seawall::verdict::not_executed(), seawall::steady_clock::now());
  }
  result operator()() { return pipeline.run(operation); }
};

struct chaos_off {
  seawall::chaos storm{{.name = "storm"}};
  decltype(seawall::compose(seawall::inject(storm))) pipeline = seawall::compose(seawall::inject(storm));

  result operator()() { return pipeline.run(operation); }
};
struct chaos_off_by_hand {
  std::atomic<bool> enabled{false};

  result operator()() {
    const std::int64_t now = read_clock();
    if (enabled.load(std::memory_order_relaxed)) [[unlikely]]
      return refuse<result>(0);
    return answer<result>(INT64_MAX - now);
  }
};

const bool added = [] {
  alone<throttled>("success/throttle/seawall");
  alone<throttled_by_hand>("success/throttle/floor");
  in_pairs<throttled>("success/throttle/seawall");
  in_pairs<throttled_by_hand>("success/throttle/floor");
  alone<throttle_permit>("success/throttle permit, now given/seawall");
  alone<throttle_permit_by_hand>("success/throttle permit, now given/floor");
  alone<chaos_off>("success/chaos, off/seawall");
  alone<chaos_off_by_hand>("success/chaos, off/floor");
  alone<throttling>("beside/rejection by a throttle, code only");
  in_pairs<throttling>("beside/rejection by a throttle, code only");
  return true;
}();

}  // namespace
}  // namespace bench
