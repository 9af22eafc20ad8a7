// SPDX-License-Identifier: Apache-2.0
// What a call costs that sleeps: `bench_sleepers [calls]` starts a million calls through a pipeline of five on one
// io_context and one thread. Half of them sleep between two attempts, half in an attempt that does not answer. Prints the
// memory for each, as the allocator sees it and as the system does, and the processor time that it all took.

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fstream>
#include <new>
#include <utility>

#include "seawall/exec/asio.hpp"
#include "seawall/seawall.hpp"
#include <asio/bind_allocator.hpp>
#include <asio/io_context.hpp>

using namespace std::chrono_literals;

namespace {

using answer = absl::StatusOr<int>;

std::size_t bytes_in_use = 0;

template <class T>
struct counting_allocator {
  using value_type = T;

  counting_allocator() = default;
  template <class U>
  counting_allocator(const counting_allocator<U>&) {}
  T* allocate(std::size_t n) {
    bytes_in_use += n * sizeof(T);
    return static_cast<T*>(::operator new(n * sizeof(T)));
  }
  void deallocate(T* p, std::size_t n) {
    bytes_in_use -= n * sizeof(T);
    ::operator delete(p);
  }
  friend bool operator==(const counting_allocator&, const counting_allocator&) { return true; }
};

double resident() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Of this processor: what sleeps does not count.
class stopwatch {
 public:
  double seconds() const { return static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC; }

 private:
  std::clock_t start_ = std::clock();
};

}  // namespace

int main(int argc, char** argv) {
  const long calls = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 1'000'000;
  constexpr auto sleep = 15s;  // longer than it takes to start them all

  seawall::circuit_breaker breaker({.name = "sleepers", .over_time = {.failure_rate = 0}});
  const auto pipeline = seawall::compose(
      seawall::fallback([](const absl::Status&) -> answer { return 0; }), seawall::deadline({.after = 1h}),
      seawall::retry({.backoff = {.initial = sleep, .max = sleep, .jitter = seawall::jitter::none}}),
      seawall::breaker(breaker), seawall::attempt_timeout({.after = sleep}));

  asio::io_context io(1);
  std::deque<seawall::completion<answer>> hanging;
  long completed = 0, ok = 0;
  auto on_done = asio::bind_allocator(counting_allocator<std::byte>(), [&](const answer& a) {
    ++completed;
    ok += a.ok() && *a == 7 ? 1 : 0;
  });
  const auto fails_first = seawall::idempotent([](seawall::attempt a, seawall::completion<answer> done) {
    a.number() == 1 ? done(absl::UnavailableError("")) : done(7);
  });
  const auto hangs_first = seawall::idempotent([&](seawall::attempt a, seawall::completion<answer> done) {
    a.number() == 1 ? hanging.push_back(std::move(done)) : done(7);
  });

  const double before = resident();
  const stopwatch starting;
  for (long i = 0; i < calls; ++i) {
    if (i % 2 == 0) {
      seawall::async_run(pipeline, io, fails_first, on_done);
    } else {
      seawall::async_run(pipeline, io, hangs_first, on_done);
    }
    if (i % 64 == 0) io.poll();
  }
  io.poll();
  const double n = static_cast<double>(calls);
  std::printf("%ld calls put to sleep in %.2f s: %.0f ns each\n", calls, starting.seconds(),
              starting.seconds() / n * 1e9);
  std::printf("memory for each: %.0f bytes allocated, %.0f bytes resident\n",
              static_cast<double>(bytes_in_use) / n, (resident() - before) / n);
  if (completed != 0)
    std::printf("%ld had woken up already: take a faster machine, or fewer calls\n", completed);

  const stopwatch waking;
  // Attempts that were given up hold their calls' state until they end.
  while (completed < calls) io.run_one();
  hanging.clear();
  std::printf("all woken, tried again and completed in %.2f s: %.0f ns each\n", waking.seconds(),
              waking.seconds() / n * 1e9);
  return ok == calls && bytes_in_use == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
