// SPDX-License-Identifier: Apache-2.0

// The rate limiter: alone with `now` given and with the clock read, in a pipeline, with and without leases, and a refusal.
// Where `now` is given, it goes on by 10 ns a call; threads whose clocks are not one would measure something else. All calls but those of the last row are granted.

#include "seawall/rate_limiter.hpp"

#include <atomic>
#include <cstdint>

#include "by_hand.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/seawall.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using std::chrono::seconds;

/// More than two threads ask for, so that none is ever refused; not so much more that leases expire unused.
seawall::rate_limiter_options plenty(std::uint32_t lease, std::uint32_t permits) {
  return {.name = "quotes", .permits = permits, .per = seconds(1), .burst = permits, .lease = lease};
}
constexpr std::uint32_t one_a_nanosecond = 1'000'000'000;
constexpr std::uint32_t one_in_ten_nanoseconds = 100'000'000;

seawall::instant next_now() {
  static thread_local std::int64_t now = read_clock();
  return seawall::instant::from_ns(now += 10);
}

template <std::uint32_t Lease>
struct limiter_now_given {
  seawall::rate_limiter limiter{plenty(Lease, one_a_nanosecond)};

  bool operator()() { return static_cast<bool>(limiter.try_acquire(next_now())); }
};
template <std::uint32_t Lease>
struct limiter_with_clock {
  seawall::rate_limiter limiter{plenty(Lease, one_in_ten_nanoseconds)};

  bool operator()() { return static_cast<bool>(limiter.try_acquire()); }
};
template <std::uint32_t Lease>
struct limiter_in_pipeline {
  seawall::rate_limiter limiter{plenty(Lease, one_in_ten_nanoseconds)};
  decltype(seawall::compose(seawall::limit_rate(limiter))) pipeline =
      seawall::compose(seawall::limit_rate(limiter));

  absl::StatusOr<int> operator()() {
    return pipeline.run([](const seawall::attempt& a) {
      return answer<absl::StatusOr<int>>(a.deadline().ns() - a.started().ns());
    });
  }
};
struct limiter_refuses {
  seawall::rate_limiter limiter{{.permits = 1, .per = std::chrono::hours(1)}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return static_cast<bool>(limiter.try_acquire(now)); }
};

struct floor_now_given {
  hand_gcra limiter;

  bool operator()() { return limiter.take(next_now().ns()); }
};
struct floor_with_clock {
  hand_gcra limiter;

  bool operator()() { return limiter.take(read_clock()); }
};
struct floor_in_pipeline {
  hand_gcra limiter;

  absl::StatusOr<int> operator()() {
    const std::int64_t now = read_clock();
    if (!limiter.take(now)) return refuse<absl::StatusOr<int>>(0);
    return answer<absl::StatusOr<int>>(INT64_MAX - now);
  }
};
struct floor_refuses {
  hand_gcra limiter{.full_at{INT64_MAX / 2}};
  std::int64_t now = read_clock();

  bool operator()() { return limiter.take(now); }
};

template <class Subject, class Floor>
void row(const std::string& name) {
  alone<Subject>(name + "/seawall");
  alone<Floor>(name + "/floor");
}
template <class Subject, class Floor>
void row_in_pairs(const std::string& name) {
  row<Subject, Floor>(name);
  in_pairs<Subject>(name + "/seawall");
  in_pairs<Floor>(name + "/floor");
}

const bool added = [] {
  row<limiter_now_given<1>, floor_now_given>("success/rate_limiter, now given");
  row<limiter_now_given<16>, floor_now_given>("success/rate_limiter, leases of 16, now given");
  row<limiter_now_given<64>, floor_now_given>("success/rate_limiter, leases of 64, now given");
  row_in_pairs<limiter_with_clock<1>, floor_with_clock>("success/rate_limiter, clock read");
  row_in_pairs<limiter_with_clock<16>, floor_with_clock>("success/rate_limiter, leases of 16, clock read");
  row_in_pairs<limiter_in_pipeline<1>, floor_in_pipeline>("success/rate_limiter, pipeline");
  row_in_pairs<limiter_in_pipeline<64>, floor_in_pipeline>("success/rate_limiter, pipeline, leases of 64");
  row<limiter_refuses, floor_refuses>("rejection/rate_limiter");
  return true;
}();

}  // namespace
}  // namespace bench
