// SPDX-License-Identifier: Apache-2.0

// Witnesses for the rows with two threads: where the threads did run at the same time, one counter that both add to costs
// several times what it costs alone. Where it does not, "no contention" means nothing.

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

#include <atomic>

#include "seawall/core/stripe.hpp"
#include "subject.hpp"

namespace bench {

#if defined(__linux__)

namespace {

cpu_set_t all_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return set;
}

// Asked of the process's first thread before any thread is bound.
const cpu_set_t allowed = all_processors();

}  // namespace

own_processor::own_processor(int thread) {
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || thread-- != 0) continue;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(cpu, &own);
    ::pthread_setaffinity_np(::pthread_self(), sizeof own, &own);
    return;
  }
}
own_processor::~own_processor() { ::pthread_setaffinity_np(::pthread_self(), sizeof allowed, &allowed); }

#else

own_processor::own_processor(int) {}
own_processor::~own_processor() = default;

#endif

namespace {

struct one_counter {
  std::atomic<std::uint64_t> count{0};

  std::uint64_t operator()() { return count.fetch_add(1, std::memory_order_relaxed); }
};

struct striped_counter {
  struct alignas(128) stripe {
    std::atomic<std::uint64_t> count{0};
  };
  stripe stripes[seawall::core::max_stripes];

  std::uint64_t operator()() {
    return stripes[seawall::core::stripe_hint() % seawall::core::max_stripes].count.fetch_add(
        1, std::memory_order_relaxed);
  }
};

const bool added = [] {
  alone<one_counter>("witness/fetch_add, one counter");
  in_pairs<one_counter>("witness/fetch_add, one counter");
  alone<striped_counter>("witness/fetch_add, striped by processor");
  in_pairs<striped_counter>("witness/fetch_add, striped by processor");
  return true;
}();

}  // namespace
}  // namespace bench
