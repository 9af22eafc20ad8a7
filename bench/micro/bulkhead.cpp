// SPDX-License-Identifier: Apache-2.0

// Bulkheads: permits striped by processor, and the one word that small limits have. Floors by hand: the same reads and
// compare-and-swaps, and no idea of anybody who waits.

#include "seawall/bulkhead.hpp"

#include <cstdint>

#include "by_hand.hpp"
#include "seawall/exec/blocking.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/status.hpp"
#include "subject.hpp"

namespace bench {
namespace {

using status_or = absl::StatusOr<int>;

constexpr std::uint32_t large = 256;  // striped
constexpr std::uint32_t small = 7;    // on any machine with two processors or more, one word

template <std::uint32_t Limit>
struct layer {
  seawall::bulkhead bulkhead{{.name = "quotes", .max_concurrent = Limit, .max_waiting = 10}};
  decltype(seawall::compose(seawall::limit_concurrency(bulkhead))) pipe =
      seawall::compose(seawall::limit_concurrency(bulkhead));

  status_or operator()() {
    return pipe.run([](seawall::attempt a) { return answer<status_or>(a.time_left().ns()); });
  }
};
template <std::uint32_t Limit, unsigned Stripes>
struct layer_floor {
  hand_permits<Stripes> permits{Limit};

  status_or operator()() {
    const std::int64_t now = read_clock();
    if (!permits.take()) [[unlikely]]
      return refuse<status_or>(0);
    status_or r = answer<status_or>(INT64_MAX - now);
    permits.give();
    return r;
  }
};

template <std::uint32_t Limit>
struct permit {
  seawall::bulkhead bulkhead{{.max_concurrent = Limit}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return static_cast<bool>(bulkhead.try_acquire(now)); }
};
template <std::uint32_t Limit, unsigned Stripes>
struct permit_floor {
  hand_permits<Stripes> permits{Limit};

  bool operator()() {
    if (!permits.take()) return false;
    permits.give();
    return true;
  }
};

/// With partitions everything goes through the mutex.
struct permit_of_partition {
  seawall::bulkhead bulkhead{{.max_concurrent = large, .partitions = {{"web", 100}, {"batch", 20}}}};
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return static_cast<bool>(bulkhead.try_acquire(now, {.partition = "batch"})); }
};

/// Full.
struct refusal {
  seawall::bulkhead bulkhead{{.max_concurrent = small}};
  seawall::bulkhead::permit all = bulkhead.try_acquire(seawall::instant(), small);
  seawall::instant now = seawall::steady_clock::now();

  bool operator()() { return static_cast<bool>(bulkhead.try_acquire(now)); }
};
struct refusing_layer {
  seawall::bulkhead bulkhead{
      {.name = "quotes", .max_concurrent = small, .rejections = seawall::rejection_detail::code_only}};
  seawall::bulkhead::permit all = bulkhead.try_acquire(seawall::instant(), small);
  decltype(seawall::compose(seawall::limit_concurrency(bulkhead))) pipe =
      seawall::compose(seawall::limit_concurrency(bulkhead));

  status_or operator()() {
    return pipe.run([](seawall::attempt a) { return answer<status_or>(a.time_left().ns()); });
  }
};

template <class Subject, class Floor>
void row_in_pairs(const std::string& name) {
  alone<Subject>(name + "/seawall");
  alone<Floor>(name + "/floor");
  in_pairs<Subject>(name + "/seawall");
  in_pairs<Floor>(name + "/floor");
}

const bool added = [] {
  row_in_pairs<layer<large>, layer_floor<large, 4>>("success/bulkhead");
  row_in_pairs<layer<small>, layer_floor<small, 1>>("success/bulkhead, one word");
  row_in_pairs<permit<large>, permit_floor<large, 4>>("success/bulkhead, permit");
  row_in_pairs<permit<small>, permit_floor<small, 1>>("success/bulkhead, permit, one word");
  alone<permit_of_partition>("beside/bulkhead, permit of a partition");
  alone<refusal>("beside/bulkhead, permit refused");
  alone<refusing_layer>("beside/bulkhead, call rejected, code_only");
  return true;
}();

}  // namespace
}  // namespace bench
