// SPDX-License-Identifier: Apache-2.0

// The success path: each policy alone, then pipelines.

#include "by_hand.hpp"
#include "piped.hpp"

namespace bench {
namespace {

/// `Recipe` beside the floor that does `P` by hand.
template <class Recipe, policies P, class R = absl::StatusOr<int>>
void row(const std::string& name) {
  alone<piped<Recipe, R>>("success/" + name + "/seawall");
  alone<floor<P, R>>("success/" + name + "/floor");
}
template <class Recipe, policies P, class R = absl::StatusOr<int>>
void row_in_pairs(const std::string& name) {
  row<Recipe, P, R>(name);
  in_pairs<piped<Recipe, R>>("success/" + name + "/seawall");
  in_pairs<floor<P, R>>("success/" + name + "/floor");
}

struct permit_now_given {
  seawall::circuit_breaker breaker{{.name = "quotes"}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() {
    auto p = breaker.try_acquire(now);
    if (!p) return false;
    p.success(now);
    return true;
  }
};
struct permit_with_clock {
  seawall::circuit_breaker breaker{{.name = "quotes"}};

  bool operator()() {
    auto p = breaker.try_acquire();
    if (!p) return false;
    p.success();
    return true;
  }
};
struct floor_now_given {
  hand_breaker breaker{true};
  std::int64_t now = read_clock();

  bool operator()() {
    std::uint64_t generation = 0;
    if (!breaker.admit(generation)) return false;
    breaker.success(generation, now);
    return true;
  }
};
struct floor_with_clock {
  hand_breaker breaker{true};

  bool operator()() {
    read_clock();
    std::uint64_t generation = 0;
    if (!breaker.admit(generation)) return false;
    breaker.success(generation, read_clock());
    return true;
  }
};

constexpr policies window_breaker{.breaker = true};
constexpr policies consecutive_breaker{.breaker = true, .over_time = false};
constexpr policies all_of_three{.retry = true, .budget = true, .breaker = true, .timeout = true};
constexpr policies all_of_four{
    .deadline = true, .retry = true, .budget = true, .breaker = true, .timeout = true};
constexpr policies all_of_five{
    .fallback = true, .deadline = true, .retry = true, .budget = true, .breaker = true, .timeout = true};
constexpr policies five_guards_by_hand{
    .deadline = true, .retry = true, .budget = true, .breaker = true, .rate = true, .permit = true};

const bool added = [] {
  using status_or = absl::StatusOr<int>;
  row<no_layers, policies{}>("no layer");
  row_in_pairs<breaker_alone, window_breaker>("breaker");
  row<breaker_alone, window_breaker, absl::Status>("breaker, Status");
  row<breaker_alone, window_breaker, int>("breaker, int");
  row_in_pairs<consecutive_alone, consecutive_breaker>("breaker, consecutive failures only");
  row<retry_alone, policies{.retry = true}>("retry");
  row_in_pairs<retry_with_budget, policies{.retry = true, .budget = true}>("retry with budget");
  row<deadline_alone, policies{.deadline = true}>("deadline");
  row<timeout_alone, policies{.timeout = true}>("attempt_timeout");
  row<fallback_alone, policies{.fallback = true}>("fallback");
  row<fallback_status, policies{.fallback = true}, absl::Status>("fallback, Status");
  row<fallback_alone, policies{.fallback = true}, int>("fallback, int");
  row<three, all_of_three>("three");
  row<four, all_of_four>("four");
  row_in_pairs<five<status_or>, all_of_five>("five");
  row<five<absl::Status>, all_of_five, absl::Status>("five, Status");
  row<five<int>, all_of_five, int>("five, int");
  row<five_classified<status_or>, all_of_four>("five, classify for fallback");

  row_in_pairs<five_guards, five_guards_by_hand>("five guards");
  row_in_pairs<five_guards_leased, five_guards_by_hand>("five guards, leases of 64");

  row<any_breaker, window_breaker>("any_pipeline, breaker");
  row<any_five, all_of_five>("any_pipeline, five");

  alone<permit_now_given>("success/permit, now given/seawall");
  alone<floor_now_given>("success/permit, now given/floor");
  in_pairs<permit_now_given>("success/permit, now given/seawall");
  in_pairs<floor_now_given>("success/permit, now given/floor");
  alone<permit_with_clock>("success/permit, two clock reads/seawall");
  alone<floor_with_clock>("success/permit, two clock reads/floor");
  return true;
}();

}  // namespace
}  // namespace bench
