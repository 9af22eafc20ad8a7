// SPDX-License-Identifier: Apache-2.0

// The failure path: the attempt fails and nothing waits. No goal: it must stay within the cost of a few statuses.

#include "by_hand.hpp"
#include "piped.hpp"

namespace bench {
namespace {

// Trips never: otherwise rejections would be measured.
constexpr std::uint32_t no_trip = 4'000'000'000U;

struct failing_parts {
  seawall::circuit_breaker breaker{{.name = "quotes", .over_time = {.minimum_calls = no_trip}}};
  seawall::retry_budget budget{{.name = "storefront"}};
};

seawall::retry_layer retry_at_once(std::uint32_t attempts, seawall::retry_budget* budget) {
  return seawall::retry({.max_attempts = attempts,
                         .backoff = {.initial = std::chrono::seconds(0), .jitter = seawall::jitter::none},
                         .budget = budget});
}

struct no_layers_failing {
  static auto make(failing_parts&) { return seawall::compose(); }
};
struct breaker_failing {
  static auto make(failing_parts& p) { return seawall::compose(seawall::breaker(p.breaker)); }
};
struct one_attempt {
  static auto make(failing_parts&) { return seawall::compose(retry_at_once(1, nullptr)); }
};
struct three_attempts {
  static auto make(failing_parts&) { return seawall::compose(retry_at_once(3, nullptr)); }
};
struct fallback_failing {
  static auto make(failing_parts&) {
    return seawall::compose(seawall::fallback([] { return 42; }));
  }
};
struct five_failing {
  static auto make(failing_parts& p) {
    return seawall::compose(seawall::fallback([] { return 42; }), make_deadline(),
                            retry_at_once(1, &p.budget), seawall::breaker(p.breaker), make_timeout());
  }
};

template <class Recipe>
struct failing {
  failing_parts p;
  decltype(Recipe::make(p)) pipe = Recipe::make(p);

  absl::StatusOr<int> operator()() {
    return pipe.run(seawall::idempotent(
        [](seawall::attempt a) { return refuse<absl::StatusOr<int>>(a.time_left().ns()); }));
  }
};

// The failing calls, the clock reads around them, and the status that tells of them.
template <int Attempts, bool Annotated, bool Substituted>
struct floor_of_failure {
  std::string prefix = "retry gave up after 1 attempt in 12us: ";

  absl::StatusOr<int> operator()() const {
    std::int64_t now = read_clock();
    absl::StatusOr<int> r = refuse<absl::StatusOr<int>>(now);
    now = read_clock();
    for (int i = 1; i < Attempts; ++i) {
      r = refuse<absl::StatusOr<int>>(now);
      now = read_clock();
    }
    benchmark::DoNotOptimize(now);
    if (Annotated) {
      std::string text = prefix;
      text.append(r.status().message().data(), r.status().message().size());
      r = absl::Status(r.status().code(), text);
    }
    if (Substituted) r = 42;
    return r;
  }
};

const bool added = [] {
  alone<failing<no_layers_failing>>("failure/no layer/seawall");
  alone<floor_of_failure<1, false, false>>("failure/no layer/floor");
  alone<failing<breaker_failing>>("failure/breaker/seawall");
  alone<floor_of_failure<1, false, false>>("failure/breaker/floor");
  alone<failing<one_attempt>>("failure/retry, gives up after 1/seawall");
  alone<floor_of_failure<1, true, false>>("failure/retry, gives up after 1/floor");
  alone<failing<three_attempts>>("failure/retry, gives up after 3/seawall");
  alone<floor_of_failure<3, true, false>>("failure/retry, gives up after 3/floor");
  alone<failing<fallback_failing>>("failure/fallback answers/seawall");
  alone<floor_of_failure<1, false, true>>("failure/fallback answers/floor");
  alone<failing<five_failing>>("failure/five, fallback answers/seawall");
  alone<floor_of_failure<1, true, true>>("failure/five, fallback answers/floor");
  return true;
}();

}  // namespace
}  // namespace bench
