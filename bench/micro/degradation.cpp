// SPDX-License-Identifier: Apache-2.0

// Levels of service: what it costs to ask, and a call of a pipeline with a gate in it.

#include "seawall/degradation.hpp"

#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "by_hand.hpp"
#include "seawall/brownout.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/feature_gate.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using result = absl::StatusOr<int>;

constexpr auto operation = [](const seawall::attempt& a) { return answer<result>(a.time_left().ns()); };

struct level {
  seawall::degradation ladder{{.name = "shop"}};

  bool operator()() { return ladder.level() == 0; }
};
struct level_by_hand {
  std::atomic<std::uint32_t> level{0};

  bool operator()() { return level.load(std::memory_order_relaxed) == 0; }
};

struct gate {
  seawall::degradation ladder{{.name = "shop"}};
  seawall::feature_gate recommendations{ladder, {.name = "recommendations"}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return recommendations.allows("user-1234567", now); }
};
struct gate_by_hand {
  std::atomic<std::uint32_t> level{0};
  std::atomic<bool> enabled{true};

  bool operator()() {
    return enabled.load(std::memory_order_relaxed) && level.load(std::memory_order_relaxed) == 0;
  }
};

/// Half of the keys: a hash of twelve bytes and the name.
struct rollout : gate {
  rollout() { recommendations.set_percent(50); }
};

struct gated {
  seawall::degradation ladder{{.name = "shop"}};
  seawall::feature_gate recommendations{ladder, {.name = "recommendations"}};
  decltype(seawall::compose(seawall::degrade(recommendations))) pipeline =
      seawall::compose(seawall::degrade(recommendations));

  result operator()() { return pipeline.run(operation); }
};
struct gated_by_hand {
  std::atomic<std::uint32_t> level{0};
  std::atomic<bool> enabled{true};

  result operator()() {
    const std::int64_t now = read_clock();
    if (!enabled.load(std::memory_order_relaxed) || level.load(std::memory_order_relaxed) != 0) [[unlikely]]
      return refuse<result>(0);
    return answer<result>(INT64_MAX - now);
  }
};

struct observed {
  seawall::brownout brownout{{.name = "pages"}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() {
    brownout.observe(seawall::duration::from_ns(1'000'000), now);
    return brownout.serve_optional();
  }
};

const bool added = [] {
  alone<level>("success/level of service/seawall");
  alone<level_by_hand>("success/level of service/floor");
  alone<gate>("success/feature gate, now given/seawall");
  alone<gate_by_hand>("success/feature gate, now given/floor");
  alone<gated>("success/feature gate in a pipeline/seawall");
  alone<gated_by_hand>("success/feature gate in a pipeline/floor");
  in_pairs<gated>("success/feature gate in a pipeline/seawall");
  in_pairs<gated_by_hand>("success/feature gate in a pipeline/floor");
  alone<rollout>("beside/feature gate, a share of the keys");
  alone<observed>("beside/brownout, observe and ask");
  in_pairs<observed>("beside/brownout, observe and ask");
  return true;
}();

}  // namespace
}  // namespace bench
