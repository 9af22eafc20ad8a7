// SPDX-License-Identifier: Apache-2.0

// What a rejection by an open breaker costs, beside the status that it returns.

#include "by_hand.hpp"
#include "piped.hpp"

namespace bench {
namespace {

constexpr auto hours = std::chrono::hours(24);

seawall::circuit_breaker open_breaker(seawall::rejection_detail detail) {
  seawall::circuit_breaker b({.name = "quotes", .open_for = hours, .rejections = detail});
  b.force_open();
  return b;
}

template <seawall::rejection_detail Detail, class R>
struct piped_rejection {
  seawall::circuit_breaker breaker = open_breaker(Detail);
  decltype(seawall::compose(seawall::breaker(breaker))) pipe = seawall::compose(seawall::breaker(breaker));

  R operator()() {
    return pipe.run([](seawall::attempt a) { return answer<R>(a.time_left().ns()); });
  }
};

// The same text and payload as the breaker's, written by the same functions: what differs is how one comes to it.
template <seawall::rejection_detail Detail>
struct status_alone {
  std::int64_t open_until = read_clock() + seawall::duration(hours).ns();
  std::int64_t now = read_clock();
  std::string name = "quotes";

  absl::Status operator()() const {
    benchmark::ClobberMemory();
    return seawall::outcome_traits<absl::Status>::reject(
        {.policy = "circuit_breaker",
         .name = name,
         .why = seawall::reason::open,
         .detail_level = Detail,
         .retry_after = seawall::duration::from_ns(open_until - now)},
        nullptr);
  }
};

// Without writing a text: the least that a status with a message and a payload can cost.
struct status_of_ready_text {
  std::string message = "circuit_breaker 'quotes' is open for another 23h59m59s";
  std::string payload = "1\n86399999999999\ncircuit_breaker\nquotes";

  absl::Status operator()() const {
    benchmark::ClobberMemory();
    absl::Status s = absl::UnavailableError(message);
    s.SetPayload("seawall/rejection", absl::Cord(absl::string_view(payload)));
    return s;
  }
};

template <seawall::rejection_detail Detail, class R>
struct floor_of_rejection {
  hand_breaker breaker{true};
  std::string name = "quotes";
  floor_of_rejection() { breaker.open(read_clock() + seawall::duration(hours).ns()); }

  R operator()() const {
    const std::int64_t now = read_clock();
    std::uint64_t generation = 0;
    if (breaker.admit(generation)) return answer<R>(0);
    if (!breaker.still_open(now)) return refuse<R>(0);
    return seawall::outcome_traits<absl::Status>::reject({.policy = "circuit_breaker",
                                                          .name = name,
                                                          .why = seawall::reason::open,
                                                          .detail_level = Detail,
                                                          .retry_after = breaker.time_left(now)},
                                                         nullptr);
  }
};

struct permit_rejection {
  seawall::circuit_breaker breaker = open_breaker(seawall::rejection_detail::full);
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return static_cast<bool>(breaker.try_acquire(now)); }
};
struct floor_of_permit_rejection {
  hand_breaker breaker{true};
  std::int64_t now = read_clock();
  floor_of_permit_rejection() { breaker.open(now + seawall::duration(hours).ns()); }

  bool operator()() const {
    std::uint64_t generation = 0;
    return breaker.admit(generation) || !breaker.still_open(now);
  }
};

const bool added = [] {
  using status_or = absl::StatusOr<int>;
  constexpr auto full = seawall::rejection_detail::full;
  constexpr auto code = seawall::rejection_detail::code_only;
  alone<piped_rejection<full, absl::Status>>("rejection/open, full, Status/seawall");
  alone<floor_of_rejection<full, absl::Status>>("rejection/open, full, Status/floor");
  alone<piped_rejection<full, status_or>>("rejection/open, full/seawall");
  alone<floor_of_rejection<full, status_or>>("rejection/open, full/floor");
  alone<piped_rejection<code, status_or>>("rejection/open, code_only/seawall");
  alone<floor_of_rejection<code, status_or>>("rejection/open, code_only/floor");
  in_pairs<piped_rejection<code, status_or>>("rejection/open, code_only/seawall");
  in_pairs<floor_of_rejection<code, status_or>>("rejection/open, code_only/floor");
  alone<permit_rejection>("rejection/open, permit, now given/seawall");
  alone<floor_of_permit_rejection>("rejection/open, permit, now given/floor");
  alone<status_alone<full>>("beside/absl::Status with its text and payload");
  alone<status_of_ready_text>("beside/absl::Status of ready text and payload");
  alone<status_alone<code>>("beside/absl::Status, code only");
  return true;
}();

}  // namespace
}  // namespace bench
